"""A stretch of time, cut into bins of a width that people think in."""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise

from producers.times import told_in

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
# Seconds; all divide a day, so that bins begin where clocks show round times.
_WIDTHS = (
    *(10, 15, 30, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY),
)
# Enough for a plot as wide as a page, few enough to be read as a table.
_MOST_BINS = 120


@dataclass(frozen=True, slots=True)
class Span:
    """
    From `since` until before `until` (unix seconds), cut into bins at the times `cuts`.

    All bins are `width_s` long but the outermost, and those in which the clocks of `zone` change: they are half as
    long at least and half as long again at most, for the rate of a few seconds alone would jump.
    """

    since: float
    until: float
    width_s: float
    cuts: tuple[float, ...]
    zone: tzinfo = UTC

    @classmethod
    def of(cls, since: float, until: float, *, most_bins: int = _MOST_BINS, zone: tzinfo = UTC) -> "Span":
        """
        Cut a stretch of time into at most so many bins, at times that are round in *zone*.

        Raises:
            ValueError: If *until* is not later than *since*.
        """
        if not since < until:
            raise ValueError(f"a span must end after it begins, not at {until:.0f} from {since:.0f}")
        width_s = round_step(until - since, most_bins - 1)
        cuts = _round_times(since + width_s / 2, until - width_s / 2, width_s, zone)
        return cls(since, until, width_s, tuple(cuts), zone)

    @property
    def count(self) -> int:
        """How many bins there are."""
        return len(self.cuts) + 1

    def bin_of(self, moment: float) -> int | None:
        """Return the bin a time falls into, None for one outside the span."""
        return bisect_right(self.cuts, moment) if self.since <= moment < self.until else None

    def edges(self) -> list[float]:
        """Return the bins' borders, one more than there are bins."""
        return [self.since, *self.cuts, self.until]

    def minutes(self) -> list[float]:
        """Return how many minutes long each bin is."""
        return [(end - begin) / _MINUTE for begin, end in pairwise(self.edges())]

    def ticks(self, most: int) -> list[float]:
        """Return at most so many round times within the span, for the axis of a plot."""
        step = round_step(self.until - self.since, most)
        return list(_round_times(self.since, self.until, step, self.zone))[:most]

    def told(self, moment: float) -> str:
        """Return a time (unix seconds) in the zone of the span, to the second."""
        return told_in(self.zone, moment)

    @property
    def zone_name(self) -> str:
        """The name of the zone."""
        return str(self.zone)


def round_step(length_s: float, most: int) -> float:
    """Return the shortest round duration, in seconds, of which *length_s* holds no more than *most*."""
    fitting = (width for width in _WIDTHS if length_s <= width * most)
    # Beyond the widest: whole days.
    return next(fitting, _DAY * math.ceil(length_s / most / _DAY))


def _round_times(first: float, last: float, step_s: float, zone: tzinfo) -> Iterator[float]:
    """Yield the times from *first* to *last* at which the clocks of *zone* show whole steps of a day."""
    if step_s <= _HOUR or zone is UTC:
        # Clocks change by whole hours, so the same offset will do.
        offset = datetime.fromtimestamp(first, zone).utcoffset()
        ahead_s = (offset.total_seconds() if offset else 0.0) % step_s
        numbers = range(math.ceil((first + ahead_s) / step_s), math.floor((last + ahead_s) / step_s) + 1)
        yield from (step_s * number - ahead_s for number in numbers)
        return
    local = datetime.fromtimestamp(first, zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    while (moment := local.replace(tzinfo=zone).timestamp()) <= last:
        if moment >= first:
            yield moment
        local += timedelta(seconds=step_s)
