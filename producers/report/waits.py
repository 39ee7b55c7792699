"""How long something took, counted in steps so fine that quantiles can be told without keeping each value."""

import math
from bisect import bisect_left
from collections import Counter

# Upper ends of the bars people are shown, in seconds; above the last it is "longer".
BARS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 86400)
# Each step is 5.9 % wider than the last, so a quantile is off by at most 3 %.
_STEPS_PER_DECADE = 40
_SHORTEST_S = 0.001


class Waits:
    """Durations in seconds, as many as there may be, in the memory of a few hundred counts."""

    def __init__(self) -> None:
        self.count = 0
        self.longest_s = 0.0
        self.bars = [0] * (len(BARS) + 1)
        self._steps: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Count one; what is below 0 (clocks differ) counts as 0."""
        seconds = max(0.0, seconds)
        self.count += 1
        self.longest_s = max(self.longest_s, seconds)
        self.bars[bisect_left(BARS, seconds)] += 1
        self._steps[round(math.log10(max(seconds, _SHORTEST_S)) * _STEPS_PER_DECADE)] += 1

    def quantile(self, share: float) -> float | None:
        """Return the duration that *share* (0 to 1) of them did not pass, to about 3 %; None if there are none."""
        wanted, passed = share * self.count, 0
        for step in sorted(self._steps):
            passed += self._steps[step]
            if passed >= wanted:
                return min(self.longest_s, math.pow(10.0, step / _STEPS_PER_DECADE))
        return None
