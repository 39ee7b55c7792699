"""Ended jobs that a person brings back: which of them can be dialed, where, and with which number."""

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Self

from producers.enqueue import Dialer
from producers.masking import masked
from producers.numbers import number_on
from worker.errors import InputRefused
from worker.hopper import Hopper, Redial, Redialed
from worker.jobs import JobState

# Jobs that have certainly not rung, and that no person or rule has ended.
UNPLACED = (JobState.FAILED, JobState.EXPIRED)
LONGEST_REASON = 200
_SENTENCES = {
    "not_ended": "has not ended: it is {state}; `outdial why {id}` names what holds it",
    "placed": "was placed, and its phone rang; enqueue a new job to call again",
    "may_have_rung": "may have rung already; --even-if-rung dials it all the same",
    "moved": "was moved to another PBX meanwhile",
    "no_number": "was refused before it had a number; enqueue it again",
    "gone": "has no record any more",
    "damaged": "has a damaged record; enqueue it again under another key",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What would become of one job.

    `redial` is None where it stays as it is; then `word` is why, as in `Redialed`, or `number` where the other PBX
    cannot dial its number. `problem` is that as a sentence without the number. `from_state` is its state, None
    without a record.
    """

    job_id: str
    word: str
    from_state: JobState | None = None
    from_pbx: str = ""
    redial: Redial | None = None
    problem: str = ""

    def plain(self) -> dict[str, object]:
        """Return the plan as JSON-ready values; `pbx` is where the job is, or would be, in the end."""
        to_pbx = self.redial.target if self.redial and not self.problem else ""
        return {
            "job_id": self.job_id,
            "outcome": self.word,
            "from_state": self.from_state,
            "from_pbx": self.from_pbx or None,
            "pbx": to_pbx or self.from_pbx or None,
            "problem": self.problem or None,
        }


@dataclass(slots=True)
class RedialCount:
    """How many jobs would come back or came back, by state and by PBX, and why others stay."""

    states: Counter[str] = field(default_factory=Counter)
    moves: Counter[str] = field(default_factory=Counter)
    stay: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """Jobs that come back."""
        return sum(self.states.values())

    @classmethod
    def of(cls, plans: Iterable[Plan]) -> Self:
        """Count some plans."""
        counted = cls()
        for plan in plans:
            if plan.redial is None:
                counted.stay[plan.word] += 1
                continue
            counted.states[str(plan.from_state)] += 1
            if plan.redial.target not in ("", plan.from_pbx):
                counted.moves[plan.from_pbx] += 1
        return counted


@dataclass(frozen=True, slots=True)
class Redialing:
    """
    One request of a person to bring jobs back.

    Args:
        dialer: The door.
        hopper: Where the jobs are, on behalf of the person who asks.
        to_pbx: The PBX that is to dial them; None: each stays on its own.
        even_if_rung: Also those whose state is unknown.
        expires_in_s: How long each has from now on, in seconds; None: its own time, as much again if it is over.
        why: The person's words.
        mark: Names the request; the same request again brings no job back twice.
    """

    dialer: Dialer
    hopper: Hopper
    to_pbx: str | None = None
    even_if_rung: bool = False
    expires_in_s: float | None = None
    why: str = ""
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def default_states(self) -> tuple[JobState, ...]:
        """The states that a filter is about where a person names none."""
        return (*UNPLACED, JobState.UNKNOWN) if self.even_if_rung else UNPLACED

    def plans(self, job_ids: Iterable[str]) -> Iterator[Plan]:
        """
        Yield what would become of each job, in order; changes nothing.

        Raises:
            redis.exceptions.RedisError: If Redis does not answer.
        """
        ids = iter(job_ids)
        while batch := list(islice(ids, Hopper.REDIAL_BATCH)):
            for job_id, record in self.hopper.records(batch).items():
                yield self._plan(job_id, record)

    def carry_out(self, plans: Iterable[Plan]) -> Iterator[Plan]:
        """
        Bring back the jobs of some plans; yields each as it came out.

        Where the process dies, batches of 100 jobs have come back or not; the same command goes on with the rest.

        Raises:
            redis.exceptions.RedisError: If Redis does not answer.
        """
        source = iter(plans)
        while batch := list(islice(source, Hopper.REDIAL_BATCH)):
            redials = [plan.redial for plan in batch if plan.redial is not None]
            answers = {answer.job_id: answer for answer in self._redialed(redials)}
            for plan in batch:
                answer = answers.get(plan.job_id)
                yield plan if answer is None or answer.is_done else _stays(plan, answer.word, answer.state)

    def _redialed(self, redials: Sequence[Redial]) -> list[Redialed]:
        if not redials:
            return []
        return self.hopper.redial(
            redials,
            mark=self.mark,
            why=masked(self.why),
            even_if_rung=self.even_if_rung,
            expires_in_s=self.expires_in_s,
        )

    def _plan(self, job_id: str, record: Mapping[str, str]) -> Plan:
        known = record.get("state", "")
        state = JobState(known) if known in list(JobState) else None
        plan = Plan(job_id, "redialed", state, record.get("pbx", ""))
        if word := self._obstacle(record, state):
            return _stays(plan, word, state)
        try:
            if "outto" not in record:
                return self._redial_refused(plan, json.loads(record["asked"]))
            return self._redial(plan, record["outto"])
        except InputRefused as refused:
            return Plan(job_id, "number", state, plan.from_pbx, problem=masked(str(refused)))

    def _obstacle(self, record: Mapping[str, str], state: JobState | None) -> str | None:
        """Return why a job stays as it is, in the order of `scripts/redial.lua`; None if nothing is in the way."""
        obstacles = {
            "gone": not record,
            "damaged": state is None or record.get("errno") == "damaged",
            "not_ended": state is not None and not state.is_final,
            "placed": state is JobState.PLACED,
            "may_have_rung": state is JobState.UNKNOWN and not self.even_if_rung,
            "no_number": not _has_number(record),
        }
        return next((word for word, is_so in obstacles.items() if is_so), None)

    def _redial_refused(self, plan: Plan, asked: Mapping[str, str]) -> Plan:
        """A job that a rule refused asks again; other rules hold by now, or the same refuse it again."""
        fields = {name: text for name, text in asked.items() if name not in ("country", "home")}
        pbx = self.to_pbx or plan.from_pbx or None
        job = self.dialer.job_for(fields | {"pbx": pbx}, country=asked.get("country"), home=asked.get("home"))
        return replace(plan, redial=Redial(plan.job_id, plan.from_pbx, job=job))

    def _redial(self, plan: Plan, outto: str) -> Plan:
        to_pbx = self.to_pbx or plan.from_pbx
        if plan.from_pbx not in self.dialer.settings.pbx:
            raise InputRefused(
                [f"pbx: it is on {plan.from_pbx!r}, which is not in the settings; enqueue it again"]
            )
        own, other = (self.dialer.settings.pbx[pbx].numbers for pbx in (plan.from_pbx, to_pbx))
        number = number_on(outto, own, other)
        is_moved = to_pbx != plan.from_pbx
        redial = Redial(plan.job_id, plan.from_pbx, to_pbx if is_moved else "", number if is_moved else "")
        return replace(plan, redial=redial)


def _has_number(record: Mapping[str, str]) -> bool:
    if "outto" in record:
        return bool(record.get("pbx") and record.get("extid"))
    return record.get("state") == JobState.REFUSED and "asked" in record


def _stays(plan: Plan, word: str, state: JobState | None) -> Plan:
    sentence = _SENTENCES[word].format(id=plan.job_id, state=state or "gone")
    return Plan(plan.job_id, word, state, plan.from_pbx, problem=sentence)
