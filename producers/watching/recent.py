"""How jobs ended of late: counts over moving windows, kept up to date as ends come in."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from producers.masking import masked
from worker.hopper import EndedJob
from worker.jobs import JobState

MINUTE_S, HOUR_S = 60.0, 3600.0
# Rates are told over so many seconds: short enough to follow, long enough not to flicker.
RATE_S = 10.0
# A PBX that makes its codes up must not fill memory.
_MOST_SENTENCES = 300

# PBX, state and errno of an end.
Kind = tuple[str, JobState, str]


@dataclass(frozen=True, slots=True)
class Ended:
    """
    How many jobs ended, by state; `by_errno` those without a call, the most frequent first.

    `is_all`: none was left out; else there were more.
    """

    states: Mapping[JobState, int] = field(default_factory=dict)
    by_errno: tuple[tuple[str, int], ...] = ()
    is_all: bool = True

    @property
    def total(self) -> int:
        """Of all states."""
        return sum(self.states.values())

    def of(self, *states: JobState) -> int:
        """Of some states."""
        return sum(self.states.get(state, 0) for state in states)


class _Window:
    """Counts of the last so many seconds, a bucket for each second."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._buckets: deque[tuple[int, Counter[Kind]]] = deque()
        self.counts: Counter[Kind] = Counter()

    def add(self, kind: Kind, at: float) -> None:
        if not self._buckets or self._buckets[-1][0] < int(at):
            self._buckets.append((int(at), Counter()))
        self._buckets[-1][1][kind] += 1
        self.counts[kind] += 1

    def forget_before(self, now: float) -> None:
        while self._buckets and self._buckets[0][0] <= now - self._length_s:
            self.counts.subtract(self._buckets.popleft()[1])
        self.counts = +self.counts


class Recent:
    """
    Ends of the last seconds, minute and hour, and since the watch began.

    Args:
        began_at: When the watch began, in unix seconds by Redis's clock.
    """

    def __init__(self, began_at: float) -> None:
        self._began_at = began_at
        self._windows = {length_s: _Window(length_s) for length_s in (RATE_S, MINUTE_S, HOUR_S)}
        self._since_start: Counter[Kind] = Counter()
        self._sentences: dict[str, str] = {}
        self._left_out_at = 0.0

    def add(self, jobs: Iterable[EndedJob]) -> None:
        """Count some jobs, in the order in which they ended."""
        for job in jobs:
            errno = self._errno(job)
            kind = (job.pbx, job.state, errno)
            for window in self._windows.values():
                window.add(kind, job.finished_at)
            if job.finished_at >= self._began_at:
                self._since_start[kind] += 1

    def leave_out(self, at: float) -> None:
        """Remember that some that ended until *at* were not counted, for there were too many."""
        self._left_out_at = max(self._left_out_at, at)

    def forget_before(self, now: float) -> None:
        """Let go what has left the windows by *now* (unix seconds)."""
        for window in self._windows.values():
            window.forget_before(now)

    def ended(self, length_s: float, now: float) -> Ended:
        """Return how jobs ended in the last RATE_S, MINUTE_S or HOUR_S seconds."""
        return _ended(self._windows[length_s].counts, is_all=self._left_out_at <= now - length_s)

    def since_start(self) -> Ended:
        """Return how jobs ended since the watch began."""
        return _ended(self._since_start, is_all=self._left_out_at <= self._began_at)

    def placed(self, length_s: float) -> Counter[str]:
        """Return the calls placed in the last RATE_S, MINUTE_S or HOUR_S seconds, by PBX."""
        return self._by_pbx(length_s, (JobState.PLACED,))

    def not_placed(self, length_s: float) -> Counter[str]:
        """Return the jobs that were dialed and failed, or are unknown, in that time, by PBX."""
        return self._by_pbx(length_s, (JobState.FAILED, JobState.UNKNOWN))

    def sentence(self, errno: str) -> str:
        """Return what the first job with this errno said; empty if none did."""
        return self._sentences.get(errno, "")

    def _by_pbx(self, length_s: float, states: tuple[JobState, ...]) -> Counter[str]:
        counted: Counter[str] = Counter()
        for (pbx, state, _), count in self._windows[length_s].counts.items():
            if state in states:
                counted[pbx] += count
        return counted

    def _errno(self, job: EndedJob) -> str:
        if job.state in (JobState.PLACED, JobState.CANCELLED, JobState.EXPIRED):
            return ""
        errno = masked(job.errno)
        if errno not in self._sentences:
            if len(self._sentences) >= _MOST_SENTENCES:
                return "other"
            self._sentences[errno] = masked(job.error)
        return errno


def _ended(counts: Counter[Kind], *, is_all: bool) -> Ended:
    states: Counter[JobState] = Counter()
    errnos: Counter[str] = Counter()
    for (_, state, errno), count in counts.items():
        states[state] += count
        if errno:
            errnos[errno] += count
    ranked = sorted(errnos.items(), key=lambda item: (-item[1], item[0]))
    return Ended(dict(states), tuple(ranked), is_all)
