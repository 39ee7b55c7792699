"""The first thing somebody on call asks: is it dialing?"""

from dataclasses import dataclass

from producers.watching.recent import MINUTE_S
from producers.watching.scene import Scene

_STANDSTILLS = {"all paused": "PAUSED", "no worker": "NO WORKER"}


@dataclass(frozen=True, slots=True)
class Headline:
    """The answer in a word or two; `is_well` is None where there is nothing to say of that yet."""

    word: str
    is_well: bool | None


def headline(scene: Scene) -> Headline:
    """Return whether calls are placed now, and if not, whether that is how it should be."""
    if scene.standstill:
        return Headline(_STANDSTILLS.get(scene.standstill, "NOT DIALING"), is_well=False)
    if scene.is_calling:
        return Headline("DIALING", is_well=True)
    if scene.oldest_s > MINUTE_S or (scene.waiting and scene.all_stopped):
        return Headline("NOT DIALING", is_well=False)
    if scene.waiting or (scene.under_way and not scene.calls_minute):
        return Headline("STARTING", is_well=None)
    return Headline("IDLE", is_well=None)
