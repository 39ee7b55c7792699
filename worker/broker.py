"""The broker as a worker sees it: what may come in."""

from functools import partial
from itertools import count
from typing import Any

import redis
import structlog
from celery import Celery
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.connection import Connection as KombuConnection
from kombu.transport import redis as transports

from worker.hopper import Hopper
from worker.messages import Unusable, job_id_in

log = structlog.get_logger()


def guard(app: Celery, hopper: Hopper, message: str) -> None:
    """
    Let *app*'s worker outlive whatever lies on its queue.

    Args:
        app: Not yet started.
        hopper: Where notes of unusable messages go.
        message: The Celery message of a dial job (see `worker.app.dial_message`).
    """
    app.gate = Gate(hopper, message)
    app.amqp.Connection = Connection
    app.conf.worker_consumer = Consumer


class Gate:
    """
    Between the queue and Celery: a message that names a job goes on as our own message of that job; any other is
    set aside.

    Celery and kombu die of most malformed messages, log the contents of others, and act on headers (times, time
    limits, callbacks) that have no meaning here. Nothing a stranger wrote gets as far as that. Losing a message
    loses no job: the sweeper brings back what was released and not claimed.
    """

    def __init__(self, hopper: Hopper, message: str) -> None:
        self._hopper = hopper
        self._message = message
        self._numbers = count(1)

    def admit(self, found: bytes) -> str | None:
        """Return the message to go on with, or None if *found* was set aside."""
        job_id = job_id_in(found)
        if isinstance(job_id, Unusable):
            self._set_aside(job_id)
            return None
        # The tag names the message among those this worker has in hand.
        return self._message.replace("@TAG@", f"{job_id}.{next(self._numbers)}").replace("@ID@", job_id)

    def _set_aside(self, why: Unusable) -> None:
        log.warning("message_set_aside", reason=why.name.lower())
        try:
            self._hopper.set_aside("message", why.value)
        except redis.RedisError as error:
            log.warning("redis_away", thread="consumer", error=type(error).__name__)


class _GatedRedis(redis.Redis):
    """kombu's client for reading the queue; the place where kombu itself rewrites what it reads (key prefixes)."""

    def __init__(self, *args: Any, gate: Gate | None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._gate = gate

    def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        reply: Any = super().parse_response(connection, command_name, **options)  # type: ignore[no-untyped-call]
        if command_name != "BRPOP" or not reply or self._gate is None:
            return reply
        queue, found = reply
        admitted = self._gate.admit(found)
        return None if admitted is None else (queue, admitted)  # None is what an empty queue answers


class _Gated:
    """A channel on which `Connection.gate` stands."""

    connection: Any

    def _get_client(self) -> Any:
        return partial(_GatedRedis, gate=self.connection.client.gate)


class _Channel(_Gated, transports.Channel):
    pass


class _SentinelChannel(_Gated, transports.SentinelChannel):
    pass


class _Transport(transports.Transport):
    Channel = _Channel


class _SentinelTransport(transports.SentinelTransport):
    Channel = _SentinelChannel


class Connection(KombuConnection):
    """A connection whose Redis transports are ours, also after it switched to another sentinel."""

    gate: Gate | None = None

    def get_transport_cls(self) -> Any:
        known = super().get_transport_cls()  # type: ignore[no-untyped-call]
        if issubclass(known, transports.SentinelTransport):
            return _SentinelTransport
        return _Transport if issubclass(known, transports.Transport) else known


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery has no types
    """Celery's consumer, reading through the gate."""

    def connection_for_read(self, heartbeat: Any = None) -> Any:
        connection = self.app.connection_for_read(heartbeat=heartbeat)
        connection.gate = self.app.gate
        return self.ensure_connected(connection)
