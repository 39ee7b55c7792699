"""The broker as a worker sees it: what may come in, and how a lost connection is taken up again."""

import logging
import time
import warnings
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import redis
import structlog
from celery import Celery
from celery.exceptions import CPendingDeprecationWarning
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown
from kombu.connection import Connection as KombuConnection
from kombu.transport import redis as transports

from worker.hopper import Hopper
from worker.messages import Unusable, job_id_in
from worker.pulse import PULSE
from worker.redis_away import hint_for, is_silence

log = structlog.get_logger()

IdIn = Callable[[bytes], str | Unusable]

# Celery's own waits grow to half a minute, during which nothing is dialed although Redis is back.
_RETRY_S = 1.0


def guard(app: Celery, hopper: Hopper, message: str, *, id_in: IdIn = job_id_in) -> None:
    """
    Let *app*'s worker outlive whatever lies on its queue, and whatever its Redis does.

    Args:
        app: Not yet started.
        hopper: Where notes of unusable messages go.
        message: The Celery message of a dial job, or of a delivery (see `worker.app`).
        id_in: What a message of this queue names.
    """
    app.gate = Gate(hopper, message, id_in)
    app.amqp.Connection = Connection
    app.conf.worker_consumer = Consumer
    # Its warnings, a line for each try, say what `redis_away` says once.
    logging.getLogger("celery.worker.consumer.consumer").setLevel(logging.ERROR)


class Gate:
    """
    Between the queue and Celery: a message that names a job (or a delivery) goes on as our own message of it; any
    other is set aside.

    Celery and kombu die of most malformed messages, log the contents of others, and act on headers (times, time
    limits, callbacks) that have no meaning here. Nothing a stranger wrote gets as far as that. Losing a message
    loses no job: the sweeper brings back what was released and not claimed.
    """

    def __init__(self, hopper: Hopper, message: str, id_in: IdIn = job_id_in) -> None:
        self._hopper = hopper
        self._id_in = id_in
        self._message = message
        self._numbers = count(1)

    def admit(self, found: bytes) -> str | None:
        """Return the message to go on with, or None if *found* was set aside."""
        named = self._id_in(found)
        if isinstance(named, Unusable):
            self._set_aside(named)
            return None
        # The tag names the message among those this worker has in hand.
        return self._message.replace("@TAG@", f"{named}.{next(self._numbers)}").replace("@ID@", named)

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
        if command_name != "BRPOP" or self._gate is None:
            return reply
        PULSE.answered("consumer")
        if not reply:
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


# A server that answers with an error (a replica, memory full, a failed disk, a queue that is no list) is as good
# as away: kombu would let these end the worker.
_AWAY = (*transports.Transport.connection_errors, redis.RedisError)


class _PutsBack:
    """
    A transport that puts a message back as it came, should it come when its consumer has just gone.

    That happens when a worker stops: the answer to the last BRPOP is read while the connection is closed. kombu
    would take the message apart and put it back with its plain body as bytes, in a form that no gate lets in, and
    its job would wait for the sweeper. A process that dies in here leaves the job to the sweeper too.
    """

    channels: list[Any]

    def _reject_inbound_message(self, raw_message: dict[str, Any]) -> None:
        queue = raw_message["properties"]["delivery_info"]["routing_key"]
        for channel in filter(None, self.channels):
            channel._put(queue, raw_message)  # noqa: SLF001  as kombu itself does
            break


class _Transport(_PutsBack, transports.Transport):
    Channel = _Channel
    connection_errors = _AWAY


class _SentinelTransport(_PutsBack, transports.SentinelTransport):
    Channel = _SentinelChannel
    connection_errors = _AWAY


class Connection(KombuConnection):
    """A connection whose Redis transports are ours, also after it switched to another sentinel."""

    gate: Gate | None = None

    def info(self) -> dict[str, Any]:
        """Return what Flower may show of the broker: sentinels' addresses and options may hold passwords."""
        told = dict(super().info())  # type: ignore[no-untyped-call]
        secret = {"password", "hostname", "alternates", "transport_options"}
        return told | dict.fromkeys(secret & told.keys())

    def get_transport_cls(self) -> Any:
        known = super().get_transport_cls()  # type: ignore[no-untyped-call]
        if issubclass(known, transports.SentinelTransport):
            return _SentinelTransport
        return _Transport if issubclass(known, transports.Transport) else known


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery has no types
    """Celery's consumer, reading through the gate and asking a Redis that is away once a second."""

    _is_away = False
    _connected_at = 0.0

    def connection_for_read(self, heartbeat: Any = None) -> Any:
        connection = self.app.connection_for_read(heartbeat=heartbeat)
        connection.gate = self.app.gate
        return self.ensure_connected(connection)

    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection(
            lambda error, _interval: self._say_away(error),
            interval_start=_RETRY_S,
            interval_step=0,
            interval_max=_RETRY_S,
            callback=maybe_shutdown,
            reraise_as_library_errors=False,
        )
        self.first_connection_attempt = False
        self._connected_at = time.monotonic()
        return conn

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        self._say_away(exc)
        time.sleep(_RETRY_S)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        self._say_away(exc)
        # At each lost connection Celery tells that a later release will have another default; ours is set. Its own
        # start switches such warnings on, so they are switched off here.
        warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
        super().on_connection_error_after_connected(exc)
        # Some take the connection and refuse what comes next: not in a tight loop.
        if time.monotonic() - self._connected_at < _RETRY_S:
            time.sleep(_RETRY_S)

    def on_ready(self) -> None:
        super().on_ready()
        if self._is_away:
            log.info("redis_back", thread="consumer")
        self._is_away = False

    def _say_away(self, error: Exception) -> None:
        if not is_silence(error):
            PULSE.refused("consumer")
        if not self._is_away:
            hint = {"hint": text} if (text := hint_for(error)) else {}
            log.warning("redis_away", thread="consumer", error=type(error).__name__, **hint)
        self._is_away = True
