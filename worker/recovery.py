"""The sweeper: what dead processes left behind is brought to an end, and nothing waits for ever."""

import random
import threading

import redis
import structlog

from worker.dialing import Outlet
from worker.hopper import Hopper
from worker.redis_away import AwayLog

log = structlog.get_logger()

_INTERVAL_S = 1.0
# A deliverer needs some 50 ms; results older than this have lost theirs, or never had one (cancelled by hand).
_UNDELIVERED_S = 2.0
# What a claim's job gets whose worker is dead, or takes so long that it must not act any more.
DEAD_ERRNO, DEAD_ERROR = "worker_lost", "the worker vanished while it placed the call"


class Sweeper:
    """
    Sweeps about once a second; of all workers' sweepers one does the work at a time.

    Args:
        hopper: Swept.
        outlet: Gets the results that nobody delivered.
    """

    def __init__(self, hopper: Hopper, outlet: Outlet) -> None:
        self._hopper = hopper
        self._outlet = outlet
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin to sweep."""
        self._thread.start()

    def stop(self) -> None:
        """Sweep no more."""
        self._stopping.set()
        self._thread.join(2)

    def sweep_once(self) -> None:
        """Do what is to be done now, unless another worker just did."""
        undelivered = self._hopper.sweep(
            interval_s=_INTERVAL_S, undelivered_s=_UNDELIVERED_S, dead_errno=DEAD_ERRNO, dead_error=DEAD_ERROR
        )
        if not undelivered:
            return
        for result in self._hopper.results(undelivered):
            if result.state.is_final:
                self._outlet.ended(result)
        log.info("results_left_behind", jobs=len(undelivered))

    def _run(self) -> None:
        redis_is = AwayLog("sweeper")
        # The jitter keeps many workers from asking in step.
        while not self._stopping.wait(_INTERVAL_S * random.uniform(0.8, 1.2)):
            try:
                self.sweep_once()
                redis_is.back()
            except redis.RedisError as error:
                redis_is.away(error)
