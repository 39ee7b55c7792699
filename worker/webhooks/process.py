"""One webhook process: Celery on a queue of its own, so that a CRM that hangs never takes a slot from dialing."""

from collections.abc import Callable
from typing import Any

import redis
import structlog
from celery import Celery, bootsteps
from celery.worker.state import reserved_requests

from worker import broker, metrics, open_files, redis_away
from worker.app import build_app, delivery_message
from worker.hopper import Hopper
from worker.jobs import DialResult
from worker.messages import delivery_id_in
from worker.node import refuse_what_loses_jobs, slots_taken, until_redis_is_there, work
from worker.pulse import PULSE, Slots
from worker.reloading import Reloader
from worker.settings import Current, Settings
from worker.webhooks.calls import Call
from worker.webhooks.courier import LEASE_S, Courier
from worker.webhooks.sending import ResultCalls, Sender
from worker.webhooks.targets import target_names

log = structlog.get_logger()


def run(
    settings: Settings,
    read: Callable[[], Settings],
    calls_of: Callable[[Settings], ResultCalls],
    *,
    name: str,
    concurrency: int,
) -> int:
    """
    Bring results to endpoints until SIGTERM or SIGINT, let attempts under way end, and return the exit code.

    Args:
        settings: Read by the caller.
        read: Reads them again for a reload.
        calls_of: Returns what makes the calls to the CRMs of the sources in settings; raises ConfigurationError.
        name: Celery's node name, unique among all processes.
        concurrency: Attempts at once.

    Raises:
        ConfigurationError: If this Redis would lose jobs, or the process may open too few files.
    """
    open_files.require(concurrency)
    metrics.begin(name, target_names(settings))
    current = Current(settings)
    calls = current.derived(calls_of)

    def result_call(source: str, result: DialResult, seq: int) -> Call | None:
        return calls()(source, result, seq)

    hopper = Hopper.from_settings(settings, actor=name)
    until_redis_is_there(lambda: refuse_what_loses_jobs(hopper))
    app = build_app(settings, queue=settings.webhook_queue)
    app.sender = Sender(hopper, current, result_call)
    message = delivery_message(app)
    broker.guard(app, hopper, message, id_in=delivery_id_in)
    courier = Courier(hopper, current, message=message, name=name, slots=concurrency)
    reloader = Reloader(current, read, hopper, name=name, check=calls_of)
    app.steps["worker"].add(_step(app, courier, reloader, settings))
    return work(app, name=name, concurrency=concurrency)


def _step(app: Celery, courier: Courier, reloader: Reloader, settings: Settings) -> type[bootsteps.StartStopStep]:
    class WebhookThreads(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        """The courier starts before the first message and stops before the last attempt ends."""

        requires = ("celery.worker.components:Pool",)

        def start(self, worker: Any) -> None:
            limits = dict.fromkeys(("consumer", "courier"), settings.worker.deaf_after_s)
            PULSE.expect(limits | {"pool": LEASE_S}, slots=Slots(worker.concurrency, slots_taken))
            courier.start()
            reloader.start()
            log.info("webhooks_ready", worker=worker.hostname, slots=worker.concurrency)

        def stop(self, worker: Any) -> None:
            PULSE.expect({"stop": settings.worker.stop_grace_s + settings.worker.deaf_after_s})
            courier.stop()
            reloader.stop()
            app.sender.stopping.set()
            worker.pool.stop()
            _put_back_what_never_began(app.sender)
            log.info("webhooks_stopped", worker=worker.hostname)

    return WebhookThreads


def _put_back_what_never_began(sender: Sender) -> None:
    try:
        for request in list(reserved_requests):
            sender.put_back(request.id)
    except redis.RedisError as error:
        redis_away.tell(error, thread="stop")  # their leases end by themselves
