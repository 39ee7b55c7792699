"""Which fault comes when: a schedule made from the seed, in which no part has two faults at once."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

# The first faults wait for the workers to be at it, the last ones end before the run does.
_LEAD_S = 3.0


class Kind(Protocol):
    """What planning must know of a kind of fault."""

    @property
    def parts(self) -> Sequence[str]:
        """Where it may strike."""

    @property
    def lasts_s(self) -> float:
        """How long its part is taken up, about."""

    @property
    def weight(self) -> float:
        """How often it comes, against the others."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault to come: `at_s` seconds from the start; `seed` decides on its details."""

    at_s: float
    kind: str
    part: str
    seed: int


@dataclass(frozen=True, slots=True)
class Deed:
    """
    One fault that was carried out. Times are unix seconds.

    Attributes:
        note: Details for a person; no number in it.
        missed: It found nothing to strike at.
        killed: Names of the workers killed, at `ended_at`.
    """

    kind: str
    part: str
    began_at: float
    ended_at: float
    note: str = ""
    missed: bool = False
    killed: tuple[str, ...] = ()


def make_plan(seed: int, kinds: Mapping[str, Kind], *, seconds: float, per_minute: float) -> list[Planned]:
    """
    Return the faults of one run, by time. Every kind comes at least once, if there is time for
    twice as many.

    Args:
        seed: The same one gives the same plan.
        kinds: To choose from, by name.
        seconds: Length of the run; no fault is planned to outlive it.
        per_minute: How many are wanted. Fewer come where the parts are taken up.
    """
    dice = random.Random(f"plan {seed}")
    count = round(seconds * per_minute / 60)
    free_at: dict[str, float] = {}
    plan = []
    for index, kind in enumerate(_sequence(kinds, count, dice)):
        wanted_at = _LEAD_S + (index + dice.random()) * (seconds - _LEAD_S) / count
        part = min(_shuffled(kinds[kind].parts, dice), key=lambda part: max(free_at.get(part, 0), wanted_at))
        at_s = max(wanted_at, free_at.get(part, 0))
        seed_of_fault = dice.getrandbits(32)
        if at_s + kinds[kind].lasts_s <= seconds:
            free_at[part] = at_s + kinds[kind].lasts_s
            plan.append(Planned(round(at_s, 3), kind, part, seed_of_fault))
    return sorted(plan, key=lambda planned: planned.at_s)


def _sequence(kinds: Mapping[str, Kind], count: int, dice: random.Random) -> list[str]:
    """Different kinds for half of the room, or all of them, and for the rest whatever the weights say."""
    names = sorted(kinds)
    # Drawn without putting back, by weight (Efraimidis and Spirakis, 2006): what comes often is not left out.
    keys = {name: dice.random() ** (1 / kinds[name].weight) for name in names}
    once = sorted(names, key=keys.__getitem__, reverse=True)[: (count + 1) // 2]
    often = dice.choices(names, [kinds[kind].weight for kind in names], k=count - len(once))
    return _shuffled([*once, *often], dice)


def _shuffled(items: Sequence[str], dice: random.Random) -> list[str]:
    return dice.sample(list(items), len(items))
