"""Finds out when Redis's clock is set, by the time that passes here between two heartbeats."""

import time

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

    def heard(self, beat: Beat, *, asked_at: float, answered_at: float) -> None:
        """
        Take in a heartbeat; report a step to the hopper, and to the log.

        Args:
            beat: Just received.
            asked_at: The uptime before it was sent; see `uptime_s`.
            answered_at: The uptime when its answer was there.

        Raises:
            redis.exceptions.RedisError: As for any step; the next heartbeat compares again.
        """
        last, self._last = self._last, None
        step_s = _step_s(last, beat, asked_at, answered_at) if last and last[0].compared == beat.compared else None
        compared = beat.compared
        if beat.in_doubt or step_s:
            compared, moved_s = self._hopper.set_clock(beat.compared, step_s)
            if moved_s:
                log.error("clock_stepped", seconds=round(moved_s, 1))
        if compared == beat.compared:
            self._last = (beat, asked_at, answered_at)


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
