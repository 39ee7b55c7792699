"""What the intake takes and gives, for the description of the interface and for those who read it."""

import re
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from producers.api.schemas import MOMENT
from worker.fields import without_absent
from worker.jobs import PBX_NAME, DialResult, JobState


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
    pbx: str | None = Field(None, pattern=PBX_NAME)
    extid: str | None = Field(None, pattern=r"^[0-9]{1,10}$")
    origin: str | None = Field(None, pattern=r"^[a-z]+:[A-Za-z0-9._-]{1,64}$", examples=["hook:pipedrive"])
    key: str | None = Field(None, min_length=1, max_length=200)
    since: Moment | None = None
    before: Moment | None = None
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


class PbxState(BaseModel):
    """One PBX at a glance; counts are of jobs."""

    name: str = Field(examples=["hq"])
    waiting: int
    later: int
    released: int
    open_calls: int
    in_doubt: int
    paused: bool = Field(description="By its own pause, or because everything is paused.")
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


class Paused(BaseModel):
    """What is paused now, of what the API key may use; `*` is everything."""

    paused: list[str] = Field(examples=[["hq"]])


class Health(BaseModel):
    """Whether the intake lives, and whether it can take jobs."""

    status: Literal["ok", "unavailable"]
    detail: str | None = None
