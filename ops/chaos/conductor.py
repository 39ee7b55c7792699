"""Carries out the plan: each fault in its time, in a thread, one at a time for each part."""

import random
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import redis
import requests

from ops.chaos.faults import Fault, Missed, Struck
from ops.chaos.plan import Deed, Planned
from ops.chaos.site import Site

_AT_ONCE = 16


class Conductor:
    """
    Starts faults when they are due.

    Its threads live as long as this object: processes started by a fault end with the thread that started them.

    Args:
        site: Where the faults strike.
        faults: By name.
        plan: By time.
    """

    def __init__(self, site: Site, faults: Mapping[str, Fault], plan: Sequence[Planned]) -> None:
        self.deeds: list[Deed] = []
        self._site = site
        self._faults = faults
        self._plan = list(plan)
        self._locks = {part: threading.Lock() for fault in faults.values() for part in fault.parts}
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fault")
        self._under_way: list[Future[None]] = []

    def start_due(self, elapsed_s: float) -> None:
        """Start what is due *elapsed_s* seconds after the run began."""
        while self._plan and self._plan[0].at_s <= elapsed_s:
            self._under_way.append(self._pool.submit(self._carry_out, self._plan.pop(0)))

    def finish(self) -> None:
        """
        Start nothing more and wait until every fault is undone.

        Raises:
            Exception: What a fault raised by itself, such as a server that does not start.
        """
        self._plan.clear()
        for future in self._under_way:
            future.result()

    def close(self) -> None:
        """End the threads, and with them what they started."""
        self._pool.shutdown()

    def _carry_out(self, planned: Planned) -> None:
        with self._locks[planned.part]:
            began_at = time.time()
            fault = self._faults[planned.kind]
            try:
                struck = fault.act(self._site, planned.part, random.Random(planned.seed)) or Struck()
                deed = Deed(planned.kind, planned.part, began_at, time.time(), struck.note, killed=struck.killed)
            except Missed as missed:
                deed = Deed(planned.kind, planned.part, began_at, time.time(), str(missed), missed=True)
            except (redis.RedisError, requests.RequestException) as error:
                # Another fault has the server or the PBX just now.
                note = type(error).__name__
                deed = Deed(planned.kind, planned.part, began_at, time.time(), note, missed=True)
            self.deeds.append(deed)
