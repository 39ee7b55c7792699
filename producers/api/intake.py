"""What the routes share: the door, the threads that ask Redis, and who is waiting for an end."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from producers.api.batching import NoAnswer, Together
from producers.api.ends import Ends
from producers.crm import Adapter
from producers.enqueue import Dialer
from worker.hopper import PUT_BATCH, Admission, Answer, Order
from worker.settings import ApiSettings

P = ParamSpec("P")
T = TypeVar("T")

# Pages, pauses and the like: each takes some milliseconds of a thread. A batch takes one for as long as it lasts.
_THREADS, _BATCHES = 8, 4
# Admission and one step more are what a request waits for: together less than the five seconds promised.
_ADMIT_WITHIN_S, _ASK_WITHIN_S = 2.0, 2.5

# A batch may go on for so long when the intake shall stop: the server waits for three seconds more.
_LAST_WORK_S = 7.0


class Intake:
    """
    One process of the HTTP intake.

    `is_stopping` once the server shall stop: who only waits, or sends without end, ends then. `is_over` is set
    when requests under way have had their time: who works in a thread gives up, for the process ends with its last
    one.

    Args:
        dialer: The door.
        sources: Returns the CRM hooks by name.
    """

    def __init__(self, dialer: Dialer, sources: Callable[[], Mapping[str, Adapter]]) -> None:
        self.dialer = dialer
        self._sources = sources
        self.is_stopping = False
        self.is_over = threading.Event()
        self.put: Together[Order, Answer] = Together(
            "put", dialer.hopper.put_orders, most=PUT_BATCH, within_s=_ASK_WITHIN_S
        )
        self.admit: Together[tuple[str, str], Admission | None] = Together(
            "admit", dialer.hopper.admit, most=200, within_s=_ADMIT_WITHIN_S
        )
        self.ends = Ends(dialer.hopper)
        # Requests with these idempotency keys are being served by this process.
        self.under_way: set[str] = set()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="api")
        self._batches = ThreadPoolExecutor(_BATCHES, thread_name_prefix="batch")

    def stop(self) -> None:
        """Let those end who only wait or go on until the server stops, and soon those who work."""
        self.is_stopping = True
        asyncio.get_running_loop().call_later(_LAST_WORK_S, self.is_over.set)

    @property
    def sources(self) -> Mapping[str, Adapter]:
        """CRM hooks by name."""
        return self._sources()

    @property
    def settings(self) -> ApiSettings:
        """The settings of the intake."""
        return self.dialer.settings.api

    @property
    def kept_s(self) -> int:
        """For how long a request is remembered: no longer than the record of the job it brought."""
        return min(self.settings.idempotency_s, self.dialer.settings.retain_s)

    async def ask(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Run one short step in a thread, and wait for it no longer than a request may take.

        Raises:
            ServiceUnreachable: If Redis does not answer; the step may have been done.
        """
        try:
            async with asyncio.timeout(_ASK_WITHIN_S):
                return await self._run(self._threads, partial(step, *args, **kwargs))
        except TimeoutError:
            raise NoAnswer("Redis does not answer in time", perhaps_done=True) from None

    async def work(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Run what may take long in a thread; few do so at once, the others wait for their turn.

        Raises:
            ServiceUnreachable: If Redis does not answer.
        """
        return await self._run(self._batches, partial(step, *args, **kwargs))

    async def _run(self, threads: ThreadPoolExecutor, step: Callable[[], T]) -> T:
        # In the request's context: jobs handed in there belong to its trace.
        in_context = partial(copy_context().run, self._reaching_redis, step)
        return await asyncio.get_running_loop().run_in_executor(threads, in_context)

    def _reaching_redis(self, step: Callable[[], T]) -> T:
        with self.dialer.reaching_redis():
            return step()

    def close(self) -> None:
        """Let the threads end."""
        self.is_over.set()
        self.put.close()
        self.admit.close()
        self.ends.close()
        for threads in (self._threads, self._batches):
            threads.shutdown(wait=False, cancel_futures=True)
