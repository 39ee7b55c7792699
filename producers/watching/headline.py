"""The first thing somebody on call asks: is it dialing?"""

from dataclasses import dataclass

from producers.watching.recent import MINUTE_S
from producers.watching.scene import Scene


@dataclass(frozen=True, slots=True)
class Headline:
    """The answer in a word or two; `is_well` is None where there is nothing to say of that yet."""

    word: str
    is_well: bool | None


def headline(scene: Scene) -> Headline:
    """Return whether calls are placed now, and if not, whether that is how it should be."""
    if scene.overview.everything_paused:
        return Headline("PAUSED", is_well=False)
    if not scene.overview.workers:
        return Headline("NO WORKER", is_well=False)
    if scene.calls_minute:
        return Headline("DIALING", is_well=True)
    if scene.oldest_s > MINUTE_S:
        return Headline("NOT DIALING", is_well=False)
    if scene.waiting or scene.under_way:
        return Headline("STARTING", is_well=None)
    return Headline("IDLE", is_well=None)
