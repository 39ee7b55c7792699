"""A job's life as its record tells it: one moment a line, and who said last what became of it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from producers.masking import masked
from producers.times import iso
from worker.hopper import Moment, timeline_of

_KEPT = 20


def moments_of(record: Mapping[str, str]) -> list[Moment]:
    """
    Return the moments of a life, oldest first, the first one being that the job was handed in.

    Args:
        record: As stored; what somebody spoiled in it is left out.
    """
    moments = [Moment(at, "enqueued", "", "") for at in _number(record.get("enqueued_at"))]
    try:
        lines = timeline_of(record)
    except ValueError:
        return moments
    if lines and lines[-1].state == "cancelled":  # a line has no room for long names and reasons
        who, reason = record.get("cancelled_by", lines[-1].who), record.get("cancelled_why", lines[-1].reason)
        lines[-1] = replace(lines[-1], who=who, reason=reason)
    return moments + lines


def left_out(record: Mapping[str, str]) -> int:
    """Return how many moments of a long life are no longer there."""
    return max(0, *(int(count) - _KEPT for count in _number(record.get("n"))), 0)


def plain_timeline(record: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the moments JSON-ready: at (ISO 8601 UTC), state, by, reason; None for what is not known."""
    return [
        {"at": iso(one.at), "state": one.state, "by": one.who or None, "reason": masked(one.reason) or None}
        for one in moments_of(record)
    ]


def timeline_lines(record: Mapping[str, str]) -> Iterator[str]:
    """Yield the moments as aligned lines."""
    moments, gone = moments_of(record), left_out(record)
    states = max((len(one.state) for one in moments), default=0)
    names = max((len(one.who) for one in moments), default=0)
    for number, one in enumerate(moments):
        if gone and number == len(moments) - _KEPT + 4:
            yield f"  ({gone:,} more)"
        yield f"  {iso(one.at)}  {one.state:<{states}}  {one.who:<{names}}  {masked(one.reason)}".rstrip()


def resolution_of(record: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what a person said of an unknown job, JSON-ready: verdict, by, at, reason; None if nobody did."""
    if not record.get("resolved_as"):
        return None
    return {
        "verdict": record["resolved_as"],
        "by": record.get("resolved_by") or None,
        "at": next((iso(at) for at in _number(record.get("resolved_at"))), None),
        "reason": masked(record.get("resolved_why", "")) or None,
    }


def resolution_words(resolution: Mapping[str, Any]) -> str:
    """Return the same for a person."""
    at = f" at {resolution['at']}" if resolution["at"] else ""
    words = f"{resolution['verdict']}, says {resolution['by'] or 'nobody known'}{at}"
    return f"{words}: {resolution['reason']}" if resolution["reason"] else words


def redial_of(record: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the last redial, JSON-ready: times (how often so far), by, at, reason; None if there was none."""
    if not record.get("redialed_at"):
        return None
    return {
        "times": next((int(count) for count in _number(record.get("redials"))), 1),
        "by": record.get("redialed_by") or None,
        "at": next((iso(at) for at in _number(record.get("redialed_at"))), None),
        "reason": masked(record.get("redialed_why", "")) or None,
    }


def redial_words(redial: Mapping[str, Any]) -> str:
    """Return the same for a person."""
    times = f", {redial['times']} times so far" if redial["times"] > 1 else ""
    at = f" at {redial['at']}" if redial["at"] else ""
    words = f"by {redial['by'] or 'an unnamed person'}{at}{times}"
    return f"{words}: {redial['reason']}" if redial["reason"] else words


def _number(text: str | None) -> Iterator[float]:
    """Yield the number that *text* is, if it is one."""
    try:
        number = float(text or "")
    except ValueError:
        return
    if math.isfinite(number):
        yield number
