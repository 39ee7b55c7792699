"""Times and durations as a person reads them, and as JSON holds them."""

from datetime import UTC, datetime, tzinfo

# The last second that a `datetime` can hold; a spoiled record may hold any number.
_LAST_S = 253_402_300_799.0


def iso(unix_s: float) -> str:
    """Return a time as ISO 8601 in UTC with milliseconds, the form of all JSON of ours."""
    return _written(unix_s, "milliseconds")


def iso_or_none(unix_s: float) -> str | None:
    """Return the same, None for 0, which is how the hopper says that there is no such time."""
    return iso(unix_s) if unix_s else None


def told(unix_s: float) -> str:
    """Return a time to the second, for a sentence."""
    return _written(unix_s, "seconds")


def told_in(zone: tzinfo, unix_s: float) -> str:
    """Return the same in a time zone, with its offset."""
    if zone is UTC:
        return told(unix_s)
    return datetime.fromtimestamp(min(max(0.0, unix_s), _LAST_S), zone).isoformat(timespec="seconds")


def duration(seconds: float) -> str:
    """Return a duration in the largest unit that leaves two digits, `1 s` at least."""
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{max(1, round(seconds))} s"


def _written(unix_s: float, unit: str) -> str:
    moment = datetime.fromtimestamp(min(max(0.0, unix_s), _LAST_S), UTC)
    return moment.isoformat(timespec=unit).replace("+00:00", "Z")
