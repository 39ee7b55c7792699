"""What the dialer needs of any PBX."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol


class ExtensionUse(Enum):
    """What an extension does, as far as a call of ours is concerned."""

    FREE = auto()  # registered and idle
    IN_USE = auto()  # rings, talks, holds, or says something we do not know
    AWAY = auto()  # cannot ring: not registered, out of order, or not there at all


@dataclass(frozen=True, slots=True)
class OutboundCall:
    """
    One outbound leg, which exists from the moment its extension has answered.

    `began_at` is in unix seconds of the PBX's clock, None if its id carries no time. `outto` is what the route
    made of the number. `callid` is the id that the dial's reply carries, and empty where the PBX shows only
    `outboundid`, the id of the outbound leg.
    """

    outboundid: str
    extid: str
    outto: str = field(repr=False)
    began_at: float | None
    callid: str = ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a PBX shows at one moment: what each of its extensions does, and its outbound calls."""

    extensions: Mapping[str, ExtensionUse]
    calls: tuple[OutboundCall, ...]

    def use_of(self, extid: str) -> ExtensionUse:
        """Return what an extension does; one with an outbound call is in use, whatever its status says."""
        if any(call.extid == extid for call in self.calls):
            return ExtensionUse.IN_USE
        return self.extensions.get(extid, ExtensionUse.AWAY)


@dataclass(frozen=True, slots=True)
class Device:
    """The PBX about itself: model, firmware, and its clock as it writes it."""

    model: str
    firmware: str
    system_time: str


class Pbx(Protocol):
    """
    One PBX's HTTP API.

    Methods raise `worker.errors.AttemptFailed` of the branch that says what may be done next; nothing of the
    HTTP library gets out. Each request ends within the connect and read time-outs of the settings.
    """

    name: str

    def login(self) -> str:
        """Return a new token."""
        ...

    def dial(
        self, token: str, *, extid: str, outto: str, autoanswer: str, not_before: float, within_s: float
    ) -> str:
        """
        Ring *extid* and connect it to *outto*, and return the callid.

        The request leaves at *not_before* (monotonic seconds) or as soon after that as its connection stands, and
        not at all later than *within_s* from now.
        """
        ...

    def look(self, token: str) -> Sighting:
        """Return what the PBX shows of its extensions and outbound calls; rings nobody."""
        ...

    def device(self, token: str) -> Device:
        """Return the PBX's account of itself; a health check that rings nobody."""
        ...
