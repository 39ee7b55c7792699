"""The hopper's steps that stop dialing and let it go on: on a PBX, for an extension, or everywhere."""

from worker.hopper.answers import Pause
from worker.hopper.audit import noted
from worker.hopper.looking import KILL_SWITCH, Looking, pause_of


class Pauses(Looking):
    """Part of `worker.hopper.Hopper`."""

    def pause(self, pbx: str = KILL_SWITCH, extid: str = "", *, reason: str = "") -> bool:
        """
        Stop releases and claims of one PBX, of one of its extensions, or of all; the actor is its author.

        Args:
            pbx: The PBX, or `*` for all.
            extid: One extension of it; empty for the whole PBX.
            reason: A person's words; telephone numbers and secrets in it are masked.

        Returns:
            True if it was not paused before. A pause that stood already keeps its author and reason.
        """
        return bool(self._scripts.run("pause", pbx, extid, noted(reason)))

    def resume(self, pbx: str = KILL_SWITCH, extid: str = "", *, reason: str = "") -> Pause | None:
        """
        Lift the pause of one PBX, of one of its extensions, or the kill switch; other pauses stay.

        Returns:
            The pause that this step lifted, with its author; None if there was none.
        """
        was_paused, author = self._scripts.run("resume", pbx, extid, noted(reason))
        place = f"{pbx}/{extid}" if extid else pbx
        return pause_of(place, author) if was_paused else None
