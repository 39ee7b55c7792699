"""What the routes share: the door, the threads that ask Redis, and who is waiting for an end."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from producers.api.batching import Together
from producers.api.ends import Ends
from producers.crm import Adapter
from producers.enqueue import Dialer
from worker.errors import KeyConflict
from worker.hopper import PUT_BATCH, Admission, Order, Receipt
from worker.settings import ApiSettings

P = ParamSpec("P")
T = TypeVar("T")

# Pages, pauses and the like: each takes some milliseconds of a thread.
_THREADS = 8


class Intake:
    """
    One process of the HTTP intake.

    Args:
        dialer: The door.
        sources: CRM hooks by name.
    """

    def __init__(self, dialer: Dialer, sources: Mapping[str, Adapter]) -> None:
        self.dialer = dialer
        self.sources = sources
        self.put: Together[Order, Receipt | KeyConflict] = Together(
            "put", dialer.hopper.put_orders, most=PUT_BATCH
        )
        self.admit: Together[tuple[str, str], Admission | None] = Together("admit", dialer.hopper.admit, most=200)
        self.ends = Ends(dialer.hopper)
        # The server is about to stop: answers that never end of themselves must end now.
        self.is_stopping = False
        # Requests with these idempotency keys are being served by this process.
        self.under_way: set[str] = set()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="api")

    def stop(self) -> None:
        """Let answers end that go on until the server stops."""
        self.is_stopping = True

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
        Run one blocking step in a thread.

        Raises:
            ServiceUnreachable: If Redis does not answer.
        """
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, partial(self._reaching_redis, step, *args, **kwargs)
        )

    def _reaching_redis(self, step: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        with self.dialer.reaching_redis():
            return step(*args, **kwargs)

    def close(self) -> None:
        """Let the threads end."""
        self.put.close()
        self.admit.close()
        self.ends.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
