"""One supervisor with its worker processes: a host of workers, as far as the others can tell."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from ops.children import blocks_hang_ups, children_of, is_running
from ops.installation import Installation

PROCESSES, SLOTS = 2, 8
# A killed supervisor's workers stop by themselves, within `worker.stop_grace_s` and a little.
_ORPHANS_S = 15.0


class Crew:
    """
    `outdial worker` with a log and an environment of its own.

    Args:
        name: Of the crew and its log.
        installation: Whose settings it works by.
        environment: Settings that differ from the file's: its own ways to Redis and the PBXs.
    """

    def __init__(self, name: str, installation: Installation, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = installation.folder / f"crew-{name}.log"
        self._installation = installation
        self._environment = dict(environment)
        self._stack = ExitStack()
        self._supervisor: subprocess.Popen[str] | None = None
        # Two faults may start or stop it at a time, such as a rolling restart and one of Redis.
        self._lock = threading.RLock()

    def start(self) -> None:
        """Start supervisor and workers; returns before they are ready."""
        with self._lock:
            self._supervisor = self._stack.enter_context(
                self._installation.supervisor(
                    self.log, processes=PROCESSES, concurrency=SLOTS, **self._environment
                )
            )

    def stop(self) -> None:
        """Stop them as an operator does, by SIGTERM, and wait."""
        with self._lock:
            self._stack.close()
            self._supervisor = None

    def hang_up(self) -> None:
        """Send SIGHUP to the supervisor, once its program has begun, and to each of its workers."""
        supervisor = [self._supervisor.pid] if self._supervisor else []
        for pid in (*filter(blocks_hang_ups, supervisor), *self.workers()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGHUP)

    def start_if_it_ended(self) -> None:
        """Start the crew again if its supervisor has refused to go on, as an operator does."""
        with self._lock:
            if self._supervisor is not None and self._supervisor.poll() is not None:
                self.stop()
                self.start()

    def kill_supervisor(self) -> None:
        """Kill the supervisor alone, and return once its workers are gone too."""
        if self._supervisor is None:
            return
        orphans = self.workers()
        self._supervisor.kill()
        self.stop()
        deadline = time.monotonic() + _ORPHANS_S
        while any(is_running(pid) for pid in orphans):
            if time.monotonic() > deadline:
                _kill_all(orphans)
            time.sleep(0.05)

    def workers(self) -> list[int]:
        """Return the ids of the worker processes that run, frozen ones included."""
        if self._supervisor is None or self._supervisor.poll() is not None:
            return []
        return [pid for pid in children_of(self._supervisor.pid) if is_running(pid)]


def worker_name(pid: int) -> str:
    """Return a worker process's name among workers, empty if it has none (any more)."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
        return arguments[arguments.index("--name") + 1]
    except (OSError, ValueError, IndexError):
        return ""


def _kill_all(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
