"""Telling requests that wait for a job's end when it comes."""

import asyncio
import threading
from collections import defaultdict
from contextlib import suppress

import redis

from worker.hopper import Hopper

_LOOK_S = 1.0
_ANY = ""  # no job's id


class Ends:
    """
    One listener for all requests of this process that wait for a job's end.

    What it does not hear, because a connection was lost, is found by whoever waits: they look every second.

    Args:
        hopper: Whose jobs end.
    """

    def __init__(self, hopper: Hopper) -> None:
        self._hopper = hopper
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = threading.Event()

    async def next_look(self, job_id: str, within_s: float) -> None:
        """Return when a job ended, or it is time to look at it again: after *within_s*, or a second."""
        await self._next(job_id, within_s)

    async def next_end(self, within_s: float) -> None:
        """Return when any job ended, or after *within_s*, or a second."""
        await self._next(_ANY, within_s)

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()

    async def _next(self, job_id: str, within_s: float) -> None:
        self._listen()
        ended = asyncio.Event()
        self._waiting[job_id].add(ended)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), min(within_s, _LOOK_S))
        finally:
            self._waiting[job_id].discard(ended)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    def _listen(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            threading.Thread(target=self._run, args=(self._loop,), name="ends", daemon=True).start()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._closed.is_set():
            with suppress(redis.RedisError, RuntimeError):  # the loop may have been closed
                for job_id in self._hopper.ends(look_s=_LOOK_S):
                    if self._closed.is_set():
                        return
                    if job_id is not None and (job_id in self._waiting or _ANY in self._waiting):
                        loop.call_soon_threadsafe(self._tell, job_id)
            self._closed.wait(_LOOK_S)

    def _tell(self, job_id: str) -> None:
        for ended in (*self._waiting.get(job_id, ()), *self._waiting.get(_ANY, ())):
            ended.set()
