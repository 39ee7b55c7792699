"""Speaking with PBXs: one adapter per API, one shared session per PBX."""

from worker.pbx.base import Device, Pbx, Sighting
from worker.pbx.session import PbxSession
from worker.pbx.yeastar_s import YeastarS
from worker.settings import PbxSettings

__all__ = ["Device", "Pbx", "PbxSession", "Sighting", "YeastarS", "adapter_for"]


def adapter_for(name: str, settings: PbxSettings) -> Pbx:
    """Return the adapter that speaks the API *settings* name, for the PBX called *name*."""
    return YeastarS(name, settings)
