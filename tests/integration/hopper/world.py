"""The PBXs of the state machine's world: which calls run there, and what a look at one shows."""

import time
from dataclasses import dataclass, field
from typing import NoReturn

from worker.errors import PbxDown
from worker.pbx import Device, ExtensionUse, OutboundCall, Sighting


class Crash(BaseException):
    """A process dies here."""


@dataclass(frozen=True)
class Truth:
    """
    What becomes of one attempt: whether the phone rings, for how long, and what its worker gets to know.

    `knows` is `callid`, `not placed`, `said failed` or `nothing`. A PBX that says Failed and rings all the same is
    taken to ring until somebody has seen it; any other call may be over before anybody looks.
    """

    rings: bool
    knows: str
    lasts_s: float
    is_answered: bool


@dataclass
class Call:
    """One call as the PBX has it."""

    job_id: str
    number: int
    extid: str
    outto: str
    is_answered: bool
    began_at: float
    ends_at: float


@dataclass
class ModelledPbx:
    """
    A PBX that shows truthfully what runs, as long as it runs; an adapter as `worker.pbx.Pbx` wants it.

    A call shows in the extension's status, and among the outbound calls only once its extension has answered.
    """

    name: str
    extids: list[str]
    calls: list[Call] = field(default_factory=list)
    is_down: bool = False
    talking: set[str] = field(default_factory=set)
    dies_at_look: bool = False

    def look(self, token: str) -> Sighting:  # noqa: ARG002
        """Return what runs now."""
        if self.is_down:
            raise PbxDown("unreachable", "connection refused")
        running = [call for call in self.calls if call.ends_at > time.time()]
        in_use = {call.extid for call in running} | self.talking
        seen = Sighting(
            {extid: ExtensionUse.IN_USE if extid in in_use else ExtensionUse.FREE for extid in self.extids},
            tuple(
                OutboundCall(f"9{call.number}", call.extid, call.outto, float(int(call.began_at)))
                for call in running
                if call.is_answered
            ),
        )
        if self.dies_at_look:
            self.dies_at_look = False
            raise Crash
        return seen

    def login(self) -> str:
        """Return a token."""
        return "token"

    def dial(
        self, token: str, *, extid: str, outto: str, autoanswer: str, not_before: float, within_s: float
    ) -> NoReturn:
        """Calls are made by the claims of the machine."""
        raise NotImplementedError

    def device(self, token: str) -> Device:  # noqa: ARG002
        """Return what nobody asks for."""
        return Device("model", "1", "now")
