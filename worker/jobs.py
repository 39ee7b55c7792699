"""The contract: what a dial job is, what its result is, which states it goes through. No I/O."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from worker.errors import InputRefused

# Job ids made from keys live in a name space of their own (RFC 9562, section 5.5).
_KEY_NAMESPACE = uuid.UUID("6f2b7f0e-5a0f-4f5c-9d55-0d1a1f0c0d1a")

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


def digits_given_as_int(value: Any) -> Any:
    """Return a number that is meant as digits as their text, and anything else as it is."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else value


def _yes_or_no(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    words = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}
    return words.get(value.lower(), value) if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _iso_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _has_a_time_in_utc(moment: datetime) -> datetime:
    try:
        moment.astimezone(UTC)
    except OverflowError:  # the first hours of year 1, and the last of 9999
        raise PydanticCustomError("moment_out_of_range", "has no time in UTC") from None
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_has_a_time_in_utc), PlainSerializer(_iso_utc, when_used="json")]


class DialJob(BaseModel):
    """
    One wish: extension `extid` is to call `outto` on PBX `pbx`.

    Fields have the names, types and limits that every door (CLI, CSV, HTTP) shares; an unknown field is an
    error. `metadata` is a flat map of text that comes back with the result: put the CRM's record id here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)

    extid: Annotated[str, BeforeValidator(digits_given_as_int), Field(pattern=r"^[0-9]{1,10}$")]
    outto: Annotated[str, BeforeValidator(digits_given_as_int)] = Field(pattern=r"^[0-9*#+]{1,32}$", repr=False)
    autoanswer: Annotated[Literal["yes", "no"], BeforeValidator(_yes_or_no)] = "no"
    pbx: Annotated[str, Field(pattern=PBX_NAME)] | None = None
    priority: Annotated[Priority, BeforeValidator(_lower)] = Priority.NORMAL
    key: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    not_before: Moment | None = None
    expires_at: Moment | None = None
    on_unknown: Annotated[Literal["hold", "redial"], BeforeValidator(_lower)] = "hold"
    metadata: Annotated[dict[str, str], Field(max_length=32)] = Field(default_factory=dict)

    @field_validator("metadata")
    @classmethod
    def _metadata_is_small(cls, metadata: dict[str, str]) -> dict[str, str]:
        if any(len(name) > 64 or len(text) > 500 for name, text in metadata.items()):
            raise ValueError("metadata names have at most 64 characters and values at most 500")
        try:
            "".join([*metadata, *metadata.values()]).encode()
        except UnicodeEncodeError:
            raise ValueError("metadata must be text that can be written as UTF-8") from None
        return metadata

    @model_validator(mode="after")
    def _expires_after_it_may_begin(self) -> Self:
        if self.not_before and self.expires_at and self.expires_at <= self.not_before:
            raise ValueError("expires_at must be later than not_before")
        return self

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        """
        Build a job from outside data.

        Args:
            fields: Names and values as a CRM, a file or a person gave them.

        Raises:
            InputRefused: With one sentence per wrong field.
        """
        try:
            return cls.model_validate(dict(fields))
        except ValidationError as refused:
            raise InputRefused(_sentences(refused)) from None

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
    where they are not known, and there is no number. `errno` is a word, `error` a sentence that quotes no number.
    """

    errno: str
    error: str
    key: str | None = None
    pbx: str = ""
    extid: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

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


_WHAT_WOULD_BE_RIGHT = {
    "extid": "give 1 to 10 digits",
    "outto": "give 1 to 32 characters of 0-9 * # +",
    "autoanswer": "give yes or no",
    "pbx": "give the name of a PBX in the settings (a-z 0-9 _ -)",
    "priority": "give urgent, normal or bulk",
    "key": "give 1 to 200 characters",
    "not_before": "give a time with its offset, such as 2026-11-23T09:00:00Z",
    "expires_at": "give a time with its offset, such as 2026-11-23T17:00:00Z",
    "on_unknown": "give hold or redial",
    "metadata": "give a flat map of at most 32 texts",
}


def shown(field: str, value: Any) -> str:
    """Return *value* for an error sentence; digits of a telephone number are masked but for the last two."""
    text = str(value)
    if field == "outto":
        text = re.sub(r"[0-9](?=.*[0-9].*[0-9])", "x", text)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _sentences(refused: ValidationError) -> list[str]:
    sentences = []
    for problem in refused.errors(include_url=False, include_context=False):
        field = str(problem["loc"][0]) if problem["loc"] else ""
        if problem["type"] == "missing":
            sentences.append(f"{field}: is missing; {_WHAT_WOULD_BE_RIGHT.get(field, 'use text')}")
        elif problem["type"] == "extra_forbidden":
            sentences.append(f"{field}: is not a field of a dial job; use {', '.join(DialJob.model_fields)}")
        elif problem["type"] == "value_error":
            sentences.append(problem["msg"].removeprefix("Value error, "))
        else:
            right = _WHAT_WOULD_BE_RIGHT.get(field, "use text")
            sentences.append(f"{field}: {shown(field, problem['input'])} is not right; {right}")
    return sentences
