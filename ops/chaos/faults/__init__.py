"""All kinds of faults, by name: to add one, write a function in the file of its part and a line in its row."""

from collections.abc import Mapping
from typing import Final

from ops.chaos.faults import messages, paths, pbxs, server, workers
from ops.chaos.faults.fault import Fault, Missed, Struck

__all__ = ["FAULTS", "Fault", "Missed", "Struck"]

FAULTS: Final[Mapping[str, Fault]] = {
    **workers.FAULTS,
    **server.FAULTS,
    **messages.FAULTS,
    **paths.FAULTS,
    **pbxs.FAULTS,
}
