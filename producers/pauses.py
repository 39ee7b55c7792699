"""Who paused what, when and why: for a sentence, and JSON-ready."""

from typing import Any

from producers.masking import masked
from producers.times import duration, iso_or_none, told
from worker.hopper import Pause


def author_words(pause: Pause | None, *, now: float | None = None) -> str:
    """
    Return who paused it, when and why, to stand behind "is paused"; empty where that is not known.

    Args:
        pause: The pause; None, or without an author where an older version set it.
        now: The present time, for "3 h ago" in place of the date.
    """
    if pause is None or not pause.at:
        return ""
    when = f"since {told(pause.at)}" if now is None else f"{duration(now - pause.at)} ago"
    by = f", by {masked(pause.by)}" if pause.by else ""
    reason = f": {masked(pause.reason)}" if pause.reason else ""
    return f" ({when}{by}){reason}"


def plain_pause(pause: Pause | None) -> dict[str, Any] | None:
    """Return its author JSON-ready: at (ISO 8601 UTC), by, reason; None for what is not known."""
    if pause is None:
        return None
    reason = masked(pause.reason) or None
    return {"at": iso_or_none(pause.at), "by": masked(pause.by) or None, "reason": reason}
