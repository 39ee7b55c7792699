"""The Redis client of the hopper, and the scripts loaded on it."""

import copy
import os
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import MasterDownError, NoScriptError, ReadOnlyError
from redis.retry import Retry
from redis.sentinel import Sentinel

from worker.redis_address import RedisAddress

# A reply that takes longer is lost; the pacer's blocking read is shorter (see pacer.py).
SOCKET_TIMEOUT_S = 10
CONNECT_TIMEOUT_S = 5


def connect(url: str) -> "redis.Redis":
    """
    Return a client for *url*; nothing is sent before the first command.

    The client repeats nothing by itself: redis-py's default of up to ten repeats once counted one INCR twice.
    Our scripts may be repeated, and who calls them decides.

    Args:
        url: Any address that `worker.redis_address` knows.

    Raises:
        ValueError: If it is none.
    """
    address = RedisAddress.parse(url)
    options: dict[str, Any] = {
        "db": address.database,
        "username": address.username,
        "password": address.password,
        "decode_responses": True,
        # One spoiled record must not make every list that it is in unreadable.
        "encoding_errors": "replace",
        "socket_timeout": SOCKET_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 25,
        "max_connections": 512,
    }
    if address.socket:
        return redis.Redis(unix_socket_path=address.socket, **options)
    options |= {"socket_connect_timeout": CONNECT_TIMEOUT_S, "socket_keepalive": True}
    options |= {"ssl": True, **address.tls_options} if address.tls else {}
    if address.master:
        sentinels = Sentinel(list(address.hosts), sentinel_kwargs=address.sentinel_options)
        behind: redis.Redis = sentinels.master_for(address.master, **options)
        return behind
    [(host, port)] = address.hosts
    return redis.Redis(host=host, port=port, **options)


# The primary is elsewhere now. A new connection asks DNS, or the sentinels, where.
_ELSEWHERE = (ReadOnlyError, MasterDownError)


# The parts of `scripts/shared` that stand in front of every step; each uses those before it.
SHARED = ("keys", "clock", "records", "timeline", "lanes", "breaker", "leases", "moves", "permits")
# Some steps have a part more, which the others do not pay for.
FURTHER = {
    "deliveries": (
        "announce",
        "attempted",
        "disable_endpoint",
        "dispatch",
        "enable_endpoint",
        "replay",
        "take_delivery",
    ),
    # Steps by which operators act, with the record of who acted.
    "audit": (
        "ask_reload",
        "cancel",
        "disable_endpoint",
        "enable_endpoint",
        "new_key",
        "pause",
        "redial",
        "replay",
        "resolve",
        "resume",
        "revoke_key",
    ),
    "index": ("find", "index_metadata", "put", "sweep"),
}


@cache
def steps() -> Mapping[str, tuple[str, str]]:
    """
    Return the text of each step and the SHA-1 under which servers know it, by the step's name.

    All files are read at once, before the first step runs. If one were read only when it is needed, an upgrade
    that replaces the files could lose the outcome of a call under way.
    """
    scripts = files("worker.hopper") / "scripts"
    parts = {part: (scripts / "shared" / f"{part}.lua").read_text() for part in (*SHARED, *FURTHER)}
    read = {}
    for file in scripts.iterdir():
        if file.name.endswith(".lua"):
            name = file.name.removesuffix(".lua")
            needed = (*SHARED, *(part for part, users in FURTHER.items() if name in users))
            text = "\n".join([*(parts[part] for part in needed), file.read_text()])
            read[name] = (text, sha1(text.encode(), usedforsecurity=False).hexdigest())
    return read


class _Own(threading.local):
    """The calling thread's connection, the process it was made in, and when it was last used."""

    connection: Any = None
    pid = 0
    used_at = 0.0
    life: "_Life"


class _Life:
    """Ends with its thread, or with the `Scripts` it belongs to, and takes the connection with it."""

    def __init__(self, connection: Any) -> None:
        weakref.finalize(self, connection.disconnect)


class Scripts:
    """
    Runs the named steps in `scripts/` on one server.

    A server that does not know a script (new, restarted, SCRIPT FLUSH, fail-over) is sent its text: NOSCRIPT says
    that nothing ran, so the repeat is safe.

    Each thread keeps a connection of its own: taking one from redis-py's pool for every step, and going through
    its client, costs as much CPU time as all the rest of a step.
    """

    # A connection idle for longer is looked at before it is used: the server may have closed it.
    _IDLE_S = 0.5

    def __init__(self, client: "redis.Redis", namespace: str, actor: str = "") -> None:
        self._pool: Any = client.connection_pool
        self._namespace = namespace
        self._actor = actor
        self._own = _Own()
        steps()  # reads them

    def acting_as(self, actor: str) -> "Scripts":
        """Return the same scripts on the same connections for somebody else."""
        other = copy.copy(self)
        other._actor = actor  # noqa: SLF001 - its own kind
        return other

    def run(self, name: str, *args: str | float, extra_keys: tuple[str, ...] = ()) -> Any:
        """
        Run one step and return its reply.

        Args:
            name: File name under `scripts/`, without ending.
            args: The script's ARGV, after the actor's name, which `shared/keys.lua` takes off.
            extra_keys: KEYS after the namespace, which is always KEYS[1].

        Raises:
            redis.exceptions.RedisError: As the server or the connection gave it; a note on it names the step.
        """
        keys = (self._namespace, *extra_keys)
        text, sha = steps()[name]
        connection = self._connection()
        try:
            try:
                return _asked(connection, "EVALSHA", sha, len(keys), *keys, self._actor, *args)
            except NoScriptError:
                return _asked(connection, "EVAL", text, len(keys), *keys, self._actor, *args)
        except redis.ResponseError as error:
            error.add_note(f"step {name}")
            if isinstance(error, _ELSEWHERE):
                self.leave_server()
            raise

    def leave_server(self) -> None:
        """Close the calling thread's connection and the idle ones; the next step asks where the primary is."""
        if self._own.connection is not None:
            self._own.connection.disconnect()
        self._pool.disconnect(inuse_connections=False)

    def run_and_wait(self, name: str, *args: str, replicas: int, wait_s: float) -> tuple[Any, int]:
        """
        Run one step that writes, and wait until replicas have it.

        Both commands leave together, so that the WAIT is certain to be about this step's connection.

        Args:
            name: File name under `scripts/`, without ending.
            args: The script's ARGV, after the actor's name.
            replicas: How many are waited for.
            wait_s: For how long, in seconds; well below SOCKET_TIMEOUT_S.

        Returns:
            The step's reply, and how many replicas have it by then.

        Raises:
            redis.exceptions.RedisError: As the server or the connection gave it; whether it ran is not known.
        """
        text, sha = steps()[name]
        wait = ("WAIT", replicas, int(wait_s * 1000))
        try:
            try:
                return _both(self._connection(), ("EVALSHA", sha, 1, self._namespace, self._actor, *args), wait)
            except NoScriptError:
                return _both(self._connection(), ("EVAL", text, 1, self._namespace, self._actor, *args), wait)
        except redis.ResponseError as error:
            error.add_note(f"step {name}")
            raise

    def run_each(self, name: str, payloads: Iterable[str]) -> Iterator[Any]:
        """
        Run one step for each payload, in order; the next payload is made while the server works on the last.

        Args:
            name: File name under `scripts/`, without ending.
            payloads: The script's only ARGV, one at a time.

        Yields:
            The replies, one payload behind.

        Raises:
            redis.exceptions.RedisError: As the server or the connection gave it.
        """
        # Not the thread's own: its caller may run other steps between two replies.
        connection, sha = self._pool.get_connection(), steps()[name][1]
        under_way: str | None = None
        try:
            for payload in payloads:
                last, reply = under_way, under_way and self._reply(connection, name, under_way)
                connection.send_command("EVALSHA", sha, 1, self._namespace, self._actor, payload)
                under_way = payload
                if last:
                    yield reply
            if under_way:
                reply = self._reply(connection, name, under_way)
                under_way = None
                yield reply
        finally:
            if under_way:  # the caller went away, or something broke: a reply is still on its way
                connection.disconnect()
            self._pool.release(connection)

    def _reply(self, connection: Any, name: str, payload: str) -> Any:
        try:
            return connection.read_response()
        except NoScriptError:  # nothing ran, and nothing else is under way
            return self.run(name, payload)

    def _connection(self) -> Any:
        own, now = self._own, time.monotonic()
        if own.pid != os.getpid():  # a new thread, or a fork: its parent goes on with the old one
            own.connection = self._pool.connection_class(**self._pool.connection_kwargs)
            own.life = _Life(own.connection)
            own.pid = os.getpid()
        elif now - own.used_at > self._IDLE_S and _is_stale(own.connection):
            own.connection.disconnect()
        own.used_at = now
        # By itself a connection goes back to the server it last had: behind sentinels, one that may be dead or no
        # longer the primary; before the first time, to localhost:6379. Only `connect` asks the sentinels.
        own.connection.connect()
        return own.connection


def _asked(connection: Any, *command: str | float) -> Any:
    """Send a command and read its reply; an interruption leaves none for the next command to take as its own."""
    try:
        connection.send_command(*command)
        return connection.read_response()
    except redis.ResponseError:  # that was the reply
        raise
    except BaseException:
        connection.disconnect()
        raise


def _both(connection: Any, first: tuple[Any, ...], second: tuple[Any, ...]) -> tuple[Any, int]:
    """Send two commands at once and read both replies; an error ends the connection, for one may be on its way."""
    try:
        connection.send_packed_command(connection.pack_commands([first, second]))
        return connection.read_response(), int(connection.read_response())
    except BaseException:
        connection.disconnect()
        raise


def _is_stale(connection: Any) -> bool:
    try:
        return bool(connection.can_read(timeout=0))  # nobody asked anything, so nothing may be there
    except (redis.RedisError, OSError):
        return True
