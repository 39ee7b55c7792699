"""`outdial worker`: starts worker processes, restarts those that die, stops them all within the grace."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from types import FrameType

import structlog

from worker import metrics, signals
from worker.service_manager import Manager
from worker.watchdog import Seen, Watchdog

log = structlog.get_logger()

# A process that dies at once is started again after 1, 2, 4, … at most 30 s.
_RESTART_CAP_S = 30.0
_LIVED_WELL_S = 60.0
_EXIT_USAGE = 2


# The program of a webhook process. It is of the producers, who know the CRMs, and whom nothing here imports.
_WEBHOOK_PROGRAM = "producers.webhook_process"


class _Slot:
    """One place for a process: what runs in it, with how many tasks at once, and when the next may start."""

    def __init__(self, name: str, concurrency: int, *, dials: bool) -> None:
        self.name = name
        self.concurrency = concurrency
        self.dials = dials
        self.incarnation = ""
        self.starts = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.failures = 0
        self.start_at = 0.0
        # Since when it has not been well, through any number of restarts; and when one told to end is killed.
        self.down_since: float | None = None
        self.kill_at: float | None = None


def _seen(slot: _Slot) -> Seen:
    if slot.process is None:
        return Seen(slot.name, None, slot.down_since or slot.start_at)
    return Seen(slot.name, slot.process.pid, slot.started_at)


class Supervisor:
    """
    Runs *processes* workers of *concurrency* slots each, and *webhooks*, until SIGTERM or SIGINT.

    The first of these signals is passed on, and calls under way may end; a second one, or the end of
    *stop_grace_s*, kills what is left: the hopper takes that like any other death of a worker.
    For a SIGHUP, `worker.reloading` calls `pass_on`.

    Args:
        config: Settings file for the processes; None as in `Settings.load`.
        processes: How many, 1 or more.
        concurrency: Slots per process.
        stop_grace_s: From the first signal to the kill.
        webhooks: Returns how many webhook processes there are to be, and slots of each; (0, 0) without listeners.
            A reload may add the first ones; they stay until the supervisor stops.
        environment: Of the processes, on top of that of this one.
        watchdog: Says which of them are deaf; None: nobody looks.
        manager: Told when all is up, and that it still is.
    """

    def __init__(
        self,
        config: str | None,
        *,
        processes: int,
        concurrency: int,
        stop_grace_s: float,
        webhooks: Callable[[], tuple[int, int]] = lambda: (0, 0),
        environment: Mapping[str, str] | None = None,
        watchdog: Watchdog | None = None,
        manager: Manager | None = None,
    ) -> None:
        self._config = config
        self._stop_grace_s = stop_grace_s
        self._environment = os.environ | dict(environment or {})
        host = socket.gethostname()
        # The supervisor's process id makes the names unique when several run on one host.
        self._unique = f"{os.getpid()}@{host}"
        self._slots = [
            _Slot(f"dialer{n}.{self._unique}", concurrency, dials=True) for n in range(1, processes + 1)
        ]
        self._webhooks = webhooks
        self._add_webhook_slots()
        self._at_first = {slot.name for slot in self._slots}
        self._hung_up = False
        self._signals = 0
        self._watchdog = watchdog
        self._manager = manager or Manager(None)
        # Every child holds the reading end; our death closes the writing one, and they stop too.
        self._pipe_read, self._pipe_write = os.pipe()

    def run(self) -> int:
        """Supervise until stopped; returns the exit code (2 if the processes refuse their settings)."""
        signals.block()  # the processes inherit it
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        for slot in self._slots:
            self._start(slot)
        code = 0
        while not self._signals:
            time.sleep(0.2)
            for slot in self._slots:
                # Later it may be Redis refusing for a while: the others wait for it, and so does a new process.
                if self._look_after(slot) == _EXIT_USAGE and slot.starts == 1 and slot.name in self._at_first:
                    code, self._signals = _EXIT_USAGE, 1
            self._follow_reload()
            self._end_the_deaf()
            self._tell_manager()
        self._manager.stopping()
        if self._watchdog:
            self._watchdog.stopping()
        self._stop_all()
        if self._watchdog:
            self._watchdog.close()
        return code

    def pass_on(self) -> None:
        """Let every process read its settings again; to be called from any thread."""
        self._hung_up = True

    def _follow_reload(self) -> None:
        self._add_webhook_slots()
        if self._hung_up:
            self._hung_up = False
            for slot in self._slots:
                # One that starts gets it once it has begun (see `worker.signals`).
                if slot.process is not None:
                    slot.process.send_signal(signal.SIGHUP)

    def _add_webhook_slots(self) -> None:
        count, slots = self._webhooks()
        if not any(not slot.dials for slot in self._slots):
            self._slots += [_Slot(f"webhooks{n}.{self._unique}", slots, dials=False) for n in range(1, count + 1)]

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1

    def _start(self, slot: _Slot) -> None:
        program = "worker.process" if slot.dials else _WEBHOOK_PROGRAM
        command = [sys.executable, "-m", program, "--name", slot.name]
        command += ["--concurrency", str(slot.concurrency), "--supervisor-pipe", str(self._pipe_read)]
        if slot.dials:
            # The dead process's claims are looked after at once; only we can know for certain that it is dead.
            buried, slot.incarnation = slot.incarnation, secrets.token_hex(8)
            command += ["--incarnation", slot.incarnation, "--buries", buried]
        command += ["--config", self._config] if self._config else []
        # A session of its own: Ctrl-C reaches the supervisor alone, which then decides.
        slot.process = subprocess.Popen(
            command, pass_fds=(self._pipe_read,), start_new_session=True, env=self._environment
        )
        metrics.process_started()
        slot.started_at = time.monotonic()
        slot.starts += 1
        slot.kill_at = None

    def _look_after(self, slot: _Slot) -> int | None:
        """Restart a dead process when its time has come; returns the exit code of one just found dead."""
        now = time.monotonic()
        if slot.process is None:
            if now >= slot.start_at:
                self._start(slot)
            return None
        if slot.kill_at is not None and now >= slot.kill_at:
            slot.process.kill()
        if now - slot.started_at > _LIVED_WELL_S:
            slot.down_since = None
        code = slot.process.poll()
        if code is None:
            return None
        slot.process = None
        slot.down_since = slot.down_since or now
        slot.failures = 1 if now - slot.started_at > _LIVED_WELL_S else slot.failures + 1
        wait_s = min(_RESTART_CAP_S, 2.0 ** (slot.failures - 1))
        slot.start_at = now + wait_s
        log.error("worker_died", worker=slot.name, exit_code=code, restart_in_s=wait_s)
        return code

    def _end_the_deaf(self) -> None:
        """A process that hears nothing any more is told to end, is killed after the grace, and started anew."""
        if self._watchdog is None:
            return
        for name in self._watchdog.deaf([_seen(slot) for slot in self._slots]):
            [slot] = [slot for slot in self._slots if slot.name == name]
            if slot.process is not None and slot.kill_at is None:
                # One that still hears signals lets its calls end; a frozen one takes nothing but the kill.
                slot.process.send_signal(signal.SIGTERM)
                slot.kill_at = time.monotonic() + self._stop_grace_s

    def _tell_manager(self) -> None:
        if self._watchdog is None:
            self._manager.moves("")
        elif self._manager.is_ready or self._watchdog.have_begun():
            self._manager.moves(self._watchdog.problem())

    def _stop_all(self) -> None:
        alive = [slot.process for slot in self._slots if slot.process is not None]
        for process in alive:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self._stop_grace_s
        while any(process.poll() is None for process in alive):
            if self._signals > 1 or time.monotonic() > deadline:
                log.error("workers_killed", reason="second signal" if self._signals > 1 else "grace is over")
                for process in alive:
                    process.kill()
                break
            time.sleep(0.05)
        for process in alive:
            process.wait()
        os.close(self._pipe_write)
        os.close(self._pipe_read)
