"""What the hopper answers: one small value for each kind of answer."""

from dataclasses import dataclass

from worker.jobs import JobState


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the hopper says of one job it was given: its id, its state, and whether it is new."""

    id: str
    state: JobState
    is_new: bool


@dataclass(frozen=True, slots=True)
class Go:
    """
    A claim: ring now.

    `age_s` counts from when the job could first go. `token` is the PBX's shared token and `generation` counts its
    logins. `attempts` includes this one.
    """

    pbx: str
    extid: str
    outto: str
    autoanswer: str
    attempts: int
    age_s: float
    token: str
    generation: int


@dataclass(frozen=True, slots=True)
class NoToken:
    """Nothing was taken; the PBX has no token and nobody is logging in."""

    pbx: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing was taken; claim again in so many seconds without leaving the slot."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Back:
    """The job is back in its lane; the pacer brings it when it may go."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The job ended while it was to be claimed: its time had run out."""

    state: JobState
    finished_at: str


@dataclass(frozen=True, slots=True)
class NotYours:
    """Another message of this job was faster, or the job is over, or there is no such job."""

    state: str


Claim = Go | NoToken | Wait | Back | Ended | NotYours


@dataclass(frozen=True, slots=True)
class Token:
    """A PBX's shared token and how many logins it is old."""

    token: str
    generation: int


@dataclass(frozen=True, slots=True)
class Login:
    """It is the caller's turn to log in."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Nobody may log in for so many seconds."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class LaneView:
    """One extension's lane: how many jobs may go now, and how long the extension is still taken."""

    extid: str
    waiting: int
    busy_s: float


@dataclass(frozen=True, slots=True)
class PbxView:
    """One PBX at a glance; `closed_s` is 0 unless something keeps it from taking calls."""

    name: str
    waiting: int
    later: int
    released: int
    open_calls: int
    paused: bool
    closed_s: float
    closed_reason: str
    lanes: tuple[LaneView, ...]
