"""Sleeping until somebody wakes the pacers, or until a precise time."""

from typing import Any

import redis

_CALL_S = 5


class WakeCall:
    """
    A blocking read on the wake list that can be left and taken up again.

    Redis notices a BLPOP's own time-out up to 100 ms late when it is idle. So one long BLPOP stays under way
    on a connection of its own, and the waiting is done here, on the socket. A token goes to one sleeper only.

    Args:
        client: Whose connection pool lends the connection.
        key: The wake list.
    """

    def __init__(self, client: "redis.Redis", key: str) -> None:
        self._pool = client.connection_pool
        self._key = key
        self._connection: Any = None

    def wait(self, timeout_s: float) -> None:
        """
        Return when woken, or after *timeout_s*.

        Raises:
            redis.exceptions.RedisError: The connection broke; the next call makes a new one.
        """
        try:
            if self._connection is None:
                self._connection = self._pool.get_connection()
                self._call()
            if self._connection.can_read(timeout=timeout_s):
                self._connection.read_response()
                self._call()
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
        self._connection.send_command("BLPOP", self._key, _CALL_S)
