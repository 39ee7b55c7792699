"""Sleeping until somebody wakes the pacers, or until a precise time."""

import time
from typing import Any

import redis

_CALL_S = 5.0
# An answer so much later than that does not come: the connection is half open, and nothing else would show it.
_OVERDUE_S = _CALL_S + 5


class WakeCall:
    """
    A blocking read on the wake list that can be left and taken up again.

    Redis notices a BLPOP's own time-out up to 100 ms late when it is idle. So one long BLPOP stays under way
    on a connection of its own, and the waiting is done here, on the socket. A token goes to one sleeper only.

    Args:
        client: Whose connection pool lends the connection.
        key: The wake list.
        call_s: How long the server may keep one BLPOP.
        overdue_s: A connection that owes an answer for longer, counted from the call, is given up.
    """

    def __init__(
        self, client: "redis.Redis", key: str, *, call_s: float = _CALL_S, overdue_s: float = _OVERDUE_S
    ) -> None:
        self._pool = client.connection_pool
        self._key = key
        self._connection: Any = None
        self._call_s, self._overdue_s = call_s, overdue_s
        self._called_at = 0.0

    def wait(self, timeout_s: float) -> None:
        """
        Return when woken, or after *timeout_s*.

        Raises:
            redis.exceptions.RedisError: The connection broke, or its answer is overdue; the next call makes a new
                one.
        """
        try:
            if self._connection is None:
                self._connection = self._pool.get_connection()
                self._call()
            if self._connection.can_read(timeout=timeout_s):
                self._connection.read_response()
                self._call()
            elif time.monotonic() - self._called_at > self._overdue_s:
                raise redis.TimeoutError("the server owes the answer to a BLPOP")
        except (redis.RedisError, OSError):
            self.close()
            raise

    def close(self) -> None:
        """Give the connection up; whatever it was told is lost, which a sleeper's own time-out makes good."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
            self._pool.release(connection)

    def _call(self) -> None:
        self._called_at = time.monotonic()
        self._connection.send_command("BLPOP", self._key, self._call_s)
