"""The record of what operators did: written by the steps themselves, read here."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

from worker.hopper.answers import AuditEntry
from worker.hopper.looking import Looking
from worker.masking import safe

# What operators do, as the steps record it: see `audit` in `scripts/shared/audit.lua`.
ACTS = (
    "pause",
    "resume",
    "cancel",
    "redial",
    "resolve",
    "create_key",
    "revoke_key",
    "disable_endpoint",
    "enable_endpoint",
    "replay",
    "reload",
)
LONGEST_REASON = 400
_PAGE = 500


def noted(text: str) -> str:
    """Return a person's words as they may be kept: on one line, without telephone numbers and secrets, cut."""
    plain = "".join(char if char.isprintable() else " " for char in safe(text[: 4 * LONGEST_REASON]))
    return plain.strip()[:LONGEST_REASON]


class Audit(Looking):
    """Part of `worker.hopper.Hopper`."""

    def audit(
        self,
        *,
        since: float = 0.0,
        until: float | None = None,
        acts: Collection[str] = (),
        by: str = "",
        page: int = _PAGE,
    ) -> Iterator[AuditEntry]:
        """
        Yield what operators did, oldest first; Redis keeps about the last 10,000 acts.

        Args:
            since: No acts before this, in unix seconds.
            until: No acts from this moment on; None for no end.
            acts: These acts only, of `ACTS`; none means all.
            by: Acts of this person or API key only.
            page: Entries per round trip.

        Raises:
            redis.exceptions.RedisError: If Redis does not answer.
        """
        after = "-"
        while entries := self._client.xrange(self.keys.audit, min=after, count=page):
            for _, fields in entries:
                with suppress(KeyError, ValueError):  # what somebody else wrote there
                    entry = _entry(fields)
                    # Redis's clock may have been set back, so one that is too late ends nothing.
                    is_within = entry.at >= since and (until is None or entry.at < until)
                    if is_within and (not acts or entry.act in acts) and by in ("", entry.by):
                        yield entry
            after = f"({entries[-1][0]}"


def _entry(fields: Mapping[str, str]) -> AuditEntry:
    own = ("at", "by", "act", "subject", "reason")
    at, by, act, subject, reason = (fields[name] for name in own)
    details = {name: value for name, value in fields.items() if name not in own}
    return AuditEntry(float(at), by, act, subject, reason, details)
