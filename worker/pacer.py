"""The thread in every worker that hands due jobs to Celery, no faster than they can be claimed."""

import threading
import time

import redis
import structlog

from worker.hopper import Hopper
from worker.redis_away import AwayLog

log = structlog.get_logger()

# A job is released so long before its permit: long enough for Celery to bring it to a slot, which then sleeps
# the rest. Longer would only fill slots with sleepers.
LOOKAHEAD_S = 0.1
# Releases are at least so far apart: wake-ups in between are served together.
_SPACING_S = 0.004
_MOST_AT_ONCE = 50
# Nothing is overslept by more than this, should a wake-up be lost.
_LONGEST_SLEEP_S = 1.0
_HEARTBEAT_S, _HEARTBEAT_TTL_S = 5.0, 20.0
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
        name: This worker's, for the list of workers alive.
        slots: Calls this worker can place at once.
    """

    def __init__(self, hopper: Hopper, *, queue: str, message: str, name: str, slots: int) -> None:
        self._hopper = hopper
        self._queue = queue
        self._message = message
        self._name = name
        self._slots = slots
        self._all_slots = slots
        self._next_heartbeat = 0.0
        self._stopping = threading.Event()
        self._wake_call = hopper.wake_call()
        self._thread = threading.Thread(target=self._run, name="pacer", daemon=True)

    def start(self) -> None:
        """Begin to release."""
        self._thread.start()

    def stop(self) -> None:
        """Release nothing more; returns once that is certain, or after two seconds."""
        self._stopping.set()
        self._thread.join(2)

    def _run(self) -> None:
        redis_is = AwayLog("pacer")
        while not self._stopping.is_set():
            try:
                sleep_s = self._release()
                redis_is.back()
                # Woken or not, a look costs little; a stop waits for this at most.
                self._wake_call.wait(min(sleep_s, _LONGEST_SLEEP_S))
            except redis.RedisError as error:
                redis_is.away(error)
                self._wake_call.close()
                self._stopping.wait(0.5)
        self._say_goodbye()

    def _release(self) -> float:
        """Do one round and return how long there will be nothing to do."""
        began = time.monotonic()
        if began >= self._next_heartbeat:
            self._all_slots = self._hopper.heartbeat(self._name, slots=self._slots, ttl_s=_HEARTBEAT_TTL_S)
            self._next_heartbeat = began + _HEARTBEAT_S
        released, seconds = self._hopper.release(
            self._queue,
            self._message,
            most=_MOST_AT_ONCE,
            most_released=_RELEASED_PER_SLOT * max(self._all_slots, self._slots),
            lookahead_s=LOOKAHEAD_S,
        )
        if released:
            log.debug("released", jobs=released)
        self._stopping.wait(max(0.0, began + _SPACING_S - time.monotonic()))
        if seconds is None:
            return _LONGEST_SLEEP_S
        return max(0.0, seconds - (time.monotonic() - began))

    def _say_goodbye(self) -> None:
        self._wake_call.close()
        try:
            self._hopper.heartbeat(self._name, slots=0, ttl_s=_HEARTBEAT_TTL_S)
        except redis.RedisError:
            log.debug("redis_away", thread="pacer")  # the entry runs out by itself
