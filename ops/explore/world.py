"""A small world: two jobs, two workers, a pacer, a sweeper, a reconciler, an operator, and what the phones do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ops.explore.calls import TICK_S, Call

PBX = "hq"
MAX_ATTEMPTS = 2
# GCRA of the scripts: permits lie 1.55% further apart than asked, so this makes one permit a tick.
CALLS_PER_SECOND = 1.0155 / TICK_S

Redis = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What is in a world.

    Attributes:
        name: As `make explore` shows it.
        extids: The extension of each job.
        on_unknown: hold or redial, for both jobs.
        max_open_calls: Of the PBX.
        slot_wait_s: How long a slot may wait for its claim.
        acts: What an operator does: cancel, redial (an unknown job, once each), pause.
        dies: Whether workers, the reconciler and others die at any place.
        forgets: Whether replies get lost, so that steps are repeated.
        doubles: Whether Celery delivers messages twice.
    """

    name: str
    extids: tuple[str, ...] = ("1", "1")
    on_unknown: str = "hold"
    max_open_calls: int = 2
    slot_wait_s: float = 0.0
    acts: frozenset[str] = frozenset()
    dies: bool = True
    forgets: bool = True
    doubles: bool = False


class World(NamedTuple):
    """
    What is the case outside of Redis.

    Attributes:
        hands: What each worker does: () nothing; or ("message", job), ("claims", job, nonce, age), ("dials", job,
            nonce, age, attempts), ("reports", job, nonce, outcome). Ages are in ticks.
        turn: What the reconciler does: () nothing; ("looks", rows), ("acts", rows to act on, rows still in doubt).
        rings: How often the phone rang for each job.
        calls: For how many ticks the call of each job may still run.
        allowed: How often each job may ring.
        redials: How often an operator had each job dialed again.
        gap: Ticks until the PBX may be called again.
    """

    hands: tuple[tuple[Any, ...], ...] = ((), ())
    turn: tuple[Any, ...] = ()
    rings: tuple[int, ...] = (0, 0)
    calls: tuple[int, ...] = (0, 0)
    allowed: tuple[int, ...] = (1, 1)
    redials: tuple[int, ...] = (0, 0)
    gap: int = 0


NOTHING = World()


@dataclass(frozen=True, slots=True)
class Broken(Exception):
    """A promise was broken on the way into a state."""

    promise: str


# From the reply and the state of Redis after a step: the worlds that may follow, with a word for each.
Then = Callable[[Any, Redis], list[tuple[str, World]]]


@dataclass(frozen=True, slots=True)
class Move:
    """
    One thing that may happen.

    Attributes:
        label: For people.
        rank: In which order the helpful continuation takes it; above 90: it does not.
        call: The step; None if nothing is sent.
        then: The worlds after the step.
        redis: Without a step: the state of Redis after it.
        world: Without a step: the world after it.
        broken: The promise that this breaks.
    """

    label: str
    rank: int
    call: Call | None = None
    then: Then | None = None
    redis: Redis = ()
    world: World = NOTHING
    broken: str = ""


def changed(row: tuple[Any, ...], place: int, value: Any) -> tuple[Any, ...]:
    """Return a row with another value at one place."""
    return (*row[:place], value, *row[place + 1 :])
