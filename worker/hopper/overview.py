"""The whole installation at a glance: what `outdial watch`, `outdial lanes` and the metrics show."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from worker.hopper.answers import Breaker, LaneView, Pause
from worker.hopper.looking import KILL_SWITCH, Looking, breaker_of, pause_of
from worker.jobs import Priority

# PBXs per script call: about a millisecond, so that steps of jobs do not wait for it.
_BATCH = 50


@dataclass(frozen=True, slots=True)
class PbxGlance:
    """
    One PBX at a glance, without its lanes; see `Looking.view` for those.

    `waiting`: jobs that may go as soon as pacing allows, by priority; a PBX with jobs from before an upgrade may
    tell fewer for a while, never none. `oldest_s`: seconds since the oldest of them could first go, 0 where none
    waits. `later`: those with a time to come (`not_before`, parked). `in_doubt`: claimed, and nobody knows whether
    they rang. `is_known`: a worker has told its limits (`calls_per_second`, `burst`, `max_open_calls`; else 0).
    `barred_by` is "down", "dial", "asked" or "login" while the breaker is not closed. `pause`: who paused the PBX
    by itself. `paused_lanes`: its paused extensions; `waiting` and `oldest_s` leave their jobs out.
    """

    name: str
    is_known: bool
    waiting: dict[Priority, int]
    oldest_s: dict[Priority, float]
    later: int
    released: int
    in_doubt: int
    open_calls: int
    calls_per_second: float
    burst: int
    max_open_calls: int
    is_paused: bool
    breaker: Breaker
    barred_by: str
    is_logged_in: bool
    pause: Pause | None = None
    paused_lanes: tuple[LaneView, ...] = ()

    @property
    def waiting_in_all(self) -> int:
        """Jobs that may go as soon as pacing allows."""
        return sum(self.waiting.values())

    @property
    def oldest_in_all_s(self) -> float:
        """Seconds since the oldest of those could first go; 0 where none waits."""
        return max(self.oldest_s.values())


@dataclass(frozen=True, slots=True)
class Overview:
    """
    Some PBXs, and what holds for all.

    `at` is the server's clock (unix seconds); `workers` the slots of each living one by name; `undelivered` the
    results that have not reached their backend yet; `set_aside` how much could not be used within a week or so.
    `held_why`: why the workers begin no call (see `worker.redis_watch`). `refusal`: the first word of the error by
    which Redis takes nothing in, such as `OOM` when it is full. Both are empty while calls may begin.
    `everything_pause` is who paused everything, None where nobody did.
    """

    at: float
    everything_paused: bool
    workers: dict[str, int]
    undelivered: int
    set_aside: int
    pbxs: tuple[PbxGlance, ...]
    held_why: str = ""
    refusal: str = ""
    everything_pause: Pause | None = None


class Overviews(Looking):
    """Part of `worker.hopper.Hopper`, which has what this needs."""

    def overview(self, names: Sequence[str]) -> Overview:
        """
        Return the named PBXs at a glance.

        Its cost does not depend on how many jobs wait: about 50 µs for each PBX.
        """
        parts = [names[first : first + _BATCH] for first in range(0, max(1, len(names)), _BATCH)]
        answers = [json.loads(self._scripts.run("overview", *part)) for part in parts]
        last = answers[-1]
        found = [(plain, answer["now"]) for answer in answers for plain in answer["pbxs"]]
        glances = [_glance(name, plain, now) for name, (plain, now) in zip(names, found, strict=True)]
        return Overview(
            at=last["now"],
            everything_paused=last["everything_paused"],
            workers=dict(last["workers"]),
            undelivered=last["undelivered"],
            set_aside=last["aside"],
            pbxs=tuple(glances),
            held_why=last["held_why"],
            refusal=last["refusal"],
            everything_pause=_pause(KILL_SWITCH, last["everything_pause"], is_paused=last["everything_paused"]),
        )


def _glance(name: str, plain: dict[str, Any], now: float) -> PbxGlance:
    barred = (plain["barred_until"], plain["barred_since"], plain["barred_reason"])
    return PbxGlance(
        name=name,
        is_known=plain["known"],
        waiting={priority: int(plain["waiting"][priority.rank]) for priority in Priority},
        oldest_s={priority: float(plain["oldest_s"][priority.rank]) for priority in Priority},
        later=plain["later"],
        released=plain["released"],
        in_doubt=plain["in_doubt"],
        open_calls=plain["open_calls"],
        calls_per_second=float(plain["calls_per_second"]),
        burst=plain["burst"],
        max_open_calls=plain["max_open_calls"],
        is_paused=plain["paused"],
        breaker=breaker_of(barred if plain["barred_until"] else (None, None, None), now),
        barred_by=plain["barred_by"],
        is_logged_in=plain["logged_in"],
        pause=_pause(name, plain["pause"], is_paused=plain["paused"]),
        paused_lanes=tuple(
            LaneView(extid, waiting, max(0.0, busy_until - now), pause_of(f"{name}/{extid}", author))
            for extid, author, waiting, busy_until in sorted(plain["paused_lanes"])
        ),
    )


def _pause(place: str, author: str, *, is_paused: bool) -> Pause | None:
    return pause_of(place, author) if is_paused else None
