"""The first thing somebody on call asks: is it dialing?"""

from dataclasses import dataclass

from producers.watching.recent import MINUTE_S
from producers.watching.scene import Scene


@dataclass(frozen=True, slots=True)
class Pulse:
    """The answer in a word or two; `is_well` is None where there is nothing to say of that yet."""

    word: str
    is_well: bool | None


def pulse(scene: Scene) -> Pulse:
    """Return whether calls are placed now, and if not, whether that is how it should be."""
    if scene.overview.everything_paused:
        return Pulse("PAUSED", is_well=False)
    if not scene.overview.workers:
        return Pulse("NO WORKER", is_well=False)
    if scene.calls_minute:
        return Pulse("DIALING", is_well=True)
    if scene.oldest_s > MINUTE_S:
        return Pulse("NOT DIALING", is_well=False)
    if scene.waiting or scene.under_way:
        return Pulse("STARTING", is_well=None)
    return Pulse("IDLE", is_well=None)
