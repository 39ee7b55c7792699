"""Speaking with PBXs: one adapter per API, one shared session per PBX."""

from worker.pbx.base import Device, ExtensionUse, OutboundCall, Pbx, Sighting
from worker.pbx.directory import Directory, adapter_for
from worker.pbx.session import PbxSession
from worker.pbx.yeastar_s import YeastarS

__all__ = [
    "Device",
    "Directory",
    "ExtensionUse",
    "OutboundCall",
    "Pbx",
    "PbxSession",
    "Sighting",
    "YeastarS",
    "adapter_for",
]
