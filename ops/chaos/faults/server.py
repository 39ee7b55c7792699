"""Faults of the Redis server."""

import random
from typing import Any, Final

from ops.chaos.faults.fault import Fault, Missed, Struck
from ops.chaos.site import Site
from ops.children import frozen

_PARTS: Final = ("redis",)
# For an fsync's end, a hundredth of a second each.
_MOST_LOOKS = 300


def kill_redis(site: Site, part: str, dice: random.Random) -> None:  # noqa: ARG001
    """
    SIGKILL, and a new process on the same files.

    With `appendfsync everysec` what was answered has been handed to the kernel, but for one case: while an fsync
    is under way, Redis answers and keeps what it would write for up to two seconds. A server killed then loses
    that (33 of 40 did, on a busy disk), as does a machine without power; see the runbook. None is under way here.
    """
    _wait_until_written(site)
    site.server.end_process(kill=True)
    site.rest(dice.uniform(0.2, 2))
    site.server.start()


def _wait_until_written(site: Site) -> None:
    for _ in range(_MOST_LOOKS):
        told: Any = site.client.info("persistence")
        if not told["aof_pending_bio_fsync"]:
            return
        site.rest(0.01)
    raise Missed("the disk was too slow")


def freeze_redis(site: Site, part: str, dice: random.Random) -> Struck:  # noqa: ARG001
    """SIGSTOP: connections stay open and nothing is answered, as with a swapping or forking server."""
    pid, seconds = site.server.pid, dice.uniform(1, 4)
    with frozen(pid):
        site.rest(seconds)
    return Struck(f"{seconds:.1f} s")


def flush_scripts(site: Site, part: str, dice: random.Random) -> None:  # noqa: ARG001
    """The server forgets every script."""
    site.client.script_flush()


def cut_connections(site: Site, part: str, dice: random.Random) -> Struck:  # noqa: ARG001
    """Every client loses its connection."""
    cut = site.client.client_kill_filter(_type="normal", skipme=True)
    return Struck(f"{cut} connections")


FAULTS: Final = {
    "redis killed": Fault(kill_redis, _PARTS, 2, stops_dialing=True, spoils=True),
    "redis frozen": Fault(freeze_redis, _PARTS, 3, stops_dialing=True, spoils=True),
    "scripts flushed": Fault(flush_scripts, _PARTS, 0.1, weight=1.5),
    "redis connections cut": Fault(cut_connections, _PARTS, 0.1, weight=2),
}
