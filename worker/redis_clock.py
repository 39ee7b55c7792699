"""Finds out when Redis's clock is set, by the time that passes here between two heartbeats."""

import time
from dataclasses import replace

import structlog

from worker.hopper import Beat, Hopper

log = structlog.get_logger()

# Smaller steps do no harm: leases and rests are some seconds long.
_STEP_S = 1.0
# As in `scripts/shared/clock.lua`: after a greater step forward the clock is in doubt for all workers. If only one
# finds it so, the host of that one was asleep.
_SEEN_BY_ALL_S = 15.0


class RedisClock:
    """
    Compares Redis's clock with the uptime of this host, once for each heartbeat.

    Args:
        hopper: Is told of steps.
    """

    def __init__(self, hopper: Hopper) -> None:
        self._hopper = hopper
        self._last: tuple[Beat, float, float] | None = None
        # How often the clock had been compared when this worker left that to the others; None: it has not.
        self._left_at: int | None = None

    def heard(self, beat: Beat, *, asked_at: float, answered_at: float) -> None:
        """
        Take in a heartbeat; report a step to the hopper, and to the log.

        A worker that has nothing to compare with leaves the comparison to the others, once. It has just started,
        and would take a clock that was set forward for one that no worker has looked at for hours.

        Args:
            beat: Just received.
            asked_at: The uptime before it was sent; see `uptime_s`.
            answered_at: The uptime when its answer was there.

        Raises:
            redis.exceptions.RedisError: As for any step; the next heartbeat compares again.
        """
        last, self._last = self._last, None
        left_at, self._left_at = self._left_at, None
        step_s = _step_s(last, beat, asked_at, answered_at) if last and last[0].compared == beat.compared else None
        compared = beat.compared
        if beat.in_doubt or step_s:
            if step_s is None and beat.has_others and left_at != beat.compared:
                self._left_at = beat.compared
                return
            compared, moved_s = self._hopper.set_clock(beat.compared, step_s)
            if moved_s:
                log.error("clock_stepped", seconds=round(moved_s, 1))
        # The heartbeat showed the clock as it is after the step, so the next one can be compared with it.
        if compared <= beat.compared + 1:
            self._last = (replace(beat, compared=compared), asked_at, answered_at)


def uptime_s() -> float:
    """Return the seconds since this host started, those asleep included; no clock that is set changes them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _step_s(last: tuple[Beat, float, float], beat: Beat, asked_at: float, answered_at: float) -> float:
    """Return by how many seconds Redis's clock has surely stepped; 0 if it need not have."""
    before, asked_before, answered_before = last
    by_redis_s = beat.now - before.now
    least_s = by_redis_s - (answered_at - asked_before)
    most_s = by_redis_s - (asked_at - answered_before)
    if most_s < -_STEP_S:
        return most_s
    if least_s > _STEP_S and (beat.in_doubt or least_s < _SEEN_BY_ALL_S):
        return least_s
    return 0.0
