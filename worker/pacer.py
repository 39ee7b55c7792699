"""The thread in every worker that hands due jobs to Celery, no faster than they can be claimed."""

import time

import redis
import structlog

from worker import metrics
from worker.hopper import Hopper
from worker.redis_watch import HEARTBEAT_S, RedisWatch
from worker.rounds import Rounds

log = structlog.get_logger()

# A job is released so long before its permit: long enough for Celery to bring it to a slot, which then sleeps
# the rest. Longer would only fill slots with sleepers.
LOOKAHEAD_S = 0.1
_MOST_AT_ONCE = 50
# Released and unclaimed jobs per slot: enough to keep every slot busy, few enough that pause, cancel and an
# urgent job act at once.
_RELEASED_PER_SLOT = 2


class Pacer:
    """
    Releases jobs until told to stop.

    Several may run at once, in any number of processes: each release is one atomic script.

    Args:
        hopper: Where jobs wait.
        queue: Celery's queue.
        message: The Celery message of a dial job (see `worker.app.dial_message`).
        watch: Sends the heartbeats, before the first release and every few seconds.
        slots: Calls this worker can place at once.
    """

    def __init__(self, hopper: Hopper, *, queue: str, message: str, watch: RedisWatch, slots: int) -> None:
        self._hopper = hopper
        self._queue = queue
        self._message = message
        self._watch = watch
        self._slots = slots
        self._all_slots = slots
        self._next_heartbeat = 0.0
        self._rounds = Rounds("pacer", self._release, hopper.wake_call(), goodbye=self._say_goodbye)

    def start(self) -> None:
        """Begin to release."""
        self._rounds.start()

    def stop(self) -> None:
        """Release nothing more; returns once that is certain, or after two seconds."""
        self._rounds.stop()

    def _release(self) -> float | None:
        """Release what is due, and return how long there will be nothing to do."""
        now = time.monotonic()
        if now >= self._next_heartbeat or self._watch.is_behind:
            self._all_slots = self._watch.beat()
            self._next_heartbeat = now + HEARTBEAT_S
        released, seconds = self._hopper.release(
            self._queue,
            self._message,
            most=_MOST_AT_ONCE,
            most_released=_RELEASED_PER_SLOT * max(self._all_slots, self._slots),
            lookahead_s=LOOKAHEAD_S,
        )
        if released:
            metrics.jobs_released(released)
            log.debug("released", jobs=released)
        return seconds

    def _say_goodbye(self) -> None:
        try:
            self._watch.leave()
        except redis.RedisError:
            log.debug("redis_away", thread="pacer")  # the entry runs out by itself
