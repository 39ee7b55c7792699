"""Doing for many requests at once what costs nearly the same for one: asking Redis."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from producers.api.problems import unavailable

In = TypeVar("In")
Out = TypeVar("Out")


class Together(Generic[In, Out]):
    """
    Collects what requests ask for while the last batch is under way, and asks for it together.

    An idle intake waits for nothing: the first request goes at once. The more requests there are, the more of them
    share one round trip. The work is done in a thread of its own, for the hopper's client blocks.

    Args:
        name: Of the thread.
        ask: Takes some items and returns one answer for each, in order; raises for all of them.
        most: Items in one batch.
        most_waiting: With more waiting than this, further ones are refused with 503.
    """

    def __init__(
        self, name: str, ask: Callable[[Sequence[In]], Sequence[Out]], *, most: int, most_waiting: int = 5000
    ) -> None:
        self._ask = ask
        self._most = most
        self._most_waiting = most_waiting
        self._waiting: deque[tuple[In, asyncio.Future[Out]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, item: In) -> Out:
        """
        Return the answer for one item.

        Raises:
            Problem: 503, if too many wait already.
        """
        if len(self._waiting) >= self._most_waiting:
            raise unavailable("too many requests wait for Redis; try again in a moment")
        answer: asyncio.Future[Out] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await answer

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
                items = [item for item, _ in batch]
                try:
                    answers = await loop.run_in_executor(self._thread, self._ask, items)
                except Exception as error:  # noqa: BLE001 - each request raises it again
                    for _, future in batch:
                        _settle(future, error)
                else:
                    for (_, future), answer in zip(batch, answers, strict=True):
                        _settle(future, answer)
        finally:
            self._running = None


def _settle(future: "asyncio.Future[Out]", answer: Out | Exception) -> None:
    if future.done():  # whoever asked has gone away
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
