"""Ended jobs that a person brings back under their ids."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from worker.hopper.audit import noted
from worker.hopper.looking import Looking
from worker.hopper.orders import record_fields
from worker.jobs import DialJob, JobState

RedialWord = Literal[
    "redialed", "again", "not_ended", "placed", "may_have_rung", "moved", "no_number", "gone", "damaged"
]


@dataclass(frozen=True, slots=True)
class Redial:
    """
    One job to bring back.

    Args:
        job_id: The job.
        pbx: The PBX that it is on.
        to_pbx: Another PBX that is to dial it; empty: it stays.
        outto: The number as the other PBX wants it; empty: as it is.
        job: What a job that was refused asked for, now that no rule forbids it; None for any other job.
    """

    job_id: str
    pbx: str
    to_pbx: str = ""
    outto: str = field(default="", repr=False)
    job: DialJob | None = None

    @property
    def target(self) -> str:
        """The PBX that is to dial it; empty: it stays."""
        return (self.job.pbx or "") if self.job else self.to_pbx

    def plain(self) -> list[Any]:
        """Return it as `scripts/redial.lua` takes it."""
        if self.job is not None:
            return [self.job_id, self.pbx, "", "", record_fields(self.job)]
        return [self.job_id, self.pbx, self.to_pbx, self.outto] if self.to_pbx else [self.job_id, self.pbx]


@dataclass(frozen=True, slots=True)
class Redialed:
    """
    What became of one redial.

    `word` is `redialed`, or `again` where the same request brought it back before; or why the job stays as it is:
    `not_ended`, `placed`, `may_have_rung` (its state is unknown), `moved` (another person moved it meanwhile),
    `no_number` (a rule refused it before it had one), `gone` or `damaged`. `state` is its state now, None if there
    is no such job.
    """

    job_id: str
    word: RedialWord
    state: JobState | None

    @property
    def is_done(self) -> bool:
        """Whether the job waits again because of this request."""
        return self.word in ("redialed", "again")


class Redials(Looking):
    """Part of `worker.hopper.Hopper`."""

    # As many jobs in one step as `put` takes.
    REDIAL_BATCH = 100

    def redial(
        self,
        redials: Sequence[Redial],
        *,
        mark: str,
        why: str = "",
        even_if_rung: bool = False,
        expires_in_s: float | None = None,
    ) -> list[Redialed]:
        """
        Bring ended jobs back into their lanes in one step; the actor, the time and *why* stay in their records.

        A job that waits again has no attempts behind it, and its retries count from now. One whose time had run
        out gets as much time again as it had.

        Args:
            redials: At most REDIAL_BATCH jobs.
            mark: Names this request; the same request again changes nothing.
            why: A person's words.
            even_if_rung: Also jobs whose state is unknown, so that a phone may ring twice.
            expires_in_s: How long each job has from now on, in seconds.

        Returns:
            What became of each, in order. If the process dies meanwhile, all of them were brought back or none.
        """
        request: dict[str, Any] = {"mark": mark, "why": noted(why), "even_if_rung": even_if_rung}
        request["jobs"] = [one.plain() for one in redials]
        if expires_in_s is not None:
            request["expires_in_s"] = expires_in_s
        answer = iter(self._scripts.run("redial", json.dumps(request)))
        return [
            Redialed(one.job_id, word, JobState(state) if state else None)
            for one, word, state in zip(redials, answer, answer, strict=False)
        ]
