"""What the hopper knows of one job and all that surrounds it, also where somebody spoiled its record."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from worker.hopper import Hopper, Pause, pause_of
from worker.jobs import DialResult, JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """
    One answer of `Hopper.why`; each field is described at the top of `worker/hopper/scripts/why.lua`.

    Times are unix seconds, 0 where there is none; words and ids are empty where there is none. `state` is
    `damaged` for a record nobody can work with, and `damage` says why. `pauses` are those that hold the
    job back and whose authors are known.
    """

    state: str
    damage: str = ""
    now: float = 0
    pbx: str = ""
    extid: str = ""
    due: float = 0
    expires_at: float = 0
    attempts: int = 0
    errno: str = ""
    error: str = ""
    doubt: str = ""
    doubted_at: float = 0
    claimed_at: float = 0
    released_at: float = 0
    position: int = -1
    lane_length: int = 0
    ahead: str = ""
    lanes_ahead: int = 0
    lease_until: float = 0
    leased_to: str = ""
    leased_state: str = ""
    paused: bool = False
    all_paused: bool = False
    extension_paused: bool = False
    pauses: tuple[Pause, ...] = ()
    known: bool = False
    breaker: str = "closed"
    barred_until: float = 0
    barred_since: float = 0
    barred_reason: str = ""
    barred_by: str = ""
    logged_in: bool = False
    logging_in: bool = False
    lines: int = 0
    most_lines: int = 0
    lines_placed: int = 0
    line_free_at: float = 0
    released: int = 0
    permit_in_s: float = 0
    open_call_s: float = 0
    extension_rest_s: float = 0
    held_why: str = ""
    refusal: str = ""
    workers: int = 0
    slots: int = 0
    starved: bool = False

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """Read an answer that names a job; what a later version tells besides is left out."""
        known = {field.name for field in fields(cls)}
        told = {name: value for name, value in answer.items() if name in known}
        authors = answer.get("pauses") or {}
        return cls(**told | {"pauses": tuple(pause_of(place, authors[place]) for place in sorted(authors))})

    def pause(self, pbx: str, extid: str = "") -> Pause | None:
        """Return who set a pause that holds the job back; None if that is not known."""
        return next((one for one in self.pauses if (one.pbx, one.extid) == (pbx, extid)), None)

    @property
    def is_damaged(self) -> bool:
        """Whether nobody can work with the record."""
        return self.state == "damaged"

    @property
    def is_final(self) -> bool:
        """Whether the job's life is over."""
        return not self.is_damaged and JobState(self.state).is_final

    @property
    def is_doubted(self) -> bool:
        """Whether the job is claimed and nobody knows whether it rang."""
        return self.state == JobState.CLAIMED and bool(self.doubt)


def facts_of(hopper: Hopper, job_id: str) -> Facts | None:
    """
    Ask the hopper about one job; None if there is none.

    Raises:
        redis.exceptions.RedisError: If Redis does not answer.
    """
    answer = hopper.why(job_id)
    return Facts.of(answer) if answer else None


def readable_result(job_id: str, record: Mapping[str, str]) -> DialResult | None:
    """Return what a record tells of its job; None if there is too much in it that nobody can read."""
    try:
        return DialResult.from_record(job_id, record)
    except ValueError:
        return None
