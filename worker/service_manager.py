"""Telling systemd how we are, where it started us: sd_notify(3), without its library."""

import os
import socket
import time
from collections.abc import Mapping

import structlog

log = structlog.get_logger()


class Manager:
    """
    The service manager's socket; silent without one.

    It is told READY once, and WATCHDOG as long as the supervisor moves. That its processes are deaf is shown by
    `systemctl status` and withholds nothing: where a new process would hear again the supervisor starts one itself
    (see `worker.watchdog`), and elsewhere ending them all mends nothing.

    Args:
        address: NOTIFY_SOCKET; a path, or @ and an abstract name. None: nobody listens.

    Source: sd_notify(3) and systemd.service(5) of systemd 252, read 2026-11-24.
    """

    # Far below half of the unit's WatchdogSec.
    _EVERY_S = 5.0

    def __init__(self, address: str | None) -> None:
        self._address = address
        self.is_ready = False
        self._next = 0.0
        self._is_sick = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Manager":
        """Return that of the service manager that started this process, if one did."""
        return cls(environment.get("NOTIFY_SOCKET"))

    def moves(self, problem: str) -> None:
        """
        All has begun and we move; tell so if it is time.

        Args:
            problem: What is wrong with the processes, in a sentence, as long as it is; empty when all is well.
        """
        now = time.monotonic()
        if now < self._next and bool(problem) == self._is_sick:
            return
        words = [f"STATUS={problem or 'well'}", "WATCHDOG=1"]
        self._say(*words if self.is_ready else [*words, "READY=1"])
        self.is_ready, self._is_sick, self._next = True, bool(problem), now + self._EVERY_S

    def stopping(self) -> None:
        """The end has begun."""
        self._say("STOPPING=1", "STATUS=stopping")

    def _say(self, *words: str) -> None:
        if self._address is None:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as speaker:
                speaker.settimeout(1)
                speaker.sendto("\n".join(words).encode(), address)
        except OSError as error:
            log.warning("service_manager_not_told", error=error.strerror)
