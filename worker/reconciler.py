"""The thread that looks after jobs of which nobody knows whether they rang."""

import threading
import time

import redis
import structlog

from worker import breaker, metrics
from worker.dialing import Outlet
from worker.errors import (
    AttemptFailed,
    NeverTry,
    NotConfigured,
    OutcomeUnknown,
    PbxBarred,
    PbxDown,
    PbxRefuses,
    TokenRefused,
    TryLater,
)
from worker.evidence import Row, Sight, Verdict, decide, sight_of
from worker.hopper import Doubted, Hopper, LookTurn, Token
from worker.jobs import JobState
from worker.logs import about
from worker.pbx import Directory, OutboundCall, Sighting
from worker.redis_away import AwayLog, is_away
from worker.retries import Again, RetryPolicy
from worker.settings import Current, LookSettings, Settings
from worker.tracing.attempts import doubt_span

log = structlog.get_logger()

# Should a looker die, others look after so long. One that takes longer, at a PBX that hangs, is joined by another
# with the same question, which does no harm; a longer lease would let calls end unseen.
_LEASE_S = 15.0
# Doubts of other processes' jobs are found so soon; those of this process wake the thread at once.
_LONGEST_SLEEP_S = 1.0
# Looks grow apart with the age of the youngest doubt, up to this.
_LONGEST_PAUSE_S = 5.0
# They leave half of a slow PBX's permits to calls, but are never further apart than this for it.
_SLOW_PBX_PAUSE_S = 10.0
_THREADS = 2


class Reconciler:
    """
    Looks at PBXs with doubtful jobs, and does with each job what `worker.evidence` says.

    Of all workers' threads one looks at a PBX at a time, and one look answers for all of its doubtful jobs, so a
    sick PBX is asked no more often for a hundred doubts than for one. Should this process die between a look and
    what follows from it, another makes the same look again.

    Args:
        hopper: Where the jobs are.
        settings: How long and how often to look; the retry policy.
        outlet: Told of ends.
        pbxs: Adapters and sessions.
    """

    def __init__(self, hopper: Hopper, settings: Settings | Current, outlet: Outlet, pbxs: Directory) -> None:
        self._hopper = hopper
        self._current = Current.of(settings)
        self._outlet = outlet
        self._pbxs = pbxs
        self._policy = self._current.derived(lambda present: RetryPolicy.from_settings(present.retry))
        self._stopping = False
        self._wake = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"reconciler-{n}", daemon=True) for n in range(_THREADS)
        ]

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Look no more; a look under way is left to end by itself."""
        self._stopping = True
        self._wake.set()
        for thread in self._threads:
            thread.join(1)

    @property
    def _looks(self) -> LookSettings:
        return self._current.settings.look

    def wake(self) -> None:
        """A job of this process has come into doubt."""
        self._wake.set()

    def look_once(self) -> float:
        """Do one look if there is one to do now; returns seconds until the next may be due."""
        turn = self._hopper.look_turn(lease_s=_LEASE_S)
        if isinstance(turn, LookTurn):
            self._look(turn)
            return 0.0
        return _LONGEST_SLEEP_S if turn is None else turn

    def _run(self) -> None:
        redis_is = AwayLog("reconciler")
        while not self._stopping:
            self._wake.clear()
            try:
                sleep_s = self.look_once()
                redis_is.back()
            except redis.RedisError as error:
                redis_is.away(error)
                sleep_s = _LONGEST_SLEEP_S
            except Exception as error:
                # A job that makes this fail must not end the looking after all others; its turn comes again.
                log.exception("look_failed", error=type(error).__name__)
                sleep_s = _LONGEST_SLEEP_S
            self._wake.wait(min(sleep_s, _LONGEST_SLEEP_S))

    def _look(self, turn: LookTurn) -> None:
        began = time.monotonic()
        if turn.ask:
            metrics.looked(turn.pbx, self._looks.permits)
        seen = self._seen(turn)
        took_s = time.monotonic() - began
        still: list[tuple[Doubted, str]] = []
        waits: list[float] = []
        for job in turn.jobs:
            sight, call = (
                seen if isinstance(seen, tuple) else sight_of(job, seen, clock_ahead_s=turn.clock_ahead_s)
            )
            row = decide(job, sight, self._looks)
            if row.verdict is Verdict.LOOK_AGAIN:
                still.append((job, sight))
                waits.append(max(self._shortest_s(turn.pbx), self._pause_s(job, took_s)))
            elif not self._is_carried_out(job, row, sight, call):
                waits.append(_LONGEST_PAUSE_S)
        # A turn holds a hundred jobs at most; where there are more, the next are looked after at once.
        next_s = min(waits, default=self._shortest_s(turn.pbx))
        if self._hopper.looked(turn.pbx, next_s=next_s, answered=isinstance(seen, Sighting), still=still):
            breaker.half_open(turn.pbx)

    def _pause_s(self, job: Doubted, took_s: float) -> float:
        """Return how long to rest: longer with the job's age, but not past the next moment that may decide it."""
        looks, waited_s = self._looks, job.waited_s + took_s
        moments = [looks.within_s - waited_s, looks.at_most_s - waited_s]
        moments.append(looks.quiet_s - (job.quiet_s or 0.0))
        soonest = min((moment for moment in moments if moment > 0), default=_LONGEST_PAUSE_S)
        return min(soonest, waited_s, _LONGEST_PAUSE_S)

    def _shortest_s(self, pbx: str) -> float:
        """Return how far apart looks at a PBX are at least."""
        every_s, permits = self._looks.every_s, self._looks.permits
        limits = self._current.settings.pbx.get(pbx)
        for_half_s = 2 * permits / limits.calls_per_second if limits else 0.0
        return max(every_s, min(for_half_s, _SLOW_PBX_PAUSE_S))

    def _seen(self, turn: LookTurn) -> Sighting | tuple[Sight, None]:
        """Ask the PBX; where it cannot be asked, the sight that stands for that."""
        if not turn.ask:
            return Sight.BLIND, None
        try:
            return self._asked(turn)
        except PbxBarred:
            return Sight.BLIND, None
        except (PbxRefuses, NeverTry) as failure:
            return self._unseen(turn, failure, Sight.REFUSED)
        except AttemptFailed as failure:
            if isinstance(failure, PbxDown | OutcomeUnknown):
                breaker.failed(self._hopper, turn.pbx, failure, by=breaker.LOOK)
            return self._unseen(turn, failure, Sight.BLIND)

    def _unseen(self, turn: LookTurn, failure: AttemptFailed, sight: Sight) -> tuple[Sight, None]:
        if not isinstance(failure, NotConfigured):
            log.warning("look_unanswered", pbx=turn.pbx, errno=failure.errno, error=failure.error)
        return sight, None

    def _asked(self, turn: LookTurn) -> Sighting:
        pbx, session = self._pbxs.to_look_at(turn.pbx)
        token = Token(turn.token, turn.generation) if turn.token else session.token()
        if isinstance(token, Token):
            try:
                return pbx.look(token.token)
            except TokenRefused:
                token = session.token(refused=token.generation)
        if not isinstance(token, Token):
            raise TryLater("login", "somebody else is logging in")
        return pbx.look(token.token)

    def _is_carried_out(self, job: Doubted, row: Row, sight: Sight, call: OutboundCall | None) -> bool:
        """Do what the table says; False if that fails, so that the jobs behind this one do not wait for it."""
        with about(job_id=job.id, pbx=job.pbx), doubt_span(job, row.verdict.name.lower(), row.reason):
            try:
                self._carry_out(job, row, sight, call)
            except Exception as error:
                if is_away(error):
                    raise
                log.exception("look_failed", error=type(error).__name__)
                return False
        return True

    def _carry_out(self, job: Doubted, row: Row, sight: Sight, call: OutboundCall | None) -> None:
        match row.verdict:
            case Verdict.ADOPT if job.callid:
                self._finish(job, row, JobState.PLACED, callid=job.callid)
            case Verdict.ADOPT:
                assert call is not None, "only a call that was seen is adopted"
                ids = {"callid": call.callid} if call.callid else {"outboundid": call.outboundid}
                self._finish(job, row, JobState.PLACED, nothing_runs=False, **ids)
            case Verdict.RETRY | Verdict.REDIAL:
                self._try_again(job, row)
            case _:
                error = f"{job.error}; {row.reason}"
                self._finish(
                    job, row, JobState.UNKNOWN, nothing_runs=sight is Sight.QUIET, errno=job.errno, error=error
                )

    def _try_again(self, job: Doubted, row: Row) -> None:
        kind = PbxDown if job.is_free and row.verdict is Verdict.RETRY else TryLater
        failure = kind(job.errno, job.error)
        decision = self._policy().decide(failure, attempts=job.attempts, trying_s=job.trying_s)
        if not isinstance(decision, Again):
            # One that may have rung has not failed for certain.
            state = decision.state if row.verdict is Verdict.RETRY else JobState.UNKNOWN
            facts = {"errno": decision.errno, "error": decision.error}
            self._finish(job, row, state, nothing_runs=True, **facts)
            return
        if self._hopper.park(
            job.id,
            job.nonce,
            delay_s=decision.delay_s,
            free=decision.is_free,
            errno=decision.errno,
            error=decision.error,
        ):
            metrics.job_parked(job.pbx, decision.errno)
            self._outlet.parked(job.id, str(failure))
            self._tell(job, row, "waiting")

    def _finish(
        self, job: Doubted, row: Row, state: JobState, *, nothing_runs: bool = False, **facts: str
    ) -> None:
        finished = self._hopper.finish(
            job.id, job.nonce, state, job, answered=False, nothing_runs=nothing_runs, **facts
        )
        if finished is not None:
            self._outlet.ended(finished.result)
            self._tell(job, row, state)

    def _tell(self, job: Doubted, row: Row, state: str) -> None:
        metrics.doubt_resolved(job.pbx, row.verdict.name.lower())
        after_s = round(job.waited_s, 1)
        if state == JobState.UNKNOWN:
            log.warning("doubt_resolved", state=str(state), errno=job.errno, reason=row.reason, after_s=after_s)
        else:
            log.info("doubt_resolved", state=str(state), errno=job.errno, reason=row.reason, after_s=after_s)
