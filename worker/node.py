"""What every Celery process of ours has in common: how it waits for Redis, consumes, and stops."""

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import redis
import structlog
from celery import Celery, bootsteps
from celery.platforms import SecurityWarning
from celery.worker.state import active_requests
from redis.exceptions import NoPermissionError

from worker import logs, pulse, signals, tracing
from worker.errors import ConfigurationError
from worker.health import redis_problem
from worker.hopper import Hopper
from worker.redis_away import AwayLog, hint_for, is_away
from worker.secret_reader import Role
from worker.settings import Settings

log = structlog.get_logger()


class NoRestore(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Keeps kombu from putting messages back when a connection ends: the hopper has what they name."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer: Any) -> None:
        """Switch it off, as soon as there is a channel."""
        consumer.task_consumer.channel.do_restore = False


def work(app: Celery, *, name: str, concurrency: int) -> int:
    """
    Work until SIGTERM or SIGINT, let the tasks under way end, and return the exit code.

    Args:
        app: With our steps added, and its gate.
        name: Celery's node name.
        concurrency: Tasks at once.
    """
    app.steps["consumer"].add(NoRestore)
    worker = app.Worker(
        hostname=name,
        pool="threads",
        concurrency=concurrency,
        task_events=False,  # ours are sent in batches by the deliverer
        without_gossip=True,
        without_mingle=True,
        loglevel="WARNING",
        optimization="fair",
        quiet=True,
    )
    # To the real stdout Celery says in plain text that it stops, amid lines of JSON where both go to one place.
    sys.__stdout__ = None  # type: ignore[misc]  # it then says nothing; the log does
    try:
        worker.start()
    finally:
        tracing.shut_down()
    return int(worker.exitcode or 0)


def refuse_what_loses_jobs(hopper: Hopper) -> None:
    """
    Look whether this Redis keeps what it is given.

    Raises:
        ConfigurationError: If it may throw jobs away.
    """
    problem = redis_problem(hopper.client)
    if problem:
        raise ConfigurationError([problem])


def until_redis_is_there(step: Callable[[], object]) -> None:
    """
    Do *step*, waiting for a Redis that is not there yet, full or a replica.

    Raises:
        ConfigurationError: If it refuses the log-in.
    """
    redis_is = AwayLog("start")
    while True:
        try:
            step()
        except (redis.AuthenticationError, NoPermissionError) as error:
            raise ConfigurationError([f"redis_url: Redis refused the login; {hint_for(error)}"]) from None
        except redis.RedisError as error:
            if not is_away(error):
                raise
            redis_is.away(error)
            threading.Event().wait(0.5)
        else:
            return redis_is.back()


def slots_taken() -> frozenset[str]:
    """Return the ids of the tasks in this process's slots."""
    while True:
        with suppress(RuntimeError):  # one began meanwhile
            return frozenset(request.id for request in active_requests)


def reading(config: str | None, *roles: Role) -> Callable[[], Settings]:
    """
    Return what reads the settings, at the start and at each reload.

    Args:
        config: The settings file; None as in `Settings.load`.
        roles: What the process does: it gets no other secrets.
    """
    return partial(Settings.load, config, roles=frozenset(roles))


def begin(read: Callable[[], Settings], supervisor_pipe: int | None, *, process: str) -> Settings:
    """
    Read the settings, set log and traces up, watch the supervisor, and show signs of life.

    Args:
        read: Reads the settings.
        supervisor_pipe: Its reading end; the supervisor's death closes the other one.
        process: This process's name, for its log lines and its signs of life.

    Raises:
        ConfigurationError: With one sentence for every problem at once.
    """
    signals.block()
    # Celery warns root of unpickling what strangers send; we take JSON alone.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    settings = read()
    logs.set_up(settings.log_level, settings.log_format, process=process, takes_stderr=True)
    tracing.set_up(settings.tracing, process=process)
    if supervisor_pipe is not None:
        threading.Thread(target=_stop_with_the_supervisor, args=(supervisor_pipe,), daemon=True).start()
    pulse.beat(settings.worker.heartbeat_dir, process, limit_s=settings.worker.deaf_after_s)
    return settings


def _stop_with_the_supervisor(pipe: int) -> None:
    """A supervisor that was killed closes its end of the pipe: stop as if it had asked."""
    os.read(pipe, 1)
    log.warning("supervisor_lost")
    os.kill(os.getpid(), signal.SIGTERM)
