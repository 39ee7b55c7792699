"""What a worker finds out about its Redis while it runs, at every heartbeat, and does about it."""

from collections.abc import Iterator, Mapping
from hashlib import sha256

import structlog

from worker.health import redis_problem
from worker.hopper import LIMITS, Beat, Hopper
from worker.redis_clock import RedisClock, uptime_s
from worker.settings import PbxSettings

log = structlog.get_logger()

HEARTBEAT_S, _HEARTBEAT_TTL_S = 5.0, 20.0


class RedisWatch:
    """
    Sends the heartbeats of a worker, and looks whether its Redis is still what it was.

    A Redis that came back empty gets the PBXs again; one that may throw jobs away begins no call; a clock that was
    set is followed (see `worker.redis_clock`); other settings of another worker are reported.

    Args:
        hopper: On that Redis.
        pbxs: The settings of all PBXs by name.
        name: The worker's.
        slots: Calls that it can place at once.
    """

    def __init__(self, hopper: Hopper, pbxs: Mapping[str, PbxSettings], *, name: str, slots: int) -> None:
        self._hopper = hopper
        self._pbxs = pbxs
        self._name = name
        self._slots = slots
        self._clock = RedisClock(hopper)
        self._mark = _mark(pbxs)
        self._origin = ""
        self._held_why = ""
        self._differed_from = ""

    def beat(self) -> int:
        """
        Send a heartbeat, and return the slots of all workers.

        Raises:
            redis.exceptions.RedisError: If Redis does not answer; the next one looks at everything again.
        """
        self._look_at_policy()
        asked_at = uptime_s()
        beat = self._hopper.heartbeat(
            self._name,
            slots=self._slots,
            ttl_s=_HEARTBEAT_TTL_S,
            held_why=self._held_why,
            settings_mark=self._mark,
        )
        self._clock.heard(beat, asked_at=asked_at, answered_at=uptime_s())
        self._look_at_origin(beat)
        self._look_at_settings(beat)
        return beat.slots

    def leave(self) -> None:
        """Report that the worker stops; raises as `beat`."""
        self._hopper.heartbeat(self._name, slots=0, ttl_s=_HEARTBEAT_TTL_S, held_why=self._held_why)

    def _look_at_policy(self) -> None:
        problem = redis_problem(self._hopper.client) or ""
        if problem and problem != self._held_why:
            log.error("calls_held", reason=problem)
        if self._held_why and not problem:
            log.warning("calls_go_on")
        self._held_why = problem

    def _look_at_origin(self, beat: Beat) -> None:
        if self._origin and beat.origin != self._origin:
            log.error("redis_came_back_empty", pbxs=len(self._pbxs))
            for name, pbx in self._pbxs.items():
                self._hopper.register(name, pbx)
        self._origin = beat.origin

    def _look_at_settings(self, beat: Beat) -> None:
        if beat.differs_from and beat.differs_from != self._differed_from:
            for pbx, setting, here, in_force in self._differences():
                log.warning(
                    "settings_differ",
                    worker=beat.differs_from,
                    pbx=pbx,
                    setting=setting,
                    here=here,
                    in_force=in_force,
                )
        self._differed_from = beat.differs_from

    def _differences(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield PBX, setting, its value here and the value in force, where they differ; no secret among them."""
        for name in sorted(self._hopper.known() - set(self._pbxs)):
            yield name, "section", "missing", "registered"
        for name, pbx in self._pbxs.items():
            in_force = self._hopper.registered(name)
            if in_force.get("credentials") != pbx.credentials_mark():
                yield name, "base_url, username or password", "another", "another"
            for limit in LIMITS:
                here = str(getattr(pbx, limit))
                if in_force.get(limit) != here:
                    yield name, limit, here, in_force.get(limit, "missing")


def _mark(pbxs: Mapping[str, PbxSettings]) -> str:
    """Return 16 hex digits that change with the names, limits and credentials of the PBXs."""
    rows = (
        "\0".join((name, pbxs[name].credentials_mark(), *(str(getattr(pbxs[name], limit)) for limit in LIMITS)))
        for name in sorted(pbxs)
    )
    return sha256("\n".join(rows).encode()).hexdigest()[:16]
