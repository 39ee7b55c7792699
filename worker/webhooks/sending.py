"""One attempt to tell one result: take the delivery, make the call, say what came of it."""

import random
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import redis
import structlog

from worker import metrics, tracing
from worker.hopper import Attempt, Ending, Hopper, Patience
from worker.jobs import DialResult
from worker.logs import about
from worker.redis_away import AwayLog, is_away, tell
from worker.settings import Current, Settings
from worker.webhooks.calls import Call
from worker.webhooks.endpoints import EndpointSettings, Route
from worker.webhooks.events import result_event, signed_call
from worker.webhooks.targets import keeping_of, ports_written, routes, source_of
from worker.webhooks.transport import NoReply, Reply, Transport
from worker.webhooks.verdicts import ending_of

log = structlog.get_logger()

# The CRM's own call for a result of a source's job: (source, result, seq); None where there is nothing to tell.
ResultCalls = Callable[[str, DialResult, int], Call | None]

# Between the taking and the beginning of an attempt, and between its end and the word of it.
LEASE_MARGIN_S = 5.0
# How an attempt is told to a Redis that is away: for half a minute, and then its lease has ended.
_TRIES, _TRY_AGAIN_S = 60, 0.5


@dataclass(frozen=True, slots=True)
class _NoCall:
    """A delivery that no call can be made of, and what becomes of it."""

    ending: Ending


class Sender:
    """
    What the task `deliver` calls.

    Args:
        hopper: Where deliveries are.
        settings: Where they go.
        result_calls: Makes the calls to the sources' own CRMs.
        transport: Carries calls out.
    """

    def __init__(
        self,
        hopper: Hopper,
        settings: Settings | Current,
        result_calls: ResultCalls,
        *,
        transport: Transport | None = None,
    ) -> None:
        self._hopper = hopper
        self._current = current = Current.of(settings)
        self._queue = current.settings.webhook_queue
        self._routes = current.derived(routes)
        self._ports = current.derived(_ports)
        self._result_calls = result_calls
        self._transport = transport or Transport()
        self._keeping = current.derived(keeping_of)
        self._patience = current.derived(patience_of)
        self.stopping = threading.Event()

    def deliver(self, delivery_id: str) -> None:
        """
        Attempt one delivery, if it is there to be attempted; raises nothing for what the other side does.

        A process that dies here leaves a lease that ends, and then another attempt.
        """
        job_id, _, rest = delivery_id.partition("_")
        with about(job_id=job_id, delivery=delivery_id, endpoint=rest.partition("_")[2]):
            try:
                attempt = self._take(delivery_id)
            except redis.RedisError as error:
                tell(error, thread="sender")
                return
            if attempt is not None:
                self._say(attempt, self._traced(attempt))

    def _traced(self, attempt: Attempt) -> Ending:
        facts: dict[str, tracing.Value] = {"outdial.job_id": attempt.job_id, "outdial.endpoint": attempt.target}
        facts["outdial.attempt"] = attempt.attempts
        with tracing.span("tell", facts, kind="client", parent=attempt.trace) as span:
            ending = self._safely_ended(attempt)
            span.note({"outdial.ending": ending.word}, failed=bool(ending.error))
        return ending

    def put_back(self, delivery_id: str) -> None:
        """Give back a delivery that was handed out, and that this process never began."""
        self._hopper.attempted(delivery_id, "", Ending("back"), patience=self._patience(), keeping=self._keeping())

    def _take(self, delivery_id: str) -> Attempt | None:
        target = delivery_id.split("_", 2)[-1]
        route = self._routes().get(target)
        lease_s = route.timeout_s + LEASE_MARGIN_S if route else LEASE_MARGIN_S
        return self._hopper.take_delivery(self._queue, delivery_id, secrets.token_hex(8), lease_s=lease_s)

    def _safely_ended(self, attempt: Attempt) -> Ending:
        try:
            return self._ending_of(attempt)
        except Exception as error:  # noqa: BLE001
            # Not to be attempted for ever, each time a lease ends: our own slips follow the schedule too.
            log.error("attempt_broke", error=type(error).__name__)
            failed = self._judged(NoReply(f"the attempt broke ({type(error).__name__})"), attempt)
            return replace(failed, blames=False)

    def _ending_of(self, attempt: Attempt) -> Ending:
        route = self._routes().get(attempt.target)
        if route is None:
            return Ending("dead", error="the settings have no such endpoint any more")
        call = self._call_for(attempt, route)
        if isinstance(call, _NoCall):
            return call.ending
        source = source_of(attempt.target)
        ports = None if source is None else self._ports().get(source, ())
        began = time.monotonic()
        heard = self._transport.send(call, route, ports=ports)
        metrics.delivery_sent(attempt.target, time.monotonic() - began)
        return self._judged(heard, attempt)

    def _judged(self, heard: Reply | NoReply, attempt: Attempt) -> Ending:
        return ending_of(
            heard,
            attempts=attempt.attempts,
            retry_s=self._current.settings.webhooks.retry_s,
            roll=random.random(),
            now=datetime.now(UTC),
            is_own_call=source_of(attempt.target) is not None,
        )

    def _call_for(self, attempt: Attempt, route: Route) -> Call | _NoCall:
        try:
            result = DialResult.model_validate_json(attempt.result)
        except ValueError:
            return _NoCall(Ending("dead", error="its result cannot be read"))
        source = source_of(attempt.target)
        if isinstance(route, EndpointSettings):
            body = result_event(result, seq=attempt.seq)
            call = signed_call(route, body, message_id=attempt.id, now=datetime.now(UTC))
            return _with_trace(call)
        assert source is not None, "a target is an endpoint or a source"
        return self._call_to_crm(source, result, attempt)

    def _call_to_crm(self, source: str, result: DialResult, attempt: Attempt) -> Call | _NoCall:
        try:
            call = self._result_calls(source, result, attempt.seq)
        except Exception as error:  # noqa: BLE001
            # An adapter's slip, or metadata it cannot use: the same again would fail the same way. Its text may
            # quote them.
            log.error("result_call_failed", error=type(error).__name__)
            return _NoCall(Ending("dead", error=f"its call could not be made ({type(error).__name__})"))
        return _NoCall(Ending("nothing")) if call is None else call

    def _say(self, attempt: Attempt, ending: Ending) -> None:
        """Tell the hopper, while the lease may hold: a blink of Redis is no reason to tell a CRM twice."""
        redis_is = AwayLog("sender")
        for _ in range(_TRIES):
            try:
                word, disabled = self._hopper.attempted(
                    attempt.id, attempt.nonce, ending, patience=self._patience(), keeping=self._keeping()
                )
            except redis.RedisError as error:
                redis_is.away(error)
                if not is_away(error) or self.stopping.wait(_TRY_AGAIN_S):
                    return
            else:
                redis_is.back()
                metrics.delivery_attempted(attempt.target, word)
                _log(attempt, ending, word, disabled=disabled)
                return


def _with_trace(call: Call) -> Call:
    """Let the endpoint go on with the trace, unless the operator sends it another one (W3C Trace Context)."""
    trace = tracing.current()
    return replace(call, headers={"traceparent": trace, **call.headers}) if trace else call


def _ports(settings: Settings) -> dict[str, tuple[int, ...]]:
    return {name: ports_written(block) for name, block in settings.source.items()}


def patience_of(settings: Settings) -> Patience:
    """Return how targets that fail are treated."""
    webhooks = settings.webhooks
    return Patience(
        rest_cap_s=webhooks.probe_every_s,
        probe_every_s=webhooks.probe_every_s,
        disable_after_s=webhooks.disable_after_s,
    )


def _log(attempt: Attempt, ending: Ending, word: str, *, disabled: bool) -> None:
    match word:
        case "delivered":
            log.debug("result_told", attempts=attempt.attempts)
        case "again":
            log.warning("result_not_told", attempts=attempt.attempts, error=ending.error)
        case "dead":
            log.error("result_given_up", attempts=attempt.attempts, error=ending.error)
    if disabled:
        log.error("endpoint_disabled", error=ending.error)
