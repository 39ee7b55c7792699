"""Hears all that is published on a Redis server: Celery's events, and our own news."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import redis

from ops.installation import GENEROUS_S
from worker.errors import ServiceUnreachable
from worker.hopper import connect

_LOOK_S = 0.1


class Published:
    """
    What was published while somebody listened. A server that is away is waited for.

    Args:
        url: Of the server.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._heard: list[str] = []
        self._hears = threading.Event()
        self._over = threading.Event()

    @property
    def text(self) -> str:
        """All messages, one on a line."""
        return "\n".join(list(self._heard))

    @contextmanager
    def listening(self) -> Iterator["Published"]:
        """
        Listen for the length of the block, which begins when the server has agreed to it.

        Raises:
            ServiceUnreachable: If it has not within two minutes.
        """
        thread = threading.Thread(target=self._listen, name="published")
        thread.start()
        try:
            if not self._hears.wait(GENEROUS_S):
                raise ServiceUnreachable("Redis did not confirm the subscription within two minutes")
            yield self
        finally:
            self._over.set()
            thread.join()

    def _listen(self) -> None:
        with connect(self._url) as client:
            while not self._over.is_set():
                try:
                    self._listen_once(client)
                except (redis.RedisError, OSError):
                    self._over.wait(_LOOK_S)

    def _listen_once(self, client: Any) -> None:
        with closing(client.pubsub()) as channel:
            channel.psubscribe("*")
            while not self._over.is_set():
                message = channel.get_message(timeout=_LOOK_S)
                self._hears.set()
                if message is not None:
                    self._heard.append(str(message["data"]))
