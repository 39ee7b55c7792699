"""A stretch of time, cut into bins of a width that people think in."""

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
# Seconds; all divide a day, so that bins begin where the clock shows round times in UTC.
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

    All bins are `width_s` long but the outermost, which are half as long at least and half as long again at most:
    a rate told of a few seconds alone would jump.
    """

    since: float
    until: float
    width_s: float
    cuts: tuple[float, ...]

    @classmethod
    def of(cls, since: float, until: float, *, most_bins: int = _MOST_BINS) -> "Span":
        """
        Cut a stretch of time into at most so many bins.

        Raises:
            ValueError: If *until* is not later than *since*.
        """
        if not since < until:
            raise ValueError(f"a span must end after it begins, not at {until:.0f} from {since:.0f}")
        width_s = round_step(until - since, most_bins - 1)
        first = math.ceil((since + width_s / 2) / width_s)
        last = math.floor((until - width_s / 2) / width_s)
        return cls(since, until, width_s, tuple(width_s * number for number in range(first, last + 1)))

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
        first = math.ceil(self.since / step)
        return [step * number for number in range(first, math.floor(self.until / step) + 1)][:most]


def round_step(length_s: float, most: int) -> float:
    """Return the shortest round duration, in seconds, of which *length_s* holds no more than *most*."""
    fitting = (width for width in _WIDTHS if length_s <= width * most)
    # Beyond the widest: whole days.
    return next(fitting, _DAY * math.ceil(length_s / most / _DAY))
