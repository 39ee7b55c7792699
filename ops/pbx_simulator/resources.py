"""
The API's resources by the one name the rest of the simulator uses, and the paths each version gives them.

A version has the paths that the vendor's guide for it names, and no other.

Source: the vendor's S-Series API guides for v1.0.x, v1.1.0 and v2.0.0, overview and pages of each interface, read
November and December 2026. `call/hangup` in v2.0.0 is a [guess]: the guide hangs up by `channelid`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DIAL: Final = "dial_outbound"
EXTENSIONS: Final = "extensionlist/query"
UNKNOWN: Final = "unknown"

_IN_ALL_VERSIONS: Final[Mapping[str, str]] = {
    name: name for name in ("login", "heartbeat", "logout", "deviceinfo/query")
}
_V1_PATHS: Final[Mapping[str, str]] = {
    **_IN_ALL_VERSIONS,
    "extensionlist/query": EXTENSIONS,
    "outbound/query": "outbound/query",
    "extension/hangup": "extension/hangup",
    "outbound/hangup": "outbound/hangup",
    "extension/dial_outbound": DIAL,
}
_V2_PATHS: Final[Mapping[str, str]] = {
    **_IN_ALL_VERSIONS,
    "extension/list": EXTENSIONS,
    "extension/query_call": "extension/query_call",
    "call/query": "call/query",
    "call/hangup": "call/hangup",
    "call/dial": DIAL,
}
PATHS_BY_VERSION: Final[Mapping[str, Mapping[str, str]]] = {
    "v1.0.0": _V1_PATHS,
    "v1.1.0": _V1_PATHS,
    "v2.0.0": _V2_PATHS,
}
V2: Final = "v2.0.0"
RESOURCE_NAMES: Final = frozenset({*_V1_PATHS.values(), *_V2_PATHS.values()})


def resource_at(version: str, path: str) -> str:
    """Return the resource's name, or `UNKNOWN` for a version or path the PBX does not have."""
    return PATHS_BY_VERSION.get(version, {}).get(path, UNKNOWN)


def resource_named(text: str) -> str | None:
    """Return the resource that a fault rule means: its name or any of its paths; None for an unknown one."""
    return text if text in RESOURCE_NAMES else {**_V1_PATHS, **_V2_PATHS}.get(text)
