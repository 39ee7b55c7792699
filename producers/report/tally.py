"""Counting ended jobs as they stream past: memory grows with PBXs and extensions, never with jobs."""

from array import array
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from heapq import nsmallest

from producers.masking import masked
from producers.report.busiest import Busiest
from producers.report.spans import Span
from producers.report.summary import (
    ENDS,
    Cause,
    Ends,
    ExtensionPart,
    Flow,
    GroupPart,
    Latency,
    PbxNow,
    PbxPart,
    Peak,
    Report,
    Tries,
    UnknownJob,
)
from producers.report.waits import Waits
from worker.hopper import EndedJob
from worker.jobs import JobState

MOST_CAUSES = 30
MOST_EXTENSIONS = 20
MOST_UNKNOWNS = 200
# Jobs with more attempts share the last bar; the default of `retry.max_attempts` is 5.
MOST_ATTEMPTS = 8
# A PBX that makes its codes up, one for each call, must not fill memory: later ones share a line.
_MOST_ERRNOS = 300
OTHER = "other"
# Values of a metadata entry may be without end, too.
MOST_GROUPS = 500
NO_VALUE, OTHER_VALUES = "(none)", "(others)"
_OWN_CAUSES = {
    JobState.CANCELLED: "withdrawn before a call was begun",
    JobState.EXPIRED: "its time ran out before a call was begun",
}
# A rule may forbid a job for having no PBX.
NO_PBX = "(none)"


class _PbxTally:
    """What is counted of one PBX, or of all together."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.ends: Counter[JobState] = Counter()
        self.attempts = 0
        self.waits = Waits()
        self.busiest = Busiest()
        self.placed = array("L", bytes(array("L").itemsize * span.count))
        self.begun = array("L", bytes(array("L").itemsize * span.count))

    def add(self, job: EndedJob) -> None:
        self.ends[job.state] += 1
        self.attempts += job.attempts
        if job.state is JobState.PLACED and job.placed_at:
            self.waits.add(job.placed_at - job.due_at)
            self._count(self.placed, job.placed_at)
            if self._span.since <= job.placed_at < self._span.until:
                self.busiest.add(job.placed_at)
        for moment in job.claims:
            self._count(self.begun, moment)

    def _count(self, bins: "array[int]", moment: float) -> None:
        number = self._span.bin_of(moment)
        if number is not None:
            bins[number] += 1

    def flow(self, limit: float | None) -> Flow:
        return Flow(tuple(self.placed), tuple(self.begun), limit)

    def latency(self) -> Latency:
        return _latency(self.waits)

    def peak(self) -> Peak:
        return Peak(self.busiest.calls, self.busiest.until)


class _GroupTally:
    """What is counted of the jobs with one value."""

    def __init__(self) -> None:
        self.ends: Counter[JobState] = Counter()
        self.attempts = 0
        self.waits = Waits()

    def add(self, job: EndedJob) -> None:
        self.ends[job.state] += 1
        self.attempts += job.attempts
        if job.state is JobState.PLACED and job.placed_at:
            self.waits.add(job.placed_at - job.due_at)


class Tally:
    """
    Counts jobs that ended within a span.

    Args:
        span: The stretch of time, in bins.
        by: Name of the entry of the metadata that jobs are grouped by; None for no groups.
    """

    def __init__(self, span: Span, by: str | None = None) -> None:
        self._span = span
        self._by = by
        self._groups: dict[str, _GroupTally] = {}
        self._all = _PbxTally(span)
        self._pbxs: dict[str, _PbxTally] = {}
        self._ended: list[Counter[JobState]] = [Counter() for _ in range(span.count)]
        self._causes: dict[str, tuple[str, Counter[JobState]]] = {}
        self._tries: Counter[tuple[int, bool]] = Counter()
        self._extensions: dict[tuple[str, str], Counter[JobState]] = {}
        self._unknowns: deque[UnknownJob] = deque(maxlen=MOST_UNKNOWNS)

    def add(self, job: EndedJob) -> None:
        """Count one job; one that did not end within the span is not counted."""
        number = self._span.bin_of(job.finished_at)
        if number is None:
            return
        pbx = job.pbx or NO_PBX
        if pbx not in self._pbxs:
            self._pbxs[pbx] = _PbxTally(self._span)
        self._all.add(job)
        self._pbxs[pbx].add(job)
        self._ended[number][job.state] += 1
        self._tries[min(job.attempts, MOST_ATTEMPTS), job.state is JobState.PLACED] += 1
        if job.extid:
            self._extensions.setdefault((pbx, job.extid), Counter())[job.state] += 1
        if self._by is not None:
            self._count_group(job)
        if job.state is not JobState.PLACED:
            self._count_cause(job)
        if job.state is JobState.UNKNOWN:
            self._unknowns.append(UnknownJob(job.id, pbx, job.extid, job.finished_at, masked(job.errno)))

    def _count_group(self, job: EndedJob) -> None:
        value = NO_VALUE if job.entry is None else masked(job.entry)
        if value not in self._groups and len(self._groups) >= MOST_GROUPS:
            value = OTHER_VALUES
        self._groups.setdefault(value, _GroupTally()).add(job)

    def _count_cause(self, job: EndedJob) -> None:
        # These have no errno of their own, but may keep that of an attempt before.
        own = _OWN_CAUSES.get(job.state)
        errno, sentence = (str(job.state), own) if own else (masked(job.errno), masked(job.error))
        if errno not in self._causes and len(self._causes) >= _MOST_ERRNOS:
            errno, sentence = OTHER, "further codes"
        self._causes.setdefault(errno, (sentence, Counter()))[1][job.state] += 1

    def report(
        self,
        *,
        made_at: float,
        retain_s: int,
        stock: Sequence[int],
        limits: Mapping[str, float],
        now: Mapping[str, PbxNow],
        with_extensions: bool,
    ) -> Report:
        """
        Return what was counted, as a report.

        Args:
            made_at: Unix seconds.
            retain_s: How long records are kept.
            stock: Jobs handed in and not ended, at each edge of the bins.
            limits: Calls per minute of each PBX in the settings.
            now: What each of them has to do now.
            with_extensions: Whether extensions are told.
        """
        everywhere = self._all
        return Report(
            span=self._span,
            made_at=made_at,
            retain_s=retain_s,
            ends=_ends(everywhere.ends),
            latency=everywhere.latency(),
            attempts=everywhere.attempts,
            flow=everywhere.flow(sum(limits.values()) if limits else None),
            ended=tuple(_ends(counts) for counts in self._ended),
            stock=tuple(stock),
            pbxs=tuple(self._pbx_parts(limits, now)),
            causes=tuple(self._cause_parts()),
            tries=tuple(self._try_parts()),
            extensions=tuple(self._extension_parts()) if with_extensions else None,
            extension_count=len(self._extensions),
            unknowns=tuple(
                self._unknowns if with_extensions else (replace(job, extid="") for job in self._unknowns)
            ),
            busiest=everywhere.peak(),
            by=self._by,
            groups=tuple(self._group_parts()) if self._by is not None else None,
        )

    def _pbx_parts(self, limits: Mapping[str, float], now: Mapping[str, PbxNow]) -> list[PbxPart]:
        for name in limits:
            self._pbxs.setdefault(name, _PbxTally(self._span))
        parts = [
            PbxPart(
                name,
                _ends(pbx.ends),
                pbx.attempts,
                pbx.latency(),
                pbx.flow(limits.get(name)),
                now.get(name),
                pbx.peak(),
            )
            for name, pbx in self._pbxs.items()
        ]
        return sorted(parts, key=lambda part: (-part.ends.placed, -part.ends.total, part.name))

    def _group_parts(self) -> list[GroupPart]:
        parts = [
            GroupPart(value, _ends(group.ends), group.attempts, _latency(group.waits))
            for value, group in self._groups.items()
        ]
        return sorted(parts, key=lambda part: (-part.ends.total, part.value))

    def _cause_parts(self) -> list[Cause]:
        causes = [Cause(errno, text, _ends(counts)) for errno, (text, counts) in self._causes.items()]
        return nsmallest(MOST_CAUSES, causes, key=lambda cause: (-cause.ends.total, cause.errno))

    def _try_parts(self) -> list[Tries]:
        most = max((attempts for attempts, _ in self._tries), default=0)
        return [Tries(number, self._tries[number, True], self._tries[number, False]) for number in range(most + 1)]

    def _extension_parts(self) -> list[ExtensionPart]:
        busiest = nsmallest(
            MOST_EXTENSIONS, self._extensions.items(), key=lambda item: (-item[1].total(), item[0])
        )
        return [ExtensionPart(pbx, extid, _ends(counts)) for (pbx, extid), counts in busiest]


def _latency(waits: Waits) -> Latency:
    median, p95, p99 = (waits.quantile(share) for share in (0.5, 0.95, 0.99))
    return Latency(waits.count, median, p95, p99, waits.longest_s, tuple(waits.bars))


def _ends(counts: Counter[JobState]) -> Ends:
    return Ends(**{state.value: counts[state] for state in ENDS})
