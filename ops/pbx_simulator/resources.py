"""The API's resources by the one name the rest of the simulator uses, and the paths each version gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DIAL: Final = "dial_outbound"
UNKNOWN: Final = "unknown"

_SAME_IN_ALL_VERSIONS: Final = (
    "login",
    "heartbeat",
    "logout",
    "extensionlist/query",
    "outbound/query",
    "deviceinfo/query",
    "extension/hangup",
    "outbound/hangup",
)
_V1_PATHS: Final[Mapping[str, str]] = {
    **{name: name for name in _SAME_IN_ALL_VERSIONS},
    "extension/dial_outbound": DIAL,
}
# v2.0.0 renamed dialing; its guide also lists `extension/list`, which the older name keeps company here.
_V2_PATHS: Final[Mapping[str, str]] = {
    **{name: name for name in _SAME_IN_ALL_VERSIONS},
    "call/dial": DIAL,
    "extension/list": "extensionlist/query",
}
PATHS_BY_VERSION: Final[Mapping[str, Mapping[str, str]]] = {
    "v1.0.0": _V1_PATHS,
    "v1.1.0": _V1_PATHS,
    "v2.0.0": _V2_PATHS,
}
V2: Final = "v2.0.0"
RESOURCE_NAMES: Final = frozenset({DIAL, *_SAME_IN_ALL_VERSIONS})


def resource_at(version: str, path: str) -> str:
    """Return the resource's name, or `UNKNOWN` for a version or path the PBX does not have."""
    return PATHS_BY_VERSION.get(version, {}).get(path, UNKNOWN)


def resource_named(text: str) -> str | None:
    """Return the resource that a fault rule means: its name or any of its paths; None if there is none."""
    return text if text in RESOURCE_NAMES else {**_V1_PATHS, **_V2_PATHS}.get(text)
