"""What Flower is told of a job: Celery's task events, made of an attempt, a park or a result. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from worker.errors import CallNotPlaced, CallOutcomeUnknown, CallWithdrawn
from worker.hopper import Moment
from worker.jobs import DialResult, JobState

DIAL_TASK = "worker.tasks.dial"
WITHDRAWN = (JobState.CANCELLED, JobState.EXPIRED, JobState.REFUSED)

_ENDS = frozenset(str(state) for state in JobState if state.is_final)


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """
    One Celery event: *type* such as `task-started`, *at* in unix seconds, and the fields Celery's own have.

    On top of those, in *fields*: `attempt`, which tells a late event from a new one, and `life`, the job's
    timeline as a list of `[unix seconds, what, who, reason]`. Nothing in it is a telephone number or a token.
    """

    type: str
    job_id: str
    at: float
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Running:
    """An attempt of this process: times in unix seconds, but *since* of `time.monotonic()`."""

    pbx: str
    extid: str
    attempt: int
    received_at: float
    started_at: float
    since: float


@dataclass(frozen=True, slots=True)
class Ran:
    """The same, when it is over: *lasted_s* goes by one clock, while the times may be of two hosts."""

    running: Running
    lasted_s: float


def began(job_id: str, running: Running) -> list[TaskEvent]:
    """Return the events of an attempt that begins."""
    told = _named(job_id, running.pbx, running.extid) | _counted(running.attempt)
    return [
        TaskEvent("task-received", job_id, running.received_at, told),
        TaskEvent("task-started", job_id, running.started_at, {"attempt": running.attempt}),
    ]


def put_off(job_id: str, reason: str, life: Sequence[Moment], *, at: float) -> TaskEvent:
    """
    Return the event of a job that waits for another attempt.

    Args:
        job_id: The job.
        reason: Why, as a sentence.
        life: Its timeline, which says when.
        at: When, where the timeline cannot say.
    """
    off = [moment.at for moment in life if moment.state in ("put off", "waiting")]
    fields = {"exception": reason, "traceback": None, "life": _plain(life)}
    return TaskEvent("task-retried", job_id, off[-1] if off else at, fields)


def ended(result: DialResult, *, ran: Ran | None, life: Sequence[Moment] = ()) -> list[TaskEvent]:
    """
    Return the events of a job that is over; the last one says all there is to say, should the others be lost.

    Args:
        result: With `finished_at`.
        ran: Its last attempt, if that was one of this process.
        life: Its timeline, if it was read: for attempts of other processes, and for more than one attempt.
    """
    assert result.finished_at is not None, "only ended jobs come here"
    at = result.finished_at.timestamp()
    fields = _named(result.job_id, result.pbx, result.extid) | _counted(result.attempts)
    fields |= {"sent": result.enqueued_at.timestamp(), "result": told_of(result, life), "exception": None}
    fields |= {"life": _plain(life)} if life else {}
    if ran is not None:
        # Flower sorts by time; a clock of ours ahead of Redis's must not put the end before the beginning.
        at = max(at, ran.running.started_at)
        fields |= {"received": ran.running.received_at, "started": ran.running.started_at, "runtime": ran.lasted_s}
    elif times := _last_attempt(life):
        claimed_at, over_at = times
        fields |= {"received": claimed_at, "started": claimed_at}
        fields["runtime"] = None if result.state in WITHDRAWN else max(0.0, (over_at or at) - claimed_at)
    was_taken_up = "received" in fields
    # Flower sorts its list by this.
    fields.setdefault("received", at)
    if result.state is JobState.PLACED:
        return [TaskEvent("task-succeeded", result.job_id, at, fields)]
    error = error_of(result)
    fields["exception"] = f"{type(error).__name__}: {error}"
    if result.state in WITHDRAWN:
        fields |= {"terminated": False, "signum": None, "expired": result.state is JobState.EXPIRED}
        first = [] if was_taken_up else [TaskEvent("task-received", result.job_id, at, dict(fields))]
        return [*first, TaskEvent("task-revoked", result.job_id, at, fields)]
    return [TaskEvent("task-failed", result.job_id, at, fields | {"traceback": None})]


def error_of(result: DialResult) -> CallNotPlaced:
    """Return what the results backend holds of a job that was not placed."""
    kind = CallNotPlaced
    if result.state is JobState.UNKNOWN:
        kind = CallOutcomeUnknown
    elif result.state in WITHDRAWN:
        kind = CallWithdrawn
    return kind(result.sentence(), result.plain())


def told_of(result: DialResult, life: Sequence[Moment] = ()) -> str:
    """Return what came of a job in a few words, for Flower's list: the state first, whatever Flower calls it."""
    if result.state is JobState.PLACED:
        return result.sentence()
    if result.state is JobState.CANCELLED and life and life[-1].who:
        return f"cancelled by {life[-1].who}"
    return f"{result.state}: {result.errno}" if result.errno else str(result.state)


def _named(job_id: str, pbx: str, extid: str) -> dict[str, Any]:
    # Celery's own name for what is shown instead of arguments is kwargsrepr: these can be searched for.
    shown = {name: value for name, value in (("pbx", pbx), ("extid", extid)) if value}
    return {"name": DIAL_TASK, "args": f"('{job_id}',)", "kwargs": repr(shown), "eta": None, "expires": None}


def _counted(attempts: int) -> dict[str, Any]:
    return {"retries": max(0, attempts - 1), "attempt": attempts}


def _last_attempt(life: Sequence[Moment]) -> tuple[float, float | None] | None:
    """Return when the last attempt began, and when it was over, before anybody resolved it."""
    claims = [place for place, moment in enumerate(life) if moment.state == "claimed"]
    if not claims:
        return None
    over = [moment.at for moment in life[claims[-1] :] if moment.state in _ENDS]
    return life[claims[-1]].at, over[0] if over else None


def _plain(life: Sequence[Moment]) -> list[list[Any]]:
    return [[moment.at, moment.state, moment.who, moment.reason] for moment in life]
