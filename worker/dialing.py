"""The life of one call: claim it, place it, say what came of it."""

import threading
import time
import uuid
from collections.abc import Mapping
from typing import Protocol

import redis
import structlog
from tenacity import RetryCallState, Retrying, retry_if_result, stop_never

from worker import retries
from worker.errors import (
    AttemptFailed,
    OutcomeUnknown,
    PbxClosed,
    PbxDown,
    PbxSaidFailed,
    TokenRefused,
    TryLater,
)
from worker.hopper import Back, Ended, Go, Hopper, NoToken, NotYours, Token, Wait
from worker.jobs import DialResult, JobState
from worker.pbx import Pbx, PbxSession, adapter_for
from worker.retries import Again, RetryPolicy, Stop
from worker.settings import Settings

log = structlog.get_logger()

# A PBX that cannot be reached is tried again after 0.5 s, 1 s, 2 s, … at most 5 s.
_CLOSE_BASE_S, _CLOSE_CAP_S = 0.5, 5.0


class Outlet(Protocol):
    """Where news of jobs goes: the results backend and Flower (see `worker.results`)."""

    def started(self, job_id: str, *, received_at: float) -> None:
        """An attempt begins."""

    def ended(self, result: DialResult) -> None:
        """The job is over; its result is already in the outbox."""

    def parked(self, job_id: str, reason: str) -> None:
        """The job waits for another attempt."""


class Dialing:
    """
    Places calls, one job at a time per thread; shared by all threads of a process.

    Args:
        hopper: Where jobs are claimed and finished.
        settings: PBXs, retry policy and time limits.
        outlet: Told of beginnings and ends.
        adapters: One adapter per PBX; made from the settings on first use unless given.
    """

    def __init__(
        self,
        hopper: Hopper,
        settings: Settings,
        outlet: Outlet,
        *,
        adapters: Mapping[str, Pbx] | None = None,
    ) -> None:
        self._hopper = hopper
        self._settings = settings
        self._outlet = outlet
        self._policy = RetryPolicy.from_settings(settings.retry)
        self._adapters = dict(adapters or {})
        self._sessions: dict[str, PbxSession] = {}
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
        slot_until = time.monotonic() + 2 * self._settings.retry.slot_wait_s
        self._rounds(self._round, job_id, slot_until)

    def _sleep(self, seconds: float) -> None:
        self.stopping.wait(seconds)

    def _round(self, job_id: str, slot_until: float) -> float | None:
        attempt = _Attempt(job_id)
        try:
            claim = self._until_redis_answers(
                self._hopper.claim, job_id, attempt.nonce, slot_wait_s=self._slot_wait_s(slot_until)
            )
            match claim:
                case Go():
                    return self._attempt(attempt, claim)
                case Wait(seconds):
                    return seconds
                case NoToken(pbx):
                    return self._get_token(job_id, pbx)
                case Ended():
                    self._tell_end(job_id)
                case Back() | NotYours():
                    log.debug("not_claimed", job_id=job_id, answer=type(claim).__name__)
        except redis.RedisError as error:
            # Nothing is held: the job is still released, and the sweeper brings it again.
            log.warning("redis_away", job_id=job_id, error=type(error).__name__)
        return None

    def _slot_wait_s(self, slot_until: float) -> float:
        if self.stopping.is_set():
            return 0
        return max(0.0, min(self._settings.retry.slot_wait_s, slot_until - time.monotonic()))

    def _attempt(self, attempt: "_Attempt", claim: Go) -> float | None:
        self._outlet.started(attempt.job_id, received_at=attempt.received_at)
        try:
            callid = self._dial(attempt, claim)
        except AttemptFailed as failed:
            failure = self._looked_at(failed, attempt, claim)
        else:
            self._finish(attempt, claim, JobState.PLACED, callid=callid)
            return None
        match self._policy.decide(failure, attempts=claim.attempts, age_s=claim.age_s):
            case Stop(state, errno, error):
                self._finish(attempt, claim, state, errno=errno, error=error)
                return None
            case Again() as again:
                return self._go_round(attempt, claim, failure, again)

    def _dial(self, attempt: "_Attempt", claim: Go) -> str:
        pbx = self._adapter(claim.pbx)
        settings = self._settings.pbx[claim.pbx]
        left = self._settings.limits.attempt_deadline_s - attempt.age_s
        if left < settings.connect_timeout_s + settings.read_timeout_s:
            # The claim was long in coming (Redis frozen, this process stopped): by the time of a reply it might
            # no longer be ours.
            raise PbxDown("too_late", "the claim came too late to dial within its deadline")
        return pbx.dial(claim.token, extid=claim.extid, outto=claim.outto, autoanswer=claim.autoanswer)

    def _looked_at(self, failure: AttemptFailed, attempt: "_Attempt", claim: Go) -> AttemptFailed:
        """Where the PBX said Failed without saying whether the call began: look, and say what was seen."""
        if not isinstance(failure, PbxSaidFailed):
            return failure
        self.stopping.wait(self._settings.retry.look_after_s)
        try:
            pbx = self._adapter(claim.pbx)
            look = retries.a_few_looks(self._settings.limits.claim_lease_s - attempt.age_s)
            seen = look(pbx.look, claim.token, extid=claim.extid, outto=claim.outto)
        except AttemptFailed:
            return OutcomeUnknown(failure.errno, f"{failure.error}; whether the phone rang could not be seen")
        if seen.nothing_rang:
            return TryLater(failure.errno, failure.error)
        return OutcomeUnknown(failure.errno, f"{failure.error}; the extension is not free, so it may be this call")

    def _go_round(self, attempt: "_Attempt", claim: Go, failure: AttemptFailed, again: Again) -> float | None:
        down = isinstance(failure, PbxDown)
        refused = isinstance(failure, TokenRefused)
        in_slot = not down and not self.stopping.is_set() and again.delay_s <= self._settings.retry.slot_wait_s
        if down:
            self._close(claim.pbx, failure)
        parked = retries.until_redis_answers(
            self._hopper.park,
            attempt.job_id,
            attempt.nonce,
            delay_s=again.delay_s,
            free=again.free,
            in_slot=in_slot,
            rest_s=again.rest_s,
            errno=again.errno,
            error=again.error,
        )
        log.info(
            "call_put_off",
            job_id=attempt.job_id,
            pbx=claim.pbx,
            errno=again.errno,
            attempt=claim.attempts,
            wait_s=round(again.delay_s, 3),
        )
        if not parked:
            log.error("claim_lost", job_id=attempt.job_id, outcome="not_placed")
            return None
        self._outlet.parked(attempt.job_id, str(failure))
        if not in_slot:
            return None
        return self._get_token(attempt.job_id, claim.pbx, refused=claim.generation) if refused else again.delay_s

    def _get_token(self, job_id: str, pbx: str, *, refused: int = -1) -> float | None:
        """Log in if nobody else does. The job is released meanwhile, so a death here costs nothing."""
        try:
            answer = self._session(pbx).token(refused=refused)
        except PbxClosed:
            delay_s = 0.0  # the hopper knows for how long
        except PbxDown as failure:
            self._close(pbx, failure)
            delay_s = 0.0
        else:
            if isinstance(answer, Token):
                return 0.0
            delay_s = answer.seconds
        self._hopper.hand_back(job_id, delay_s=delay_s)
        return None

    def _close(self, pbx: str, failure: AttemptFailed) -> None:
        seconds = retries.until_redis_answers(
            self._hopper.close, pbx, base_s=_CLOSE_BASE_S, cap_s=_CLOSE_CAP_S, reason=str(failure)
        )
        log.warning("pbx_down", pbx=pbx, errno=failure.errno, error=failure.error, next_try_s=round(seconds, 1))

    def _finish(self, attempt: "_Attempt", claim: Go, state: JobState, **facts: str) -> None:
        result = retries.until_redis_answers(
            self._hopper.finish, attempt.job_id, attempt.nonce, state, claim, **facts
        )
        if result is None:
            log.error("claim_lost", job_id=attempt.job_id, outcome=state)
            return
        self._outlet.ended(result)
        tell = log.warning if state is JobState.UNKNOWN else log.info
        tell("call_ended", state=str(state), job_id=attempt.job_id, pbx=claim.pbx, attempt=claim.attempts, **facts)

    def _tell_end(self, job_id: str) -> None:
        result = self._hopper.result(job_id)
        if result is not None:
            self._outlet.ended(result)
            log.info("call_ended", state=str(result.state), job_id=job_id, pbx=result.pbx)

    def _adapter(self, pbx: str) -> Pbx:
        adapter = self._adapters.get(pbx)
        if adapter is None:
            if pbx not in self._settings.pbx:
                raise PbxDown("not_configured", "this worker's settings do not have the PBX")
            adapter = self._adapters.setdefault(pbx, adapter_for(pbx, self._settings.pbx[pbx]))
        return adapter

    def _session(self, pbx: str) -> PbxSession:
        session = self._sessions.get(pbx)
        if session is None:
            made = PbxSession(self._hopper, self._adapter(pbx), self._settings.retry)
            session = self._sessions.setdefault(pbx, made)
        return session


class _Attempt:
    """One claim of one job: its nonce, and when it began."""

    __slots__ = ("_begun", "job_id", "nonce", "received_at")

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.nonce = uuid.uuid4().hex
        self.received_at = time.time()
        self._begun = time.monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since the claim was asked for; it cannot be older."""
        return time.monotonic() - self._begun


def _named_seconds(state: RetryCallState) -> float:
    assert state.outcome is not None, "tenacity asks after a round"
    return float(state.outcome.result())
