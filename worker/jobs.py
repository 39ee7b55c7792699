"""The contract: what a dial job is, what its result is, which states it goes through. No I/O."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from worker.errors import InputRefused
from worker.fields import (
    Digits,
    GivenTime,
    Metadata,
    Moment,
    in_lower_case,
    sentences_of,
    without_absent,
    yes_or_no,
)

# Job ids made from keys live in a name space of their own (RFC 9562, section 5.5).
_KEY_NAMESPACE = uuid.UUID("6f2b7f0e-5a0f-4f5c-9d55-0d1a1f0c0d1a")

EXTID = r"^[0-9]{1,10}$"
PBX_NAME = r"^[a-z0-9][a-z0-9_-]{0,31}$"


def id_of_key(key: str) -> str:
    """Return the id of the job whose key this is."""
    return str(uuid.uuid5(_KEY_NAMESPACE, key))


class JobState(StrEnum):
    """Where a job is in its life; see `docs/adr/0007-steps-and-deaths.md` for the moves between states."""

    WAITING = "waiting"  # in its lane, or parked until a due time
    RELEASED = "released"  # handed to Celery
    CLAIMED = "claimed"  # a worker is about to ring, or has just rung
    PLACED = "placed"  # the PBX took the call and gave a callid
    FAILED = "failed"  # certainly did not ring, and will not be tried again
    UNKNOWN = "unknown"  # may have rung; the reply was lost
    CANCELLED = "cancelled"  # withdrawn before any call
    EXPIRED = "expired"  # its time ran out before any call
    REFUSED = "refused"  # a rule forbids the call

    @property
    def is_final(self) -> bool:
        """Whether the job's life is over (an unknown one may still be resolved)."""
        return self not in (JobState.WAITING, JobState.RELEASED, JobState.CLAIMED)


class Doubt(StrEnum):
    """Why nobody knows whether a claimed job rang."""

    LOST_REPLY = "lost_reply"  # the request was sent, and no readable reply came
    SAID_FAILED = "said_failed"  # the PBX answered Failed with a code that proves nothing
    WORKER_LOST = "worker_lost"  # the worker died, or was frozen for too long, while it dialed


class Priority(StrEnum):
    """Which jobs of one PBX go first."""

    URGENT = "urgent"
    NORMAL = "normal"
    BULK = "bulk"

    @property
    def rank(self) -> int:
        """0 for urgent, 1 for normal, 2 for bulk: the order in a lane."""
        return _RANKS[self]


_RANKS = {priority: rank for rank, priority in enumerate(Priority)}


class DialJob(BaseModel):
    """
    One request: extension `extid` calls `outto` on PBX `pbx`.

    Every door (Python, command line, CSV, NDJSON, HTTP) shares these names, types and limits; an unknown field is
    an error, and None means that a field is not given. `metadata` is a flat map of text that comes back with the
    result: put the CRM's record id there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)

    extid: Annotated[Digits, Field(pattern=EXTID)]
    outto: Digits = Field(pattern=r"^[0-9*#+]{1,32}$", repr=False)
    autoanswer: Annotated[Literal["yes", "no"], BeforeValidator(yes_or_no)] = "no"
    pbx: Annotated[str, Field(pattern=PBX_NAME)] | None = None
    priority: Annotated[Priority, BeforeValidator(in_lower_case)] = Priority.NORMAL
    key: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    not_before: GivenTime | None = None
    expires_at: GivenTime | None = None
    on_unknown: Annotated[Literal["hold", "redial"], BeforeValidator(in_lower_case)] = "hold"
    metadata: Metadata = Field(default_factory=dict)

    _without_absent = model_validator(mode="before")(without_absent)

    @field_validator("expires_at")
    @classmethod
    def _expires_after_it_may_begin(cls, expires_at: datetime | None, others: ValidationInfo) -> datetime | None:
        not_before = others.data.get("not_before")
        if expires_at and not_before and expires_at <= not_before:
            raise PydanticCustomError("too_early", "a time later than not_before")
        return expires_at

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """
        Build a job from outside data.

        Args:
            fields: Names and values as a CRM, a file or a person gave them.

        Raises:
            InputRefused: With one sentence for each wrong field.
        """
        try:
            return cls.model_validate(dict(fields))
        except ValidationError as refused:
            raise InputRefused(sentences_of(refused, cls.model_fields)) from None

    def job_id(self) -> str:
        """
        Return the id this job lives under: made from its key, or random without one.

        The same key always gives the same id, so the record itself is what detects repeats.
        """
        return id_of_key(self.key) if self.key else str(uuid.uuid4())

    def fingerprint(self, *, without: frozenset[str] = frozenset()) -> str:
        """
        Return 16 hex digits over what the job asks for, to tell a repeat from another job under its key.

        Args:
            without: Fields left out, because the caller computed them from the present time.
        """
        asked = self.model_dump(mode="json", exclude={"key", *without})
        return sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class RefusedJob:
    """
    A wish that a rule forbids: kept as a job in state `refused`, so that its result goes the usual way.

    It was never a `DialJob`, for what it was refused for may be that it cannot be one: `pbx` and `extid` are empty
    where they are not known. `errno` is a word, `error` a sentence that quotes no number. `asked` has what a
    redial needs, once the rule has changed: the fields of a job as they came, and `country` and `home` as in
    `Dialer.job_for`; it holds the number, and is empty where there is none or no extension.
    """

    errno: str
    error: str
    key: str | None = None
    pbx: str = ""
    extid: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict, repr=False)

    def job_id(self) -> str:
        """Return the id this job lives under; see `DialJob.job_id`."""
        return id_of_key(self.key) if self.key else str(uuid.uuid4())


class DialResult(BaseModel):
    """
    What came of a job; never holds the telephone number.

    Times are UTC. `callid` is the PBX's id of the call (`epoch.sequence`) when one was placed. Where the reply was
    lost and the call was found running, it may be missing; then `outboundid` is the PBX's id of the call's
    outbound leg, which is another number. `errno` is the PBX's code as it gave it, or a word of ours
    (`unreachable`, `no_reply`, `http_307`, …).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    job_id: str
    state: JobState
    callid: str | None = None
    outboundid: str | None = None
    errno: str | None = None
    error: str | None = None
    pbx: str
    extid: str
    attempts: int = 0
    enqueued_at: Moment
    placed_at: Moment | None = None
    finished_at: Moment | None = None
    metadata: dict[str, str] = Field(default_factory=dict)

    @classmethod
    def from_record(cls, job_id: str, record: Mapping[str, str]) -> Self:
        """
        Read a result out of a job's record, whichever version wrote it.

        Args:
            job_id: The record's id.
            record: Field names and texts as the hopper stores them; times are unix seconds.
        """
        metadata = record.get("metadata") or "{}"
        # What a rule forbade may lack the very thing it was forbidden for.
        missing = {"pbx": "", "extid": ""} if record.get("state") == JobState.REFUSED else {}
        return cls.model_validate({**missing, **record, "job_id": job_id, "metadata": json.loads(metadata)})

    def plain(self) -> dict[str, Any]:
        """Return the result as JSON-ready values, the form every backend and CRM gets."""
        return self.model_dump(mode="json")

    def sentence(self) -> str:
        """Return what happened in one line for a person."""
        if self.state is JobState.PLACED:
            known = f"with callid {self.callid}" if self.callid else f"as outbound call {self.outboundid}"
            return f"placed {known}"
        cause = ": ".join(part for part in (self.errno, self.error) if part)
        return f"{self.state}: {cause}" if cause else str(self.state)
