"""The busiest minute there was, found while calls stream past: over any 60 seconds, wherever they begin."""

from bisect import bisect_left, bisect_right, insort

WINDOW_S = 60.0
# Jobs come in the order in which they ended. A call that a person reported later than this is left out.
_LATEST_S = 60.0


class Busiest:
    """
    The most calls within WINDOW_S.

    Holds the calls of the last two minutes, and no more.

    Attributes:
        calls: How many there were.
        until: When the last of them was placed, in unix seconds; 0 if there was none.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.until = 0.0
        self._moments: list[float] = []

    def add(self, moment: float) -> None:
        """Count a call placed at *moment* (unix seconds); nearly in order of time."""
        moments = self._moments
        if moments and moment < moments[-1] - _LATEST_S:
            return
        insort(moments, moment)
        # A call that comes late is in the windows that end with the calls after it, too.
        for end in moments[bisect_left(moments, moment) :]:
            if end - WINDOW_S >= moment:
                break
            calls = bisect_right(moments, end) - bisect_right(moments, end - WINDOW_S)
            if calls > self.calls:
                self.calls, self.until = calls, end
        if len(moments) > 1000 or moments[0] < moments[-1] - 2 * (WINDOW_S + _LATEST_S):
            del moments[: bisect_left(moments, moments[-1] - WINDOW_S - _LATEST_S)]
