"""What a worker finds out about its Redis while it runs, at every heartbeat, and does about it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import starmap

import structlog

from worker.health import redis_problem
from worker.hopper import LIMITS, Beat, Hopper
from worker.redis_clock import RedisClock, uptime_s
from worker.settings import PbxSettings

log = structlog.get_logger()

HEARTBEAT_S, _HEARTBEAT_TTL_S = 5.0, 20.0
# During a reload the processes of a host differ for about a second, and those of all hosts for a few.
_CONVERGING_S = 8.0
# Other settings are compared again after this, for the ones in force may change meanwhile.
_COMPARE_AGAIN_S = 60.0
_MOST_NAMED = 5


class RedisWatch:
    """
    Sends the heartbeats of a worker, and looks whether its Redis is still what it was.

    A Redis that came back empty gets the PBXs again; one that may throw jobs away begins no call; a clock that was
    set is followed (see `worker.redis_clock`); other settings of another worker are reported. PBXs that a reload
    changed are registered, and those that it removed are withdrawn.

    Args:
        hopper: On that Redis.
        pbxs: Returns the settings in force of all PBXs by name; they are registered already at first.
        name: The worker's.
        slots: Calls that it can place at once.
        indexed: Returns the names of metadata in force that are to be indexed; they are at first.
    """

    def __init__(
        self,
        hopper: Hopper,
        pbxs: Callable[[], Mapping[str, PbxSettings]],
        *,
        name: str,
        slots: int,
        indexed: Callable[[], Sequence[str]] = tuple,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hopper = hopper
        self._present = pbxs
        self._pbxs = pbxs()
        self._present_indexed = indexed
        self._indexed = indexed()
        self._terms = hopper.terms
        self._now = now
        self._compared_at = 0.0
        self._differs_since: float | None = None
        # A sentence for each difference between the settings here and those in force.
        self.differences: tuple[str, ...] = ()
        self._name = name
        self._slots = slots
        self._clock = RedisClock(hopper)
        self._mark = _mark(self._pbxs)
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
        self._follow_reload()
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

    @property
    def is_behind(self) -> bool:
        """Whether a reload has changed what the last heartbeat reported."""
        return self._present() is not self._pbxs

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

    def _follow_reload(self) -> None:
        """Register what a reload changed; what fails is done again before the next heartbeat."""
        indexed = self._present_indexed()
        if indexed != self._indexed:
            self._hopper.index_metadata(indexed)
            self._indexed = indexed
        pbxs, terms = self._present(), self._hopper.terms
        if pbxs is self._pbxs and terms == self._terms:
            return
        for name, pbx in pbxs.items():
            if terms != self._terms or self._pbxs.get(name) != pbx:
                self._hopper.register(name, pbx)
        for name in self._pbxs.keys() - pbxs.keys():
            self._hopper.withdraw(name)
            log.info("pbx_withdrawn", pbx=name)
        self._pbxs, self._terms, self._mark = pbxs, terms, _mark(pbxs)
        self._compared_at = 0.0

    def _look_at_origin(self, beat: Beat) -> None:
        if self._origin and beat.origin != self._origin:
            log.error("redis_came_back_empty", pbxs=len(self._pbxs))
            for name, pbx in self._pbxs.items():
                self._hopper.register(name, pbx)
            self._hopper.index_metadata(self._indexed)
        self._origin = beat.origin

    def _look_at_settings(self, beat: Beat) -> None:
        now = self._now()
        if not beat.differs_from:
            self._differs_since, self._differed_from, self.differences = None, "", ()
            return
        self._differs_since = now if self._differs_since is None else self._differs_since
        is_new = beat.differs_from != self._differed_from
        if now - self._differs_since < _CONVERGING_S or not (is_new or now - self._compared_at > _COMPARE_AGAIN_S):
            return
        self._compared_at = now
        self._register_what_others_withdrew()
        found = list(self._differences())
        self.differences = tuple(starmap(_sentence, found[:_MOST_NAMED]))
        if is_new:
            for pbx, setting, here, in_force in found:
                log.warning(
                    "settings_differ",
                    worker=beat.differs_from,
                    pbx=pbx,
                    setting=setting,
                    here=here,
                    in_force=in_force,
                )
        self._differed_from = beat.differs_from

    def _register_what_others_withdrew(self) -> None:
        """Another host may have removed a PBX that this worker still has: its jobs go on here."""
        for name in self._pbxs.keys() - self._hopper.known():
            self._hopper.register(name, self._pbxs[name])

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


def _sentence(pbx: str, setting: str, here: str, in_force: str) -> str:
    if setting in LIMITS:
        return f"pbx.{pbx}.{setting} is {here} there, and {in_force} is in force"
    if here == "missing":
        return f"pbx.{pbx} is missing there, and other workers have it"
    return f"pbx.{pbx} has another {setting} there than is in force"


def _mark(pbxs: Mapping[str, PbxSettings]) -> str:
    """Return 16 hex digits that change with the names, limits and credentials of the PBXs."""
    rows = (
        "\0".join((name, pbxs[name].credentials_mark(), *(str(getattr(pbxs[name], limit)) for limit in LIMITS)))
        for name in sorted(pbxs)
    )
    return sha256("\n".join(rows).encode()).hexdigest()[:16]
