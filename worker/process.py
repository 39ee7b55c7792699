"""One worker process: Celery with a threads pool, and our threads beside it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click
import redis
import structlog
from celery import Celery, bootsteps
from celery.worker.state import reserved_requests

from worker import broker, metrics, open_files, redis_away
from worker.app import build_app, dial_message
from worker.dialing import Dialing
from worker.errors import ConfigurationError
from worker.hopper import Hopper
from worker.node import begin, reading, refuse_what_loses_jobs, slots_taken, until_redis_is_there, work
from worker.pacer import Pacer
from worker.pbx import Directory
from worker.pbx.kept import MOST_PBXS
from worker.pulse import PULSE, Slots
from worker.reconciler import Reconciler
from worker.recovery import DEAD_ERRNO, DEAD_ERROR, Sweeper
from worker.redis_watch import RedisWatch
from worker.reloading import Reloader
from worker.results import Deliverer
from worker.secret_reader import Role
from worker.settings import Current, Settings
from worker.webhooks.targets import Announcer

log = structlog.get_logger()


def run(
    settings: Settings,
    read: Callable[[], Settings],
    *,
    name: str,
    concurrency: int,
    incarnation: str = "",
    buries: str = "",
) -> int:
    """
    Work until SIGTERM or SIGINT, then let calls under way end, and return the exit code.

    Args:
        settings: Read by the caller.
        read: Reads them again for a reload.
        name: Celery's node name, unique among all workers.
        concurrency: Calls placed at once.
        incarnation: Names this process among all that ever ran; its claims bear it.
        buries: The incarnation of a dead process whose claims are to be looked after now.

    Raises:
        ConfigurationError: If this Redis would lose jobs, or the process may open too few files.
    """
    open_files.require(concurrency, kept=MOST_PBXS)
    metrics.begin(name, settings.pbx)
    hopper = Hopper.from_settings(settings, actor=name)
    until_redis_is_there(lambda: refuse_what_loses_jobs(hopper))
    for pbx, limits in settings.pbx.items():
        until_redis_is_there(partial(hopper.register, pbx, limits))
    until_redis_is_there(partial(hopper.index_metadata, settings.index_metadata))
    if buries:
        until_redis_is_there(lambda: _bury(hopper, buries))
    app = build_app(settings)
    current = Current(settings)
    deliverer = Deliverer(app, hopper, name, Announcer(hopper, current))
    pbxs = Directory(hopper, current)
    reconciler = Reconciler(hopper, current, deliverer, pbxs)
    app.dialing = Dialing(hopper, current, deliverer, pbxs, incarnation=incarnation, doubted=reconciler.wake)
    message = dial_message(app)
    broker.guard(app, hopper, message)
    watch = RedisWatch(
        hopper,
        lambda: current.settings.pbx,
        name=name,
        slots=concurrency,
        indexed=lambda: current.settings.index_metadata,
    )
    reloader = Reloader(current, read, hopper, name=name, differences=lambda: watch.differences)
    pacer = Pacer(hopper, queue=settings.queue, message=message, watch=watch, slots=concurrency)
    sweeper = Sweeper(hopper, deliverer)
    app.steps["worker"].add(_step(app, hopper, [pacer, sweeper, reconciler, reloader], deliverer, settings))
    return work(app, name=name, concurrency=concurrency)


def _hand_back_what_never_began(hopper: Hopper) -> None:
    """Messages this worker took and could not begin: their jobs go back to their lanes at once."""
    try:
        for request in list(reserved_requests):
            hopper.hand_back(request.id)
    except redis.RedisError as error:
        redis_away.tell(error, thread="stop")  # the sweeper does it, later


def _step(
    app: Celery,
    hopper: Hopper,
    threads: Sequence[Pacer | Sweeper | Reconciler | Reloader],
    deliverer: Deliverer,
    settings: Settings,
) -> type[bootsteps.StartStopStep]:
    class DialerThreads(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        """Our threads start before the first message and stop around the last: pacing first, delivery last."""

        # Above the pool in the order of stopping: no release, no long sleep while the calls under way end.
        requires = ("celery.worker.components:Pool",)

        def start(self, worker: Any) -> None:
            PULSE.expect(_limits(settings), slots=Slots(worker.concurrency, slots_taken))
            deliverer.start()
            for thread in reversed(threads):
                thread.start()
            log.info("worker_ready", worker=worker.hostname, slots=worker.concurrency)

        def stop(self, worker: Any) -> None:
            PULSE.expect({"stop": settings.worker.stop_grace_s + settings.worker.deaf_after_s})
            for thread in threads:
                thread.stop()
            app.dialing.stopping.set()
            # The pool's own stop comes only now, so what its calls came to must still find a deliverer.
            worker.pool.stop()
            _hand_back_what_never_began(hopper)
            deliverer.stop()
            log.info("worker_stopped", worker=worker.hostname)

    return DialerThreads


def _limits(settings: Settings) -> dict[str, float]:
    """Return after how many seconds without a sign each part is deaf (see `worker.heartbeat`)."""
    once = settings.worker.deaf_after_s
    return {
        "consumer": once,
        "pacer": once,
        "sweeper": 2 * once,  # one sweep is several steps
        "deliverer": 4 * once,  # a results backend may take its time
        "reconciler": 6 * once,  # two log-ins and two looks at a PBX that lets each request run into its time-out
        # A log-in, and two attempts in one slot.
        "pool": 3 * settings.limits.attempt_deadline_s,
    }


def _bury(hopper: Hopper, incarnation: str) -> None:
    left = hopper.bury(incarnation, errno=DEAD_ERRNO, error=DEAD_ERROR)
    if left:
        log.warning("claims_left_behind", jobs=left)


@click.command("worker-process")
@click.option("--config", type=click.Path(), default=None)
@click.option("--name", required=True)
@click.option("--concurrency", type=int, required=True)
@click.option("--supervisor-pipe", type=int, default=None)
@click.option("--incarnation", default="")
@click.option("--buries", default="")
def main(
    config: str | None,
    *,
    name: str,
    concurrency: int,
    supervisor_pipe: int | None,
    incarnation: str,
    buries: str,
) -> None:
    """Run one worker process; started by `worker.supervisor`."""
    try:
        read = reading(config, Role.DIALING)
        settings = begin(read, supervisor_pipe, process=name)
        raise SystemExit(
            run(settings, read, name=name, concurrency=concurrency, incarnation=incarnation, buries=buries)
        )
    except ConfigurationError as wrong:
        click.echo(str(wrong), err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
