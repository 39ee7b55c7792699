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

    It is told READY once, then WATCHDOG for as long as all is well. What is wrong is shown by `systemctl status`,
    and if it lasts for the unit's WatchdogSec everything is started anew.

    Args:
        address: NOTIFY_SOCKET; a path, or @ and an abstract name. None: nobody listens.

    Source: sd_notify(3) and systemd.service(5) of systemd 252, read 2026-11-24.
    """

    # Half of the shortest sensible WatchdogSec; more often only costs.
    _EVERY_S = 5.0

    def __init__(self, address: str | None) -> None:
        self._address = address
        self._is_ready = False
        self._next = 0.0
        self._is_sick = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Manager":
        """Return that of the service manager that started this process, if one did."""
        return cls(environment.get("NOTIFY_SOCKET"))

    def well(self, problem: str) -> None:
        """
        All has begun; tell so if it is time.

        Args:
            problem: What is wrong, in a sentence, as long as it is; empty when all is well.
        """
        now = time.monotonic()
        if now < self._next and bool(problem) == self._is_sick:
            return
        words = [f"STATUS={problem or 'well'}"]
        if not self._is_ready:
            words.append("READY=1")
        if not problem:
            words.append("WATCHDOG=1")
        self._say(*words)
        self._is_ready, self._is_sick, self._next = True, bool(problem), now + self._EVERY_S

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
