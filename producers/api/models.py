"""What the intake takes and gives, for the description of the interface and for those who read it."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from producers.api.schemas import MOMENT, or_null
from producers.enqueue import LONGEST_LIFE_S
from producers.redialing import LONGEST_REASON
from worker.fields import MOST_METADATA, without_absent
from worker.jobs import EXTID, PBX_NAME, DialResult, JobState


def _written_out(value: Any) -> Any:
    # A + that was not encoded comes as a space; and pydantic would take a number for seconds, or milliseconds.
    text = re.sub(r" (?=[0-9]{2}:[0-9]{2}$)", "+", value) if isinstance(value, str) else ""
    if not re.fullmatch(MOMENT, text):
        raise ValueError("give a time with its offset, such as 2026-11-23T09:00:00Z")
    return text


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_written_out),
    Field(json_schema_extra={"pattern": MOMENT}, examples=["2026-11-23T09:00:00Z"]),
]


class Accepted(BaseModel):
    """A job that is kept: nobody has dialed yet."""

    job_id: str = Field(examples=["0190f3f2-5b57-5c3e-9b3a-4f0e8c9d7a11"])
    state: JobState = Field(description="Of the job now; waiting for a new one.", examples=["waiting"])
    is_new: bool = Field(description="False if its key or its request came before.", examples=[True])
    href: str = Field(examples=["/v1/dial-jobs/0190f3f2-5b57-5c3e-9b3a-4f0e8c9d7a11"])


class Held(BaseModel):
    """One thing that holds a job back now."""

    kind: str = Field(description="A stable word, as in `outdial why --help`.", examples=["pbx_paused"])
    sentence: str = Field(examples=["PBX hq is paused"])
    advice: str | None = Field(description="What a person can do.", examples=["`outdial resume hq` lifts that"])
    until: AwareDatetime | None = Field(description="It holds at least so long; null: it may pass at any moment.")
    at_most: AwareDatetime | None = Field(description="It holds no longer; null: not known.")
    job_id: str | None = Field(description="The other job that it is about.")
    needs_person: bool = Field(description="It passes only by what a person does.", examples=[True])


class JobNow(DialResult):
    """A job, and what holds it back."""

    obstacle: Held | None = Field(
        None,
        description="What mainly holds the job back, as `outdial why` has it; null for a job that has ended, or "
        "that nothing holds back.",
    )


class Page(BaseModel):
    """Some jobs, the one handed in last first."""

    jobs: list[DialResult]
    next: str | None = Field(description="The cursor of the next page; null behind the last.", examples=["12345"])


class Filters(BaseModel):
    """Which jobs are to be listed."""

    model_config = ConfigDict(extra="forbid")

    state: list[JobState] = Field(default_factory=list, max_length=len(JobState))
    errno: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(default_factory=list, max_length=20)
    metadata: list[Annotated[str, Field(pattern=r"^[^=]{1,64}=", max_length=600)]] = Field(
        default_factory=list,
        max_length=MOST_METADATA,
        description="NAME=VALUE, exactly.",
        examples=[["lead=L-020"]],
    )
    pbx: str | None = Field(None, pattern=PBX_NAME)
    extid: str | None = Field(None, pattern=EXTID)
    origin: str | None = Field(None, pattern=r"^[a-z]+:[A-Za-z0-9._-]{1,64}$", examples=["hook:pipedrive"])
    key: str | None = Field(None, min_length=1, max_length=200)
    since: Moment | None = None
    before: Moment | None = None
    ended_since: Moment | None = None
    ended_before: Moment | None = None
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, pattern=r"^[0-9]{1,15}$", description="`next` of the page before.")


class Resolution(BaseModel):
    """What a person says became of a job that ended as unknown."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "if": {"properties": {"verdict": {"const": "placed"}}},
            "then": {"required": ["verdict", "callid"], "properties": {"callid": {"type": "string"}}},
            "else": {"properties": {"callid": {"type": "null"}}},
        },
    )

    _without_absent = model_validator(mode="before")(without_absent)

    verdict: Literal["placed", "failed", "redial"] = Field(examples=["placed"])
    callid: str | None = Field(None, pattern=r"^[0-9A-Za-z._-]{1,64}$", examples=["1732356.77"])
    reason: str | None = Field(None, max_length=200, examples=["seen in the call records"])


Extid = Annotated[str, Field(pattern=EXTID)]
Errno = Annotated[str, Field(min_length=1, max_length=64)]
Origin = Annotated[str, Field(pattern=r"^[a-z]+:[A-Za-z0-9._-]{1,64}$")]
PbxName = Annotated[str, Field(pattern=PBX_NAME)]
Unplaced = Literal["failed", "unknown", "cancelled", "expired", "refused"]


class RedialOne(BaseModel):
    """How one job is to come back."""

    model_config = ConfigDict(extra="forbid", title="Redial")

    _without_absent = model_validator(mode="before")(without_absent)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the schema, in which null is "not given" for every field, as it is taken."""
        reference = handler(core)
        schema = handler.resolve_ref_schema(reference)
        schema["properties"] = {name: or_null(field) for name, field in schema["properties"].items()}
        return reference

    pbx: PbxName | None = Field(None, description="Move the job to this PBX.", examples=["branch"])
    even_if_rung: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Also a job in state unknown: a phone may ring twice."
    )
    expires_in_s: Annotated[float, Field(strict=True)] | None = Field(
        None,
        gt=0,
        le=LONGEST_LIFE_S,
        allow_inf_nan=False,
        description="The job expires this many seconds from now. By default its own time holds; a job whose time "
        "is over gets as much again as it had.",
    )
    reason: str = Field("", max_length=LONGEST_REASON, examples=["the trunk was down"])


class RedialSelected(RedialOne):
    """Which jobs are to come back, and how. A job must match every field, and in a list one of its values."""

    model_config = ConfigDict(
        extra="forbid",
        title="Redials",
        json_schema_extra={
            "if": {"properties": {"dry_run": {"const": True}}, "required": ["dry_run"]},
            "else": {"properties": {"count": {"type": "integer"}}, "required": ["count"]},
        },
    )

    state: list[Unplaced] = Field(default_factory=list, max_length=5, description="By default failed and expired.")
    from_pbx: list[PbxName] = Field(default_factory=list, max_length=100)
    extid: list[Extid] = Field(default_factory=list, max_length=100)
    errno: list[Errno] = Field(default_factory=list, max_length=100, examples=[["unreachable"]])
    origin: list[Origin] = Field(default_factory=list, max_length=100)
    key: str | None = Field(None, min_length=1, max_length=200)
    metadata: dict[str, str] = Field(default_factory=dict, max_length=MOST_METADATA)
    since: Moment | None = Field(None, description="Enqueued at or after.")
    until: Moment | None = Field(None, description="Enqueued before.")
    ended_since: Moment | None = Field(None, description="Ended at or after.")
    ended_until: Moment | None = Field(None, description="Ended before.")
    dry_run: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Count the jobs, and change nothing."
    )
    count: Annotated[int, Field(strict=True)] | None = Field(
        None, ge=0, le=10_000, description="How many jobs are expected; needed unless it is a dry run."
    )


class RedialAnswer(BaseModel):
    """What became of the jobs that matched; counts are of jobs."""

    redialed: int = Field(description="Jobs that wait again; 0 for a dry run.")
    count: int = Field(description="Jobs that come back, or would.")
    by_state: dict[str, int] = Field(description="The same by the state in which they had ended.")
    moved_from: dict[str, int] = Field(
        description="Of them, those that move to another PBX, by the PBX they leave."
    )
    stay: dict[str, int] = Field(description="Jobs that stay as they are, by the reason.")


class PauseOrder(BaseModel):
    """Why an operator pauses or resumes, and which extension alone; both may be left out, and so may the body."""

    model_config = ConfigDict(extra="forbid")

    _without_absent = model_validator(mode="before")(without_absent)

    extid: str | None = Field(None, pattern=EXTID, description="This extension alone.", examples=["1002"])
    reason: str | None = Field(None, max_length=200, examples=["the PBX is being replaced"])


class Reason(BaseModel):
    """Why an operator acts; it may be left out, and so may the body."""

    model_config = ConfigDict(extra="forbid")

    _without_absent = model_validator(mode="before")(without_absent)

    reason: str | None = Field(None, max_length=200, examples=["wrong campaign"])


class Author(BaseModel):
    """Who paused something, when and why; null for what is not known."""

    at: str | None = Field(description="ISO 8601 in UTC.", examples=["2026-11-23T09:00:00.000Z"])
    by: str | None = Field(examples=["anna@dialer-1"])
    reason: str | None = Field(examples=["the PBX is being replaced"])


class PausedExtension(Author):
    """An extension that is paused by itself."""

    extid: str = Field(examples=["1002"])
    waiting: int = Field(description="Jobs that wait for it; the PBX does not count them as waiting.")


class PausedPlace(Author):
    """A pause: of everything (`pbx` is `*`), of a PBX, or of one of its extensions."""

    pbx: str = Field(examples=["hq"])
    extid: str | None


class PbxState(BaseModel):
    """One PBX at a glance; counts are of jobs."""

    name: str = Field(examples=["hq"])
    waiting: int
    later: int
    released: int
    open_calls: int
    in_doubt: int
    paused: bool = Field(description="By its own pause, or because everything is paused.")
    pause: Author | None = Field(None, description="Its own pause; null if there is none.")
    paused_extensions: list[PausedExtension] = Field(default_factory=list)
    breaker: Literal["closed", "open", "half-open"]
    breaker_reason: str | None = None
    takes_calls: bool = Field(description="Whether a call may begin as things stand.")
    why_not: str | None = Field(
        None, description="The reasons in words.", examples=["paused; no worker is running"]
    )


class Pbxs(BaseModel):
    """The PBXs that the API key may use."""

    pbxs: list[PbxState]
    default: str | None = Field(description="That of jobs that name none; null where they must name one.")
    everything_paused: bool
    everything_pause: Author | None = None


class Paused(BaseModel):
    """What is paused now, of what the API key may use; `*` is everything."""

    paused: list[str] = Field(description="PBXs; those with paused extensions alone are not.", examples=[["hq"]])
    pauses: list[PausedPlace]


class Health(BaseModel):
    """Whether the intake lives, and whether it can take jobs."""

    status: Literal["ok", "unavailable"]
    detail: str | None = None
