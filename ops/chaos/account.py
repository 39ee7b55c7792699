"""
The account of a run: what rang, held against what the records say. No I/O and no clock.

Every check is a function of one job that returns what is wrong in one sentence, or nothing; `CHECKS` lists them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ops.chaos.plan import Deed
from ops.pbx_simulator import Hit, Ring
from worker.jobs import JobState

# A call that ends so soon after the doubt began may be over before anybody can have looked.
_A_LOOK_S: Final = 1.0
# Server, simulator and this process share one machine's clock; their stamps are taken some milliseconds apart.
_SLACK_S = 0.5
_DIAL: Final = "dial_outbound"


class Traits(Protocol):
    """What judging must know of a kind of fault; see `ops.chaos.faults.fault.Fault`."""

    @property
    def stops_dialing(self) -> bool:
        """Whether no call can be placed while it lasts."""

    @property
    def spoils(self) -> bool:
        """Whether it explains an unknown outcome by its time alone."""

    @property
    def lingers_s(self) -> float:
        """How long after its end it still does."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a job's timeline; `at` is unix seconds."""

    at: float
    state: str
    who: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """
    One job as it was handed in, and what the parts left behind of it.

    Attributes:
        may_ring_again: It was handed in with `on_unknown=redial`.
        record: Field names and texts as stored, without the number; empty if there is no record.
        timeline: Oldest first; empty if the product keeps none.
        delivered: The state that the results backend tells, empty for no result; None if nobody looked.
    """

    job_id: str
    pbx: str
    extid: str
    outto: str = field(repr=False)
    may_ring_again: bool = False
    record: Mapping[str, str] = field(default_factory=dict)
    timeline: Sequence[Moment] = ()
    delivered: str | None = None

    @property
    def state(self) -> str:
        """The record's state; empty without a record."""
        return self.record.get("state", "")

    @property
    def is_final(self) -> bool:
        """Whether it is over."""
        return self.state in set(JobState) and JobState(self.state).is_final

    @property
    def doubted_at(self) -> float | None:
        """When the product last began to doubt what became of it; None if it never did. Unix seconds."""
        doubts = [moment.at for moment in self.timeline if moment.state == "doubted"]
        if doubts:
            return doubts[-1]
        is_doubtful = self.state == JobState.UNKNOWN or "outboundid" in self.record
        return float(self.record.get("finished_at", 0)) if is_doubtful and not self.timeline else None

    @property
    def attempt(self) -> tuple[float, float]:
        """From its last claim to the doubt or the end; unix seconds."""
        end = self.doubted_at or float(self.record.get("finished_at", 0))
        claims = [moment.at for moment in self.timeline if moment.state == "claimed" and moment.at <= end]
        return (claims[-1] if claims else float(self.record.get("claimed_at", 0))), end


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that must not be; `job` is None where it belongs to none."""

    kind: str
    sentence: str
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    All that is known after a run.

    Attributes:
        rings: Of each PBX.
        hits: Requests that a PBX's faults acted on.
        traits: Of each kind of fault.
        call_s: How long a call is up.
        handed_in_until: When the last job was handed in; unix seconds.
        complaints: Of the producer, and leaks in logs; each is a violation by itself.
    """

    jobs: Sequence[Job]
    rings: Mapping[str, Sequence[Ring]]
    hits: Mapping[str, Sequence[Hit]]
    deeds: Sequence[Deed]
    traits: Mapping[str, Traits]
    call_s: float
    handed_in_until: float
    complaints: Sequence[Violation] = ()


class Account:
    """The judgement on a run, made once from the evidence."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self._rings: dict[tuple[str, str, str], list[Ring]] = {}
        for pbx, rings in evidence.rings.items():
            for ring in rings:
                self._rings.setdefault((pbx, ring.extid, ring.outto), []).append(ring)
        self._hits: dict[tuple[str, str | None, str | None], list[Hit]] = {}
        for pbx, hits in evidence.hits.items():
            for hit in hits:
                self._hits.setdefault((pbx, hit.extid, hit.outto), []).append(hit)
        self.states = Counter(job.state or "gone" for job in evidence.jobs)
        self.violations = self._judge()

    @property
    def held(self) -> bool:
        """Whether the promises were kept."""
        return not self.violations

    def rings_of(self, job: Job) -> list[Ring]:
        """Return how its phone rang, oldest first."""
        return self._rings.get((job.pbx, job.extid, job.outto), [])

    def hits_of(self, job: Job) -> list[Hit]:
        """Return the faults of its PBX that acted on its own dial requests."""
        return [hit for hit in self._hits.get((job.pbx, job.extid, job.outto), []) if hit.resource == _DIAL]

    def deeds_around(self, began_at: float, ended_at: float, pbx: str) -> list[Deed]:
        """Return the faults between two times that could have to do with a PBX's calls."""
        return [
            deed
            for deed in self.evidence.deeds
            if not deed.missed
            and deed.began_at <= ended_at + _SLACK_S
            and deed.ended_at + self._lingers_s(deed) >= began_at - _SLACK_S
            and self._struck_pbx(deed) in (None, pbx)
        ]

    def count(self, kind: str) -> int:
        """Return how many violations of one kind there are."""
        return sum(violation.kind == kind for violation in self.violations)

    # --- numbers for the table -------------------------------------------------------------------------------

    def adopted(self) -> list[Job]:
        """Return the jobs whose call was found on the PBX after its reply was lost."""
        return [job for job in self.evidence.jobs if job.state == JobState.PLACED and "outboundid" in job.record]

    def unknown_that_rang(self) -> list[Job]:
        """Return the jobs that ended as unknown and had rung."""
        return [job for job in self.evidence.jobs if job.state == JobState.UNKNOWN and self.rings_of(job)]

    def redials(self) -> tuple[int, int, int]:
        """Return how many jobs may ring more than once, how many of them were tried again, and rang again."""
        jobs = [job for job in self.evidence.jobs if job.may_ring_again]
        tried_again = sum(int(job.record.get("attempts", 0)) > 1 for job in jobs)
        return len(jobs), tried_again, sum(len(self.rings_of(job)) > 1 for job in jobs)

    def doubtful_in_call(self) -> list[Job]:
        """Return the jobs that rang, were doubted, and whose call was still up when the doubt began."""
        return [job for job in self.evidence.jobs if job.doubted_at and self._is_up(job, job.doubted_at)]

    def resolved(self) -> list[Job]:
        """Return those of `doubtful_in_call` that are known to be placed."""
        return [job for job in self.doubtful_in_call() if job.state == JobState.PLACED]

    def out_of_sight(self) -> list[Job]:
        """Return those of `doubtful_in_call` that are unknown, and whose call was over a second later."""
        return [
            job
            for job in self.doubtful_in_call()
            if job.state == JobState.UNKNOWN and not self._is_up(job, (job.doubted_at or 0) + _A_LOOK_S)
        ]

    def struck(self) -> Counter[str]:
        """Return how many faults of each kind were carried out."""
        return Counter(deed.kind for deed in self.evidence.deeds if not deed.missed)

    def worst_recovery(self) -> tuple[float, Deed] | None:
        """
        Return the longest time from the end of a fault that stops dialing to the next ring, and the fault.

        Faults that ended when no more jobs came in, or within another such fault, are left out.
        """
        stopping = [deed for deed in self.evidence.deeds if not deed.missed and self._traits(deed).stops_dialing]
        times = [
            (next_ring - deed.ended_at, deed)
            for deed in stopping
            if deed.ended_at < self.evidence.handed_in_until and not self._overlapped(deed, stopping)
            if (next_ring := self._next_ring(deed)) is not None
        ]
        return max(times, key=lambda pair: pair[0], default=None)

    def longest_standstill(self) -> float | None:
        """Return for how long a job that a killed worker had, or might have had, stood still; None if none did."""
        gaps = [
            after.at - deed.ended_at
            for deed in self.evidence.deeds
            if deed.killed and not deed.missed
            for job in self.evidence.jobs
            for before, after in zip(job.timeline, job.timeline[1:], strict=False)
            if before.at <= deed.ended_at < after.at and _is_in_hands_of(before, deed.killed)
        ]
        return max(gaps, default=None)

    # --- the judgement ---------------------------------------------------------------------------------------

    def _judge(self) -> list[Violation]:
        found = [
            Violation(kind, sentence, job)
            for job in self.evidence.jobs
            for kind, check in CHECKS.items()
            if (sentence := check(self, job))
        ]
        return [*found, *self._rings_of_nobody(), *self.evidence.complaints]

    def _rings_of_nobody(self) -> Iterable[Violation]:
        known = {(job.pbx, job.extid, job.outto) for job in self.evidence.jobs}
        for pbx, extid, outto in self._rings.keys() - known:
            yield Violation(
                "rang for nobody", f"extension {extid} of {pbx} rang for ..{outto[-2:]}, which no job asked"
            )

    def _is_up(self, job: Job, at: float) -> bool:
        """Whether a call of the job was under way; a restart of its PBX ends all calls."""
        return any(
            ring.t <= at + _SLACK_S
            and at < ring.t + self.evidence.call_s
            and not self._restarted(job.pbx, ring.t, at)
            for ring in self.rings_of(job)
        )

    def _restarted(self, pbx: str, since: float, until: float) -> bool:
        by_hand = (d.began_at for d in self.evidence.deeds if d.kind == "pbx restarted" and d.part == pbx)
        by_calls = (hit.t for hit in self.evidence.hits[pbx] if hit.kind == "restart")
        return any(since <= at <= until for at in (*by_hand, *by_calls))

    def _traits(self, deed: Deed) -> Traits:
        return self.evidence.traits[deed.kind]

    def _lingers_s(self, deed: Deed) -> float:
        return self._traits(deed).lingers_s

    def _struck_pbx(self, deed: Deed) -> str | None:
        """Return the PBX a fault belongs to, None for one of the common parts."""
        word = deed.part.split()[-1]
        return word if word in self.evidence.rings else None

    def _overlapped(self, deed: Deed, stopping: Sequence[Deed]) -> bool:
        return any(
            other is not deed
            and other.began_at <= deed.ended_at < other.ended_at
            and self._struck_pbx(other) in (None, self._struck_pbx(deed))
            for other in stopping
        )

    def _next_ring(self, deed: Deed) -> float | None:
        pbx = self._struck_pbx(deed)
        names = [pbx] if pbx else list(self.evidence.rings)
        later = (ring.t for name in names for ring in self.evidence.rings[name] if ring.t >= deed.ended_at)
        return min(later, default=None)


def _is_in_hands_of(moment: Moment, killed: Sequence[str]) -> bool:
    """A claimed job is in its worker's hands; a released one may be in anybody's."""
    # The timeline keeps a name's first letters only.
    is_killed = bool(moment.who) and any(name.startswith(moment.who) for name in killed)
    return moment.state == "released" or (moment.state == "claimed" and is_killed)


def lost(account: Account, job: Job) -> str | None:  # noqa: ARG001
    """No job is lost: each has a record, and the record is final."""
    if not job.record:
        return "there is no record of it"
    return None if job.is_final else f"it is still {job.state}"


def rung_twice(account: Account, job: Job) -> str | None:
    """No phone rings twice for one job, unless the job asked for that."""
    times = len(account.rings_of(job))
    return f"it rang {times} times" if times > 1 and not job.may_ring_again else None


def placed_without_ring(account: Account, job: Job) -> str | None:
    """A placed job has rung, under the id that its record gives."""
    if job.state != JobState.PLACED:
        return None
    rings, callid, outboundid = account.rings_of(job), job.record.get("callid"), job.record.get("outboundid")
    if not callid and not outboundid:
        return "it is placed and has neither callid nor outboundid"
    if callid and callid not in {ring.callid for ring in rings}:
        return f"it is placed with callid {callid}, which did not ring for it"
    if outboundid and outboundid not in {_outbound_leg(ring.callid) for ring in rings}:
        return f"it is placed with outboundid {outboundid}, which is no call of it"
    return None


def rang_against_record(account: Account, job: Job) -> str | None:
    """What certainly did not ring has not."""
    did_not = (JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED, JobState.REFUSED)
    rang = account.rings_of(job)
    return f"it is {job.state} and rang" if job.state in did_not and rang and not job.may_ring_again else None


def unknown_without_cause(account: Account, job: Job) -> str | None:
    """An unknown outcome has a fault behind it, at its own request or at its time."""
    if job.state != JobState.UNKNOWN:
        return None
    began_at, ended_at = job.attempt
    if any(began_at - _SLACK_S <= hit.t <= ended_at + _SLACK_S for hit in account.hits_of(job)):
        return None
    around = account.deeds_around(began_at, ended_at, job.pbx)
    if any(account.evidence.traits[deed.kind].spoils for deed in around):
        return None
    return f"it is unknown ({job.record.get('errno', 'no errno')}), and no fault touched it"


def failed_without_cause(account: Account, job: Job) -> str | None:
    """A job fails by its own failures alone: each attempt it has spent met a fault at its own request."""
    if job.state != JobState.FAILED:
        return None
    attempts, own = int(job.record.get("attempts", 0)), len(account.hits_of(job))
    if attempts and own >= attempts:
        return None
    why = job.record.get("errno", "no errno")
    return f"it failed ({why}) after {attempts} attempts, and {own} faults touched its requests"


def told_otherwise(account: Account, job: Job) -> str | None:  # noqa: ARG001
    """The results backend tells what the record says."""
    if job.delivered is None or not job.is_final or job.delivered == job.state:
        return None
    return f"it is {job.state}, and the results backend says {job.delivered or 'nothing'}"


def _outbound_leg(callid: str) -> str:
    """The simulator numbers a call's outbound leg one higher (see `ops.pbx_simulator.switchboard`)."""
    epoch, _, sequence = callid.partition(".")
    return f"{epoch}.{int(sequence) + 1}"


CHECKS: Final[Mapping[str, Callable[[Account, Job], str | None]]] = {
    "lost": lost,
    "rung twice": rung_twice,
    "placed without a ring": placed_without_ring,
    "rang against its record": rang_against_record,
    "unknown without a cause": unknown_without_cause,
    "failed without a cause": failed_without_cause,
    "told otherwise": told_otherwise,
}
