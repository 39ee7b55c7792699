"""Doing for many requests at once what costs nearly the same for one: asking Redis."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from worker.errors import ServiceUnreachable

In = TypeVar("In")
Out = TypeVar("Out")


class NoAnswer(ServiceUnreachable):
    """
    Redis does not answer in time, or too many requests wait for it.

    Args:
        sentence: Which of them.
        perhaps_done: Whether what was asked for may have been done, or may be yet.
    """

    def __init__(self, sentence: str, *, perhaps_done: bool) -> None:
        super().__init__(sentence)
        self.nothing_done = not perhaps_done


@dataclass(slots=True, eq=False)
class _Asked(Generic[In, Out]):
    item: In
    answer: "asyncio.Future[Out]"
    is_sent: bool = False


class Together(Generic[In, Out]):
    """
    Collects what requests ask for while the last batch is under way, and asks for it together.

    An idle intake waits for nothing: the first request goes at once. The more requests there are, the more of them
    share one round trip. The work is done in a thread of its own, for the hopper's client blocks. A thread that
    hangs holds up no request for longer than *within_s*: what has not left by then is never asked for.

    Args:
        name: Of the thread.
        ask: Takes some items and returns one answer for each, in order; raises for all of them.
        most: Items in one batch.
        within_s: How long one item waits for its answer at most.
        most_waiting: With more waiting than this, further ones are refused.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[Sequence[In]], Sequence[Out]],
        *,
        most: int,
        within_s: float,
        most_waiting: int = 5000,
    ) -> None:
        self._ask = ask
        self._most = most
        self._within_s = within_s
        self._most_waiting = most_waiting
        self._waiting: deque[_Asked[In, Out]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, item: In) -> Out:
        """
        Return the answer for one item.

        Raises:
            NoAnswer: If there is none in time, or too many wait already.
            redis.exceptions.RedisError: As Redis or the connection gave it, to all that were asked together.
        """
        if len(self._waiting) >= self._most_waiting:
            raise NoAnswer("too many requests wait for Redis", perhaps_done=False)
        asked: _Asked[In, Out] = _Asked(item, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(self._within_s):
                return await asked.answer
        except TimeoutError:
            raise NoAnswer("Redis does not answer in time", perhaps_done=asked.is_sent) from None

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while batch := self._next_batch():
                items = [asked.item for asked in batch]
                try:
                    answers = await loop.run_in_executor(self._thread, self._ask, items)
                except Exception as error:  # noqa: BLE001 - each request raises it again
                    for asked in batch:
                        _settle(asked.answer, error)
                else:
                    for asked, answer in zip(batch, answers, strict=True):
                        _settle(asked.answer, answer)
        finally:
            self._running = None

    def _next_batch(self) -> list[_Asked[In, Out]]:
        batch: list[_Asked[In, Out]] = []
        while self._waiting and len(batch) < self._most:
            asked = self._waiting.popleft()
            if not asked.answer.done():  # whoever asked waits still
                asked.is_sent = True
                batch.append(asked)
        return batch


def _settle(future: "asyncio.Future[Out]", answer: Out | Exception) -> None:
    if future.done():  # whoever asked has gone away
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
