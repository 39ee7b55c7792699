"""What the hopper answers: one small value for each kind of answer."""

from dataclasses import dataclass, field

from worker.jobs import DialResult, Doubt, JobState


@dataclass(frozen=True, slots=True)
class Receipt:
    """
    What the hopper says of one job it was given: its id, its state, and whether it is new.

    `is_replay`: the request came before, and this is the job it brought then.
    """

    id: str
    state: JobState
    is_new: bool
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class Go:
    """
    A claim: ring now.

    `age_s` counts from when the job could first go, `trying_s` from its first attempt that counted (0 if there is
    none). `token` is the PBX's shared token and `generation` counts its logins. `attempts` includes this one;
    `tries_in_vain` counts how often the job met a busy agent or line. `is_probe`: the breaker of the PBX is half
    open, and this call tries it. `send_in_s`: some milliseconds until its permit is due; nothing is sent before.
    `trace` is a traceparent, or empty (see `worker.tracing`).
    """

    pbx: str
    extid: str
    outto: str
    autoanswer: str
    attempts: int
    age_s: float
    token: str
    generation: int
    trace: str = ""
    trying_s: float = 0.0
    tries_in_vain: int = 0
    is_probe: bool = False
    send_in_s: float = 0.0


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
    """The job is back in its lane for *reason*, a word or two; the pacer brings it when it may go."""

    pbx: str = field(default="", compare=False)
    reason: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Ended:
    """The job ended while it was to be claimed: its time had run out."""

    state: JobState
    finished_at: str


@dataclass(frozen=True, slots=True)
class NotYours:
    """Another message of this job was faster, or the job is over, or there is no such job."""

    state: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A job ended by this step: its result, and whether its PBX's breaker closed."""

    result: DialResult
    breaker_closed: bool


@dataclass(frozen=True, slots=True)
class Delivered:
    """
    What became of the outbox entries of some results.

    This step removed the entries of `taken`. Those of `missing` stay, because the server lacks the result or its
    announcement: a fail-over discarded it, or another server has it.
    """

    taken: tuple[DialResult, ...] = ()
    missing: tuple[DialResult, ...] = ()


@dataclass(frozen=True, slots=True)
class Parked:
    """A job will be tried again; whether its PBX's breaker closed by this step."""

    breaker_closed: bool


@dataclass(frozen=True, slots=True)
class Doubted:
    """
    A claimed job of which nobody knows whether it rang.

    `doubt` says why; `waited_s` is how long it has been so; `quiet_s` is for how long its extension has been seen
    idle, None if it was not at the last look; `was_engaged` if it was seen in use at any. `trying_s` counts from
    the first attempt that counted. `callid` is empty unless the PBX took the call and its worker could not report
    that. `is_free`: the job is not to blame, so another try costs no attempt.
    """

    id: str
    nonce: str
    pbx: str
    extid: str
    outto: str
    doubt: Doubt
    on_unknown: str
    claimed_at: float
    waited_s: float
    was_engaged: bool
    quiet_s: float | None
    attempts: int
    trying_s: float
    errno: str
    error: str
    trace: str = ""
    callid: str = ""
    is_free: bool = False


@dataclass(frozen=True, slots=True)
class LookTurn:
    """
    It is the caller's turn to look at a PBX, unless `ask` is false: then only time has told.

    `clock_ahead_s`: how far the clock in the PBX's ids is ahead of Redis's, as the last callid told.
    """

    pbx: str
    ask: bool
    token: str
    generation: int
    clock_ahead_s: float
    jobs: tuple[Doubted, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a job's timeline; `at` is unix seconds."""

    at: float
    state: str
    who: str
    reason: str


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
class Barred:
    """Nobody may log in for so many seconds."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Beat:
    """
    What a heartbeat brings back: the slots of all workers, Redis's clock, and what other workers know.

    `now` is unix seconds on that clock; `compared` counts how often workers compared it. `in_doubt`: it shows a
    time before the last heartbeat, or long after it. `origin` changes when the data are no longer those of before.
    `differs_from` names a living worker with other settings of PBXs; empty if there is none. `has_others`: other
    workers have been alive; a clock that is set makes it uncertain whether they still are.
    """

    slots: int
    now: float
    compared: int
    in_doubt: bool
    origin: str = ""
    differs_from: str = ""
    has_others: bool = False


@dataclass(frozen=True, slots=True)
class SetAside:
    """
    A note that something could not be used.

    `at` is unix seconds by Redis's clock; `what` is message, job or result; `job_id` is empty if none is known;
    `reason` is a sentence without content.
    """

    at: float
    what: str
    job_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Breaker:
    """
    One PBX's breaker: `state` is closed, open or half-open.

    `seconds` is how long it stays open, 0 if it does not; `since` (unix seconds) when it first opened, 0 while it
    is closed; `reason` why.
    """

    state: str
    seconds: float
    since: float
    reason: str


@dataclass(frozen=True, slots=True)
class Pause:
    """
    One pause, and who set it.

    Args:
        pbx: The PBX, or `*` for the kill switch.
        extid: The extension; empty for the whole PBX.
        at: When, in unix seconds; 0 where an older version paused it, which kept no author.
        by: Who; empty if not known.
        reason: Why; empty if no reason was given.
    """

    pbx: str
    extid: str = ""
    at: float = 0.0
    by: str = ""
    reason: str = ""

    @property
    def subject(self) -> str:
        """What is paused, for a sentence: everything, PBX hq, extension 1002 of PBX hq."""
        if self.pbx == "*":
            return "everything"
        return f"extension {self.extid} of PBX {self.pbx}" if self.extid else f"PBX {self.pbx}"

    @property
    def lifted_by(self) -> str:
        """The command that lifts it."""
        if self.pbx == "*":
            return "outdial resume --all"
        return f"outdial resume {self.pbx}" + (f" --extension {self.extid}" if self.extid else "")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """
    One act of an operator.

    Args:
        at: When, in unix seconds.
        by: Who.
        act: A stable word, one of `ACTS`.
        subject: What it was done to: a job, a PBX, PBX/EXT, `*` for everything, an endpoint, the id of an API key.
        reason: Why; empty if no reason was given.
        details: More by name, such as `jobs`: how many.
    """

    at: float
    by: str
    act: str
    subject: str
    reason: str
    details: dict[str, str]


@dataclass(frozen=True, slots=True)
class LaneView:
    """
    One extension's lane.

    `waiting` jobs may go now, `busy_s` is how long the extension is still taken, and `pause` who paused it, None
    if it is not paused by itself.
    """

    extid: str
    waiting: int
    busy_s: float
    pause: Pause | None = None


@dataclass(frozen=True, slots=True)
class PbxView:
    """
    One PBX at a glance.

    `breaker` is closed, open or half-open; `barred_s` is how long it stays open, `barred_since` when (unix
    seconds) it first opened, `barred_reason` why; 0 and empty while it is closed.
    `in_doubt`: claimed jobs of which nobody knows whether they rang. `waiting` leaves out those of the paused
    extensions, which are in `lanes`. `pause` is who paused the PBX by itself.
    """

    name: str
    waiting: int
    later: int
    released: int
    open_calls: int
    paused: bool
    pause: Pause | None
    in_doubt: int
    breaker: str
    barred_s: float
    barred_since: float
    barred_reason: str
    lanes: tuple[LaneView, ...]
