"""A thread that does rounds of one step, and sleeps in between until it is woken or something is due."""

import threading
import time
from collections.abc import Callable

import redis

from worker.hopper.wake import WakeCall
from worker.redis_away import AwayLog

# Rounds are at least so far apart: wake-ups in between are served together.
_SPACING_S = 0.004
# Nothing is overslept by more than this, should a wake-up be lost.
_LONGEST_SLEEP_S = 1.0
_REDIS_AWAY_S = 0.5


class Rounds:
    """
    Does rounds until told to stop; waits for a Redis that is away.

    Args:
        name: Of the thread.
        one: Does one round, and returns the seconds until there is something to do (None: when woken).
        wake_call: What is slept on; no other thread's.
        goodbye: Called when the last round is over.
    """

    def __init__(
        self,
        name: str,
        one: Callable[[], float | None],
        wake_call: WakeCall,
        *,
        goodbye: Callable[[], None] = lambda: None,
    ) -> None:
        self._one = one
        self._wake_call = wake_call
        self._goodbye = goodbye
        self._redis_is = AwayLog(name)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further round; returns once that is certain, or after two seconds."""
        self._stopping.set()
        self._thread.join(2)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                sleep_s = self._round()
                self._redis_is.back()
                # Woken or not, a round costs little; a stop waits for this at most.
                self._wake_call.wait(min(sleep_s, _LONGEST_SLEEP_S))
            except redis.RedisError as error:
                self._redis_is.away(error)
                self._wake_call.close()
                self._stopping.wait(_REDIS_AWAY_S)
        self._wake_call.close()
        self._goodbye()

    def _round(self) -> float:
        began = time.monotonic()
        seconds = self._one()
        self._stopping.wait(max(0.0, began + _SPACING_S - time.monotonic()))
        return _LONGEST_SLEEP_S if seconds is None else max(0.0, seconds - (time.monotonic() - began))
