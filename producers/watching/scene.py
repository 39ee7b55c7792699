"""What a watch shows at one moment, as a value: everything in it was asked of Redis, nothing asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from producers.watching.recent import MINUTE_S, RATE_S, Ended
from worker.hopper import EndpointView, Overview, PbxGlance, ServerView

# Fewer may all fail by chance.
_SEVERAL = 3
_NO_TROUBLE = 99


@dataclass(frozen=True, slots=True)
class Slow:
    """
    What need not be asked each time.

    `unknowns`: jobs of the last day that are unknown still, and whether all ends were looked at. `endpoints` are
    the first of the `endpoint_count` that are to be told of results. `wait_replicas` is that of the settings here.
    """

    server: ServerView
    unknowns: int
    counted_all_unknowns: bool
    endpoints: tuple[EndpointView, ...]
    endpoint_count: int
    couriers: int
    wait_replicas: int = 0


class Trouble(IntEnum):
    """What may be wrong with a PBX, the worst first."""

    BREAKER = 0  # it cannot be reached, or sends no answers
    LOGIN = 1  # it refuses the log-in
    ALL_FAIL = 2  # several jobs failed or are unknown in the last minute, and none was placed
    STUCK = 3  # jobs could have gone for a minute, and none was placed in it
    NOT_KNOWN = 4  # in the settings here, and in no worker's
    PAUSED = 5  # a person wanted it so


@dataclass(frozen=True, slots=True)
class PbxScene:
    """One PBX: how it stands, and the calls of the last seconds, minute and hour."""

    glance: PbxGlance
    placed_lately: int = 0
    placed_minute: int = 0
    not_placed_minute: int = 0

    @property
    def calls_per_second(self) -> float:
        """Calls placed per second, over the last RATE_S."""
        return self.placed_lately / RATE_S

    @property
    def trouble(self) -> "Trouble | None":
        """The worst that is wrong with it, None if nothing is."""
        glance = self.glance
        if glance.breaker.state != "closed":
            return Trouble.LOGIN if glance.barred_by == "login" else Trouble.BREAKER
        if glance.is_paused:
            return Trouble.PAUSED
        if self.not_placed_minute >= _SEVERAL and not self.placed_minute:
            return Trouble.ALL_FAIL
        if not glance.is_known:
            return Trouble.NOT_KNOWN
        return Trouble.STUCK if glance.oldest_in_all_s > MINUTE_S and not self.placed_minute else None

    @property
    def is_stopped(self) -> bool:
        """Whether no call of it begins, except one to try its breaker."""
        return self.trouble in (Trouble.BREAKER, Trouble.LOGIN, Trouble.PAUSED)

    @property
    def is_busy(self) -> bool:
        """Whether there is anything to do for it, or was in the last minute."""
        glance = self.glance
        return bool(
            glance.waiting_in_all
            or glance.released
            or glance.open_calls
            or glance.in_doubt
            or glance.later
            or self.placed_minute
            or self.not_placed_minute
        )


@dataclass(frozen=True, slots=True)
class Scene:
    """
    All a watch shows.

    `taken_s` is how long the asking took; `began_at` when the watch began (unix seconds, Redis's clock);
    `sentences` say what the errnos of `hour` mean.
    """

    overview: Overview
    slow: Slow
    pbxs: tuple[PbxScene, ...]
    minute: Ended
    hour: Ended
    since_start: Ended
    began_at: float
    taken_s: float = 0.0
    sentences: Mapping[str, str] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Jobs that may go as soon as pacing allows."""
        return sum(pbx.glance.waiting_in_all for pbx in self.pbxs)

    @property
    def oldest_s(self) -> float:
        """For how long the oldest of them could have gone."""
        return max((pbx.glance.oldest_in_all_s for pbx in self.pbxs), default=0.0)

    @property
    def under_way(self) -> int:
        """Jobs released or claimed, and calls open."""
        return sum(pbx.glance.released + pbx.glance.open_calls + pbx.glance.in_doubt for pbx in self.pbxs)

    @property
    def calls_per_second(self) -> float:
        """Calls placed per second, over the last RATE_S; over the last minute if the last RATE_S had none."""
        return sum(pbx.calls_per_second for pbx in self.pbxs) or self.calls_minute / MINUTE_S

    @property
    def is_calling(self) -> bool:
        """Whether calls were placed within RATE_S, or within a minute and there are more to come."""
        if any(pbx.placed_lately for pbx in self.pbxs):
            return True
        more = any(pbx.glance.waiting_in_all or pbx.glance.released for pbx in self.pbxs if not pbx.is_stopped)
        return bool(self.calls_minute and more)

    @property
    def all_stopped(self) -> bool:
        """Whether no PBX with jobs to dial takes calls."""
        return all(pbx.is_stopped for pbx in self.pbxs if pbx.glance.waiting_in_all)

    @property
    def standstill(self) -> str:
        """Why no call begins anywhere, in two words; empty if calls may begin."""
        overview = self.overview
        if overview.everything_paused:
            return "all paused"
        if not overview.workers:
            return "no worker"
        if overview.refusal:
            return "Redis full" if overview.refusal == "OOM" else "Redis refuses"
        return "calls held" if overview.held_why else ""

    @property
    def calls_minute(self) -> int:
        """Calls placed in the last minute."""
        return sum(pbx.placed_minute for pbx in self.pbxs)

    def ranked(self) -> list[PbxScene]:
        """Return the PBXs, those in trouble first, then those with the most calls and jobs."""
        return sorted(
            self.pbxs,
            key=lambda pbx: (
                _NO_TROUBLE if pbx.trouble is None else pbx.trouble,
                -pbx.placed_minute,
                -pbx.glance.waiting_in_all,
                not pbx.is_busy,
                pbx.glance.name,
            ),
        )
