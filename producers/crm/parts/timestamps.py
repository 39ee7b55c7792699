"""Times that senders put beside a signature: whether one is recent, and what is wrong with one that is not."""

import re
from typing import Literal

Unit = Literal["s", "ms"]

# Decimals are taken because some senders write seconds with their fraction.
_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,9})?")
_WRITTEN_OUT = re.compile(r"[0-9]{1,4}[-/ ][0-9A-Za-z]{1,3}[-/ ][0-9]{1,4}|[0-9]{8}T[0-9]{4}")
# Units that senders use, by how many of them make a second; only the first two can be set.
_UNITS = {"seconds": 1, "milliseconds": 1000, "microseconds": 10**6, "nanoseconds": 10**9}
_NAMES: dict[str, str] = {"s": "seconds", "ms": "milliseconds"}
_YEAR_S = 366 * 86400
# Time zones are whole half hours from UTC, 14 hours at most; a clock is seldom off by so much to the minute.
_ZONE_S, _FURTHEST_ZONE_S, _NEAR_S = 1800, 14 * 3600, 30


def time_problem(text: str, *, header: str, unit: Unit, now: float, tolerance_s: float) -> str | None:
    """
    Return what is wrong with a sender's unix time; None if it is recent.

    Args:
        text: As it came; no sentence contains it.
        header: Where it came from.
        unit: What the settings expect.
        now: Unix seconds of this host.
        tolerance_s: How far it may be off, either way.

    Returns:
        A sentence that begins with *header*, and names a wrong unit or a wrong clock.
    """
    text = text.strip()
    if not text:
        return f"{header} is missing; send the unix time in {_NAMES[unit]}"
    if not _NUMBER.fullmatch(text):
        what = "is a written-out date" if _WRITTEN_OUT.search(text) else "is not a number"
        return f"{header} {what}; expected unix {_NAMES[unit]}"
    off_s = now - float(text) / _UNITS[_NAMES[unit]]
    if abs(off_s) <= tolerance_s:
        return None
    return f"{header} {_wrong_unit(float(text), unit, now) or _wrong_clock(off_s, tolerance_s)}"


def _wrong_unit(number: float, unit: Unit, now: float) -> str | None:
    looks_like = next((name for name, per_s in _UNITS.items() if abs(now - number / per_s) < _YEAR_S), None)
    if looks_like is None:
        return f"is more than a year off in any unit; send the unix time in {_NAMES[unit]}"
    if looks_like == _NAMES[unit]:
        return None
    setting = next((short for short, name in _NAMES.items() if name == looks_like), None)
    advice = f'set timestamp_unit = "{setting}"' if setting else "send one of seconds and milliseconds"
    return f"looks like {looks_like}, expected {_NAMES[unit]}; {advice}"


def _wrong_clock(off_s: float, tolerance_s: float) -> str:
    by = f"is {abs(off_s):,.0f} s {'behind' if off_s > 0 else 'ahead of'} this host's clock"
    zones = round(abs(off_s) / _ZONE_S)
    is_a_zone = abs(abs(off_s) - zones * _ZONE_S) <= _NEAR_S and 0 < zones * _ZONE_S <= _FURTHEST_ZONE_S
    if is_a_zone:
        return f"{by}, like a local time that was taken for UTC; send the unix time"
    # A sender that repeats a delivery may keep the first time.
    or_ = ", or raise tolerance_s if the CRM repeats deliveries with their first time" if off_s > 0 else ""
    return f"{by}, more than the {tolerance_s:g} s of tolerance_s; set both clocks by NTP{or_}"
