"""Retry decisions as values, the tenacity policies they are made from, and the loops that repeat a step."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    stop_never,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from worker.errors import (
    ExtensionBusy,
    NeverTry,
    NotConfigured,
    NotPlaced,
    NotReplicated,
    OutOfFiles,
    PbxDown,
    TokenRefused,
    TooLate,
)
from worker.jobs import JobState
from worker.redis_away import is_away
from worker.settings import RetrySettings

log = structlog.get_logger()
T = TypeVar("T")

# A worker that does not know a job's PBX, or cannot connect to any, puts the job back for one that may.
_OTHER_WORKER_S = 0.5
# Short enough for the slot to keep the job: what waits for a replica waits where it is, and others do not join it.
_REPLICAS_S = 0.5


@dataclass(frozen=True, slots=True)
class Stop:
    """The job ends in this state."""

    state: JobState
    errno: str
    error: str


@dataclass(frozen=True, slots=True)
class Again:
    """
    The job is tried again after *delay_s*, with a fresh permit.

    `free` gives the attempt back; `rest_s` keeps the extension from other calls meanwhile.
    """

    delay_s: float
    free: bool
    rest_s: float
    errno: str
    error: str


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to stop and how long to wait: two axes, each a tenacity object, combined in `decide`."""

    stop: stop_base
    wait: wait_base

    @classmethod
    def from_settings(cls, settings: RetrySettings) -> "RetryPolicy":
        """Full jitter within an exponentially growing, capped interval (AWS Architecture Blog, 2015)."""
        return cls(
            stop=stop_after_attempt(settings.max_attempts) | stop_after_delay(settings.deadline_s),
            wait=wait_random_exponential(multiplier=settings.base_s, max=settings.cap_s),
        )

    def decide(self, failure: NotPlaced, *, attempts: int, age_s: float) -> Stop | Again:
        """
        Say what becomes of a job after an attempt that certainly did not ring.

        Args:
            failure: What the attempt came to; its class says what may be done.
            attempts: Attempts so far that count, this one included; 1 or more.
            age_s: Seconds since the job could first go.

        Returns:
            `Stop` for what must not or need not be tried again, else `Again`. A PBX that is down or does not
            know our token, or a missing replica, is not the job's fault: that is tried again for as long as the
            job has time.
        """
        errno, error = failure.errno, failure.error
        if isinstance(failure, PbxDown | TokenRefused | TooLate):
            return Again(0, free=True, rest_s=0, errno=errno, error=error)
        if isinstance(failure, NotConfigured | OutOfFiles):
            return Again(_OTHER_WORKER_S, free=True, rest_s=0, errno=errno, error=error)
        if isinstance(failure, NotReplicated):
            return Again(_REPLICAS_S, free=True, rest_s=0, errno=errno, error=error)
        state = _as_tenacity_sees_it(attempts, age_s)
        if isinstance(failure, NeverTry):
            return Stop(JobState.FAILED, errno, error)
        if self.stop(state):
            return Stop(JobState.FAILED, errno, f"{error}; gave up after {attempts} attempts")
        delay_s = self.wait(state)
        rest_s = delay_s if isinstance(failure, ExtensionBusy) else 0
        return Again(delay_s, free=False, rest_s=rest_s, errno=errno, error=error)


def _as_tenacity_sees_it(attempts: int, age_s: float) -> RetryCallState:
    """Attempts of one job happen in many processes; this is the loop tenacity would have seen in one."""
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = attempts
    state.outcome_timestamp = state.start_time + age_s
    return state


# While Redis is away nobody dials, and nobody lets go of what is already known: the step is repeated with the
# same arguments until it is answered, which every script allows. What would fail the same way for ever, a damaged
# record say, is raised: a slot must not be stuck with it. An outcome alone is repeated for a while all the same.
_REDIS_WAIT = wait_random_exponential(multiplier=0.05, max=1)
_REDIS_AWAY = retry_if_exception(is_away)


def until_reported(step: Callable[..., T], *args: object, within_s: float, **fields: object) -> T:
    """
    Run a step that reports the outcome of an attempt, and return its answer.

    The step is repeated while Redis is away, for as long as that takes, and after any other error for *within_s*:
    what is known of a call is worth more than the slot.

    Args:
        step: Of the hopper; safe to repeat.
        args: For the step.
        within_s: For how long an error other than an absent Redis may last.
        fields: For the step, by name.

    Raises:
        Exception: What the step raised last.
    """
    try:
        return step(*args, **fields)  # nearly always; the loop below costs more than the step
    except Exception as error:  # noqa: BLE001 - whatever it is, the outcome must not go with it
        if not is_away(error):
            log.warning("report_repeated", error=type(error).__name__)
    over_at = time.monotonic() + within_s

    def is_over(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        return error is not None and not is_away(error) and time.monotonic() > over_at

    repeated = Retrying(retry=retry_if_exception_type(), wait=_REDIS_WAIT, stop=is_over, reraise=True)
    return repeated(step, *args, **fields)


# For what has already happened: repeated until it is answered.
until_redis_answers = Retrying(retry=_REDIS_AWAY, wait=_REDIS_WAIT, stop=stop_never, reraise=True)


def until_redis_answers_or(stopping: threading.Event) -> Retrying:
    """Repeat a step of the hopper until it is answered or the worker stops: for what can be left undone."""
    return Retrying(retry=_REDIS_AWAY, wait=_REDIS_WAIT, stop=stop_when_event_set(stopping), reraise=True)
