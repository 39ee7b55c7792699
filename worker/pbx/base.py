"""What the dialer needs of any PBX."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a PBX shows of a call that may or may not have begun."""

    extension_is_free: bool
    call_is_running: bool

    @property
    def nothing_rang(self) -> bool:
        """Whether the call can be placed again without ringing twice."""
        return self.extension_is_free and not self.call_is_running


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

    def dial(self, token: str, *, extid: str, outto: str, autoanswer: str) -> str:
        """Ring *extid* and connect it to *outto*; returns the callid."""
        ...

    def look(self, token: str, *, extid: str, outto: str) -> Sighting:
        """Return what the PBX shows of a call from *extid* to *outto*."""
        ...

    def device(self, token: str) -> Device:
        """Return the PBX's account of itself; a health check that rings nobody."""
        ...
