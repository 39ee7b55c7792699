"""The life of one call: claim it, place it, say what came of it."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import redis
import structlog
from structlog.contextvars import bind_contextvars
from tenacity import RetryCallState, Retrying, retry_if_result, stop_never

from worker import breaker, metrics, redis_away, retries, tracing
from worker.consequences import Until
from worker.errors import (
    AttemptFailed,
    NeverTry,
    NotConfigured,
    NotPlaced,
    OutcomeUnknown,
    OutOfFiles,
    PbxAtFault,
    PbxBarred,
    PbxDown,
    PbxRefuses,
    PbxSaidFailed,
    TooLate,
)
from worker.hopper import Back, Ended, Go, Hopper, NoToken, NotYours, Token, Wait
from worker.jobs import DialResult, Doubt, JobState
from worker.logs import about
from worker.pbx import Directory, Pbx
from worker.replicas import Replicas
from worker.retries import Again, RetryPolicy
from worker.settings import Current, Settings
from worker.tracing.attempts import attempt_span

log = structlog.get_logger()

# What a dial request ends with of which no byte left.
_NEVER_SENT = ("unreachable", "too_late")


T = TypeVar("T")


class _Unreported(Exception):
    """The outcome of an attempt could not be reported."""


class Outlet(Protocol):
    """Where news of jobs goes: the results backend and Flower (see `worker.results`)."""

    def started(self, job_id: str, claim: Go, *, received_at: float) -> None:
        """An attempt begins."""

    def ended(self, result: DialResult) -> None:
        """The job is over; its result is already in the outbox."""

    def parked(self, job_id: str, reason: str) -> None:
        """The job waits for another attempt."""

    def let_go(self, job_id: str) -> None:
        """What comes of the attempt will be told by somebody else."""


class Dialing:
    """
    Places calls, one job at a time per thread; shared by all threads of a process.

    Args:
        hopper: Where jobs are claimed and finished.
        settings: PBXs, retry policy and time limits.
        outlet: Told of beginnings and ends.
        pbxs: Adapters and sessions.
        incarnation: Names this process among all that ever ran, for whoever finds it dead.
        doubted: Called after a job was given up to the looking.
    """

    def __init__(
        self,
        hopper: Hopper,
        settings: Settings | Current,
        outlet: Outlet,
        pbxs: Directory,
        *,
        incarnation: str = "",
        doubted: Callable[[], None] = lambda: None,
    ) -> None:
        self._hopper = hopper
        self._current = Current.of(settings)
        self._outlet = outlet
        self._pbxs = pbxs
        self._incarnation = incarnation
        self._doubted = doubted
        self._policy = self._current.derived(lambda present: RetryPolicy.from_settings(present.retry))
        self._replicas = Replicas(hopper)
        self.stopping = threading.Event()
        self._until_redis_answers = retries.until_redis_answers_or(self.stopping)
        # Each round of a job ends it, hands it on, or names the seconds to sleep before the next round.
        self._rounds = Retrying(
            retry=retry_if_result(lambda seconds: seconds is not None),
            wait=_named_seconds,
            stop=stop_never,
            sleep=self._sleep,
        )

    def place_call(self, job_id: str) -> None:
        """
        Bring one released job to its end, or back to its lane.

        Returns without doing anything if another worker has the job or it is over. If Redis stays away, nothing
        is dialed. Raises nothing that belongs to the job: what came of it is in the hopper.
        """
        slot_until = time.monotonic() + 2 * self._current.settings.retry.slot_wait_s
        with about(job_id=job_id):
            self._rounds(self._round, job_id, slot_until)

    def _sleep(self, seconds: float) -> None:
        self.stopping.wait(seconds)

    def _round(self, job_id: str, slot_until: float) -> float | None:
        attempt = _Attempt(job_id)
        try:
            claim = self._until_redis_answers(
                self._hopper.claim,
                job_id,
                attempt.nonce,
                slot_wait_s=self._slot_wait_s(slot_until),
                incarnation=self._incarnation,
            )
            match claim:
                case Go():
                    attempt.send_at = time.monotonic() + claim.send_in_s
                    with attempt_span(job_id, claim, asked_at=attempt.received_at) as attempt.span:
                        return self._attempt(attempt, claim)
                case Wait(seconds):
                    return self._keep_waiting(job_id, seconds)
                case NoToken(pbx):
                    return self._get_token(job_id, pbx)
                case Ended():
                    self._tell_end(job_id)
                case NotYours("gone"):
                    log.warning("message_set_aside", reason="no such job")
                    self._hopper.set_aside("message", "there is no job of this id (any more)", job_id=job_id)
                case Back(pbx, reason):
                    metrics.job_parked(pbx, reason)
                    log.debug("not_claimed", answer=reason)
                case NotYours(state):
                    log.debug("not_claimed", answer=state)
        except redis.RedisError as error:
            # Whatever is held ends by itself: a released job goes back to its lane, a claim comes into doubt.
            redis_away.tell(error)
        except _Unreported:
            pass  # logged, and in doubt
        return None

    def _keep_waiting(self, job_id: str, seconds: float) -> float | None:
        if not self.stopping.is_set():
            return seconds
        self._hopper.hand_back(job_id, reason="stop")
        return None

    def _slot_wait_s(self, slot_until: float) -> float:
        if self.stopping.is_set():
            return 0
        return max(0.0, min(self._current.settings.retry.slot_wait_s, slot_until - time.monotonic()))

    def _attempt(self, attempt: "_Attempt", claim: Go) -> float | None:
        bind_contextvars(pbx=claim.pbx)
        metrics.job_claimed(claim.pbx)
        self._outlet.started(attempt.job_id, claim, received_at=attempt.received_at)
        is_retry = claim.attempts > 1
        try:
            callid = self._dial(attempt, claim)
        except OutcomeUnknown as failure:
            metrics.attempt_ended(claim.pbx, "in_doubt", failure.errno, is_retry=is_retry)
            self._doubt(attempt, claim, failure)
            return None
        except NotPlaced as failure:
            decision = self._policy().decide(
                failure, attempts=claim.attempts, trying_s=claim.trying_s, tries_in_vain=claim.tries_in_vain
            )
            is_retry = is_retry and not (isinstance(decision, Again) and decision.is_free)
            metrics.attempt_ended(claim.pbx, "not_placed", failure.errno, is_retry=is_retry)
            if isinstance(decision, Again):
                return self._go_round(attempt, claim, failure, decision)
            self._finish(attempt, claim, decision.state, errno=decision.errno, error=decision.error)
            return None
        metrics.attempt_ended(claim.pbx, "placed", is_retry=is_retry)
        metrics.call_placed(claim.pbx, claim.age_s + attempt.age_s)
        self._finish(attempt, claim, JobState.PLACED, callid=callid)
        return None

    def _report(
        self, attempt: "_Attempt", step: Callable[..., T], *args: object, if_lost: Doubt | None, **fields: Any
    ) -> T:
        """
        Run the step that reports the outcome of an attempt, and return its answer.

        Args:
            attempt: Whose outcome it is.
            step: Of the hopper; see `retries.until_reported`.
            args: For the step.
            if_lost: The doubt in which the job is left if the step fails for as long as the claim's lease lasts.
                None: it stays claimed until the lease is over.
            fields: For the step, by name; errno, error, callid and free are kept with the doubt.

        Raises:
            _Unreported: If the step failed for so long.
        """
        left_s = self._current.settings.limits.claim_lease_s - attempt.age_s
        try:
            return retries.until_reported(step, attempt.job_id, attempt.nonce, *args, within_s=left_s, **fields)
        except Exception as error:
            # The log is the last place for a callid, should the doubt fail as well.
            log.exception("outcome_unreported", error=type(error).__name__, callid=fields.get("callid"))
            self._outlet.let_go(attempt.job_id)
            if if_lost is not None:
                self._leave_in_doubt(attempt, if_lost, **fields)
            raise _Unreported from None

    def _leave_in_doubt(
        self,
        attempt: "_Attempt",
        kind: Doubt,
        *,
        errno: str = "unreported",
        error: str = "the PBX took the call",
        callid: str = "",
        free: bool = False,
        **_others: object,
    ) -> None:
        sentence = f"{error}; the worker could not report it"
        names = (attempt.job_id, attempt.nonce)
        try:
            retries.until_redis_answers(
                self._hopper.doubt, *names, kind, errno=errno, error=sentence, callid=callid, free=free
            )
        except Exception as failure:
            log.exception("doubt_unreported", error=type(failure).__name__)
        else:
            self._doubted()

    def _dial(self, attempt: "_Attempt", claim: Go) -> str:
        self._replicas.make_sure_of(attempt.job_id, attempt.nonce)
        pbx, settings = self._pbxs.adapter(claim.pbx), self._pbxs.settings(claim.pbx)
        if claim.is_probe:
            _knock(pbx, claim.token)
        # The claim may have been long in coming (Redis frozen, this process stopped): by the time of a reply it
        # might no longer be ours.
        left_s = self._current.settings.limits.attempt_deadline_s - attempt.age_s - settings.read_timeout_s
        if left_s < settings.connect_timeout_s:
            raise TooLate("too_late", "the claim came too late to dial within its deadline")
        call = {"extid": claim.extid, "outto": claim.outto, "autoanswer": claim.autoanswer}
        with _timed(claim.pbx, attempt.send_at), _defects_as_unknown():
            return pbx.dial(claim.token, **call, not_before=attempt.send_at, within_s=left_s)

    def _doubt(self, attempt: "_Attempt", claim: Go, failure: OutcomeUnknown) -> None:
        """The phone may ring: the slot is free for others, and the PBX is looked at (see `worker.reconciler`)."""
        kind = Doubt.SAID_FAILED if isinstance(failure, PbxSaidFailed) else Doubt.LOST_REPLY
        is_pbx_at_fault = isinstance(failure, PbxAtFault)
        attempt.note("in doubt", failure.errno)
        with tracing.span("doubt"):
            kept = self._report(
                attempt,
                self._hopper.doubt,
                kind,
                if_lost=None,
                errno=failure.errno,
                error=failure.error,
                free=is_pbx_at_fault,
            )
        self._outlet.let_go(attempt.job_id)
        if not kept:
            log.error("claim_lost", outcome="not known")
            return
        metrics.job_doubted(claim.pbx)
        log.warning("call_in_doubt", errno=failure.errno, attempt=claim.attempts)
        if kind is Doubt.LOST_REPLY or is_pbx_at_fault:
            breaker.failed(self._hopper, claim.pbx, failure, by=attempt.job_id)
        self._doubted()

    def _go_round(self, attempt: "_Attempt", claim: Go, failure: NotPlaced, again: Again) -> float | None:
        until = again.because.until
        stays = until not in (Until.BREAKER, Until.OTHER_WORKER) and not self.stopping.is_set()
        in_slot = stays and again.delay_s <= self._current.settings.retry.slot_wait_s
        attempt.note("not placed", again.errno)
        with tracing.span("park", {"outdial.wait_s": again.delay_s}):
            parked = self._report(
                attempt,
                self._hopper.park,
                if_lost=Doubt.SAID_FAILED,
                delay_s=again.delay_s,
                free=again.is_free,
                in_slot=in_slot,
                rest_s=again.rest_s,
                errno=again.errno,
                error=again.error,
                answered=again.because.was_answered,
                in_vain=until is Until.AVAILABLE,
            )
        if until is Until.BREAKER:  # only now: should this process die, what is certain of the job is written
            breaker.failed(self._hopper, claim.pbx, failure, by=attempt.job_id)
        log.info("call_put_off", errno=again.errno, attempt=claim.attempts, wait_s=round(again.delay_s, 3))
        if parked is None:
            log.error("claim_lost", outcome="not_placed")
            self._outlet.let_go(attempt.job_id)
            return None
        if parked.breaker_closed:
            breaker.closed(claim.pbx)
        self._outlet.parked(attempt.job_id, str(failure))
        if not in_slot:
            metrics.job_parked(claim.pbx, again.errno)
            return None
        if until is Until.LOGIN:
            return self._get_token(attempt.job_id, claim.pbx, refused=claim.generation)
        return again.delay_s

    def _get_token(self, job_id: str, pbx: str, *, refused: int = -1) -> float | None:
        """Log in if nobody else does. The job is released meanwhile, so a death here costs nothing."""
        try:
            answer = self._pbxs.session(pbx).token(refused=refused)
        except PbxBarred:
            delay_s = 0.0  # the hopper knows for how long
        except PbxDown as failure:
            breaker.failed(self._hopper, pbx, failure, by=job_id)
            delay_s = 0.0
        except (NotConfigured, OutOfFiles):
            delay_s = 0.5
        else:
            if isinstance(answer, Token):
                return 0.0
            delay_s = answer.seconds
        if self._hopper.hand_back(job_id, delay_s=delay_s, reason="log-in"):
            metrics.job_parked(pbx, "log-in")
        return None

    def _finish(self, attempt: "_Attempt", claim: Go, state: JobState, **facts: str) -> None:
        attempt.note("placed" if state is JobState.PLACED else "not placed", facts.get("errno"))
        with tracing.span("finish", {"outdial.state": str(state)}):
            # The reconciler ends a job with a callid as placed, and tries again what certainly did not ring.
            if_lost = Doubt.LOST_REPLY if state is JobState.PLACED else Doubt.SAID_FAILED
            finished = self._report(attempt, self._hopper.finish, state, claim, if_lost=if_lost, **facts)
        if finished is None:
            log.error("claim_lost", outcome=str(state))
            self._outlet.let_go(attempt.job_id)
            return
        if finished.breaker_closed:
            breaker.closed(claim.pbx)
        self._outlet.ended(finished.result)
        log.info("call_ended", state=str(state), attempt=claim.attempts, **facts)

    def _tell_end(self, job_id: str) -> None:
        result = self._hopper.result(job_id)
        if result is not None:
            self._outlet.ended(result)
            log.info("call_ended", state=str(result.state), pbx=result.pbx)


def _knock(pbx: Pbx, token: str) -> None:
    """Ask a PBX something that rings nobody; raise `PbxDown` if no answer comes, whatever it would have been."""
    try:
        pbx.device(token)
    except OutcomeUnknown as failure:
        words = f"before a call, the PBX was asked for its model: {failure.error}"
        raise PbxDown(failure.errno, words, asked_rest_s=failure.asked_rest_s) from None
    except (PbxRefuses, NeverTry):
        pass  # an answer all the same


@contextmanager
def _timed(pbx: str, send_at: float) -> Iterator[None]:
    """Count a dial request, if a byte of it leaves, and the time it takes from *send_at* or now."""
    began, sent = max(time.monotonic(), send_at), True
    try:
        yield
    except AttemptFailed as failure:
        sent = failure.errno not in _NEVER_SENT
        raise
    finally:
        if sent:
            metrics.posted(pbx, time.monotonic() - began)


@contextmanager
def _defects_as_unknown() -> Iterator[None]:
    """Turn an error that no adapter means to raise into an unknown outcome: the phone may have rung before it."""
    try:
        yield
    except AttemptFailed:
        raise
    except Exception as error:
        log.exception("dial_broke_off", error=type(error).__name__)
        raise OutcomeUnknown("internal_error", "the worker failed while it dialed; see its log") from None


class _Attempt:
    """One claim of one job: its nonce, when it began, and from when on its request may be sent (monotonic)."""

    __slots__ = ("_begun", "job_id", "nonce", "received_at", "send_at", "span")

    def __init__(self, job_id: str) -> None:
        self.span: tracing.Span | None = None
        self.job_id = job_id
        self.nonce = uuid.uuid4().hex
        self.received_at = time.time()
        self._begun = time.monotonic()
        self.send_at = self._begun

    def note(self, outcome: str, errno: str | None) -> None:
        """Tell the trace what it came to."""
        if self.span is not None:
            said = {"outdial.outcome": outcome} | ({"outdial.errno": errno} if errno else {})
            self.span.note(said, failed=bool(errno))

    @property
    def age_s(self) -> float:
        """Seconds since the claim was asked for; it cannot be older."""
        return time.monotonic() - self._begun


def _named_seconds(state: RetryCallState) -> float:
    assert state.outcome is not None, "tenacity asks after a round"
    return float(state.outcome.result())
