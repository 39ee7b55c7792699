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
    wait_exponential,
    wait_random,
    wait_random_exponential,
)
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from worker.consequences import Consequence, Until, Waits, consequence_of
from worker.errors import NotPlaced
from worker.jobs import JobState
from worker.redis_away import is_away
from worker.settings import RetrySettings

log = structlog.get_logger()
T = TypeVar("T")

# Short enough for a slot to keep its job, and long enough for another worker to come first.
_MOMENT_S = 0.5


@dataclass(frozen=True, slots=True)
class Stop:
    """The job ends in this state."""

    state: JobState
    errno: str
    error: str


@dataclass(frozen=True, slots=True)
class Again:
    """The job is tried again after *delay_s*, with a fresh permit; `because` has what else follows."""

    delay_s: float
    because: Consequence
    errno: str
    error: str

    @property
    def is_free(self) -> bool:
        """Whether the job gets its attempt back."""
        return not self.because.costs_attempt

    @property
    def rest_s(self) -> float:
        """For how many seconds the extension takes no other call."""
        return self.delay_s if self.because.waits is Waits.LANE else 0.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to stop and how long to wait: three axes, each a tenacity object, combined in `decide`."""

    stop: stop_base
    backoff: wait_base
    available: wait_base

    @classmethod
    def from_settings(cls, settings: RetrySettings) -> "RetryPolicy":
        """
        Return the policy of the settings.

        Attempts back off with full jitter within an exponentially growing, capped interval (AWS Architecture Blog,
        2015). What waits for a busy agent or line costs nothing, so it never comes back at once.
        """
        return cls(
            stop=stop_after_attempt(settings.max_attempts) | stop_after_delay(settings.deadline_s),
            backoff=wait_random_exponential(multiplier=settings.base_s, max=settings.cap_s),
            available=wait_exponential(multiplier=settings.base_s, max=settings.busy_cap_s)
            + wait_random(0, settings.base_s),
        )

    def decide(
        self, failure: NotPlaced, *, attempts: int, trying_s: float, tries_in_vain: int = 0
    ) -> Stop | Again:
        """
        Decide what becomes of a job after an attempt that certainly did not ring; see `worker.consequences`.

        Args:
            failure: What the attempt came to.
            attempts: Attempts so far that count, this one included; 1 or more.
            trying_s: Seconds since the first attempt that counted, 0 if this is the first.
            tries_in_vain: How often the job met a busy agent or line before.

        Returns:
            `Stop` for what must not or need not be tried again, else `Again`.
        """
        errno, error = failure.errno, failure.error
        because = consequence_of(failure)
        if because.until is Until.NEVER:
            return Stop(JobState.FAILED, errno, error)
        spent = _as_tenacity_sees_it(attempts, trying_s)
        if because.costs_attempt and self.stop(spent):
            return Stop(JobState.FAILED, errno, f"{error}; gave up after {attempts} attempts")
        match because.until:
            case Until.BACKOFF:
                delay_s = self.backoff(spent)
            case Until.AVAILABLE:
                delay_s = self.available(_as_tenacity_sees_it(tries_in_vain + 1, 0.0))
            case Until.A_MOMENT | Until.OTHER_WORKER:
                delay_s = _MOMENT_S
            case _:
                delay_s = 0.0
        return Again(delay_s, because, errno, error)


def _as_tenacity_sees_it(attempts: int, trying_s: float) -> RetryCallState:
    """Attempts of one job happen in many processes; this is the loop tenacity would have seen in one."""
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = attempts
    state.outcome_timestamp = state.start_time + trying_s
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
