"""Faults of the Redis server."""

import random
import shutil
from pathlib import Path
from typing import Any, Final

from ops.chaos.faults.fault import Fault, Missed, Struck
from ops.chaos.site import Site
from ops.children import frozen

_PARTS: Final = ("redis",)
# Until every worker has sent a heartbeat.
_HEARTBEATS_S = 7.0
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


def come_back_empty(site: Site, part: str, dice: random.Random) -> Struck:  # noqa: ARG001
    """
    The server starts on an empty disk, and some seconds later on its own one, as when a volume is mounted late.

    What would be handed in to the empty one would be lost by definition, so the CRM stands still meanwhile. Calls
    under way are reported to a server that has never heard of them.
    """
    kept, seconds = site.server.folder.with_name("redis-kept"), dice.uniform(1, 4)
    with site.gate.closed():
        site.server.end_process(kill=False)
        shutil.copytree(site.server.folder, kept)
        _empty(site.server.folder)
        site.server.start()
        site.rest(seconds)
        site.server.end_process(kill=False)
        _empty(site.server.folder)
        shutil.copytree(kept, site.server.folder, dirs_exist_ok=True)
        shutil.rmtree(kept)
        site.server.start()
    return Struck(f"{seconds:.1f} s")


def _empty(folder: Path) -> None:
    # The lock stays: it is held by its own file.
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name not in ("lock", "redis.log"):
            entry.unlink()


def let_evict(site: Site, part: str, dice: random.Random) -> Struck:  # noqa: ARG001
    """
    An operator sets an eviction policy under which the server may throw jobs away, and sets it back.

    Workers that run hold their calls. A crew that was to start meanwhile has refused, and the operator starts it.
    """
    seconds = dice.uniform(2, 6)
    site.client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        site.rest(seconds)
    finally:
        site.client.config_set("maxmemory-policy", "noeviction")
    site.rest(2)  # one that had begun to start has refused by then
    for crew in site.crews.values():
        crew.start_if_it_ended()
    return Struck(f"{seconds:.1f} s")


def set_clock(site: Site, part: str, dice: random.Random) -> Struck:  # noqa: ARG001
    """
    The server's clock is set by hours, forward or back, and set right some seconds later.

    Workers compare it every five seconds. Two steps between two heartbeats look like one to them.
    """
    if not site.clock.can_be_set:
        raise Missed("there is no C compiler to build the clock with")
    hours, seconds = dice.choice([-1, 1]) * dice.uniform(1, 20), dice.uniform(7, 10)
    site.clock.set_by(hours * 3600)
    try:
        site.rest(seconds)
    finally:
        site.clock.set_by(0)
    site.rest(_HEARTBEATS_S)
    return Struck(f"{hours:+.1f} h for {seconds:.1f} s")


FAULTS: Final = {
    "redis killed": Fault(kill_redis, _PARTS, 2, stops_dialing=True, spoils=True),
    "redis frozen": Fault(freeze_redis, _PARTS, 3, stops_dialing=True, spoils=True),
    "redis empty for a while": Fault(come_back_empty, _PARTS, 5, stops_dialing=True, spoils=True, lingers_s=5),
    "redis may evict": Fault(let_evict, _PARTS, 8),
    "redis clock set": Fault(set_clock, _PARTS, 17),
    "scripts flushed": Fault(flush_scripts, _PARTS, 0.1, weight=1.5),
    "redis connections cut": Fault(cut_connections, _PARTS, 0.1, weight=2),
}
