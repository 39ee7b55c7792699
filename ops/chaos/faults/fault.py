"""What a kind of fault is."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ops.chaos.site import Site


class Missed(Exception):
    """The fault found nothing to strike at; the message says what was missing."""


@dataclass(frozen=True, slots=True)
class Struck:
    """How it went: a note for a person, without numbers, and the names of workers killed."""

    note: str = ""
    killed: tuple[str, ...] = ()


# Does the fault to one part of the site, and undoes it: on return only what must heal by itself is left.
Act = Callable[[Site, str, random.Random], Struck | None]


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One kind of fault.

    Attributes:
        act: Carries it out.
        parts: Where it may strike; two faults never strike at one part at a time.
        lasts_s: How long it takes up its part, about.
        weight: How often it comes, against the others.
        stops_dialing: Whether no call can be placed while it lasts: on its PBX, or at all.
        spoils: Whether it can make unknown what became of calls, beyond those requests that the simulator lists as
            hit. Where it is not set, an unknown outcome is nobody's fault but the product's.
        lingers_s: How long after its end it still can, as a connection does that nobody found out to be deaf.
    """

    act: Act
    parts: Sequence[str]
    lasts_s: float
    weight: float = 1.0
    stops_dialing: bool = False
    spoils: bool = False
    lingers_s: float = 0.0
