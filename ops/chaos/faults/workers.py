"""Faults of worker processes and their supervisors."""

import os
import random
import re
import resource
import signal
from pathlib import Path
from typing import Final

from ops.chaos.crew import Crew, worker_name
from ops.chaos.faults.fault import Fault, Missed, Struck
from ops.chaos.site import CLAIM_DEAD_S, CREWS, Site


def _one_worker(crew: Crew, dice: random.Random) -> int:
    workers = crew.workers()
    if not workers:
        raise Missed("no worker runs")
    return dice.choice(workers)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        raise Missed("the worker was gone") from None


def kill_worker(site: Site, part: str, dice: random.Random) -> Struck:
    """SIGKILL, in the middle of whatever it does."""
    pid = _one_worker(site.crews[part], dice)
    name = worker_name(pid)
    _send(pid, signal.SIGKILL)
    return Struck(name, killed=(name,))


def freeze_and_kill_worker(site: Site, part: str, dice: random.Random) -> Struck:
    """A process that hangs until somebody kills it."""
    pid = _one_worker(site.crews[part], dice)
    name = worker_name(pid)
    _send(pid, signal.SIGSTOP)
    site.rest(dice.uniform(0.5, CLAIM_DEAD_S + 1))
    _send(pid, signal.SIGKILL)
    return Struck(name, killed=(name,))


def freeze_and_thaw_worker(site: Site, part: str, dice: random.Random) -> Struck:
    """A process that comes back when its claims have long been given up, as from a paused machine."""
    pid = _one_worker(site.crews[part], dice)
    _send(pid, signal.SIGSTOP)
    try:
        site.rest(CLAIM_DEAD_S + dice.uniform(1, 3))
    finally:
        _send(pid, signal.SIGCONT)
    return Struck(worker_name(pid))


def freeze_worker_briefly(site: Site, part: str, dice: random.Random) -> Struck:
    """A process that comes back while its claims are still its own, or only just not."""
    pid = _one_worker(site.crews[part], dice)
    _send(pid, signal.SIGSTOP)
    try:
        site.rest(dice.uniform(1, CLAIM_DEAD_S))
    finally:
        _send(pid, signal.SIGCONT)
    return Struck(worker_name(pid))


def restart_crew(site: Site, part: str, dice: random.Random) -> None:  # noqa: ARG001
    """A rolling restart, as for a new version: one host after the other."""
    site.crews[part].stop()
    site.crews[part].start()


def kill_supervisor(site: Site, part: str, dice: random.Random) -> None:
    """The supervisor dies alone; its workers notice and stop, and somebody starts it again."""
    site.crews[part].kill_supervisor()
    site.rest(dice.uniform(0, 1))
    site.crews[part].start()


def storm_of_hang_ups(site: Site, part: str, dice: random.Random) -> None:
    """SIGHUP to every process, many times: the settings are read again, and nothing else happens."""
    for _ in range(dice.randint(10, 40)):
        site.crews[part].hang_up()
        site.rest(dice.uniform(0, 0.2))


def change_limit(site: Site, part: str, dice: random.Random) -> Struck:  # noqa: ARG001
    """An operator lowers the limits of all PBXs and reloads, and puts them back."""
    file = site.installation.config
    before = file.read_text(encoding="utf-8")
    lowered = dice.randint(5, 14)
    try:
        _replace(file, re.sub(r"(?m)^calls_per_second = .*$", f"calls_per_second = {lowered}", before))
        site.hopper.ask_reload()
        site.rest(dice.uniform(2, 4))
    finally:
        _replace(file, before)
        site.hopper.ask_reload()
    return Struck(f"calls_per_second = {lowered}")


def _replace(file: Path, text: str) -> None:
    """Write a file as a whole, for a worker that starts may read it at any moment."""
    beside = file.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(file)


def take_scripts_away(site: Site, part: str, dice: random.Random) -> Struck:
    """The Lua scripts cannot be read for some seconds, as during an upgrade in place."""
    scripts, seconds = site.scripts_of(part), dice.uniform(1, 4)
    hidden = scripts.with_name("scripts-gone")
    scripts.rename(hidden)
    try:
        site.rest(seconds)
    finally:
        hidden.rename(scripts)
    return Struck(f"{seconds:.1f} s")


def run_out_of_files(site: Site, part: str, dice: random.Random) -> Struck:
    """A worker may open no more files for some seconds: no connection, no log, no socket."""
    pid, seconds = _one_worker(site.crews[part], dice), dice.uniform(1, 4)
    try:
        open_files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(open_files, soft), hard))
        site.rest(seconds)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    except (ProcessLookupError, FileNotFoundError):
        raise Missed("the worker was gone") from None
    return Struck(f"{worker_name(pid)}, {seconds:.1f} s")


FAULTS: Final = {
    "worker killed": Fault(kill_worker, CREWS, 2, weight=12, spoils=True),
    "worker frozen, killed": Fault(freeze_and_kill_worker, CREWS, 6, weight=4, spoils=True),
    "worker frozen, thawed late": Fault(freeze_and_thaw_worker, CREWS, 9, weight=3, spoils=True),
    "worker frozen, thawed": Fault(freeze_worker_briefly, CREWS, 5, weight=2, spoils=True),
    "scripts taken away": Fault(take_scripts_away, CREWS, 4, weight=3),
    "out of files": Fault(run_out_of_files, CREWS, 4, weight=3),
    "rolling restart": Fault(restart_crew, CREWS, 6),
    "supervisor killed": Fault(kill_supervisor, CREWS, 8),
    "storm of hang-ups": Fault(storm_of_hang_ups, CREWS, 4),
    "limit changed": Fault(change_limit, ("settings",), 5),
}
