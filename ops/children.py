"""Processes we start are processes we stop: by their own id, gently and then not."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_PR_SET_PDEATHSIG = 1  # prctl(2), Linux only
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """
    Let the calling process end when its parent does, however that dies; does nothing but on Linux.

    For `preexec_fn` of processes that would otherwise live on after a killed demo or test run.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def child(command: list[str], *, grace_s: float = 40, **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """
    Run *command* for the length of the block.

    Args:
        command: Program and arguments.
        grace_s: From the SIGTERM at the block's end to the kill.
        options: For `subprocess.Popen`. The child has a session of its own, so Ctrl-C does not reach it.
    """
    process = subprocess.Popen(
        command,
        text=True,
        start_new_session=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509  one call, no lock taken
        **options,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def children_of(pid: int) -> list[int]:
    """Return the ids of a process's own children, dead ones that nobody reaped included; Linux only."""
    # Linux keeps a list for each thread that started some.
    threads = sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda thread: int(thread.name))
    return [int(child) for thread in threads for child in _children_of_thread(thread)]


def _children_of_thread(thread: Path) -> list[str]:
    try:
        return (thread / "children").read_text(encoding="ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        return []  # it has ended; its children are another thread's now


def blocks_hang_ups(pid: int) -> bool:
    """Return whether a process blocks SIGHUP; before it does, the signal ends it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    found = re.search(r"^SigBlk:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> (signal.SIGHUP - 1) & 1)


def is_running(pid: int) -> bool:
    """Whether a process, ours or not, still runs; one that only waits to be reaped does not. Linux only."""
    return _state_of(pid) not in ("", "Z")


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """
    Freeze a process for the length of the block; Linux only.

    A signal takes effect a little after it was sent, so this waits until the process has stopped.
    """
    os.kill(pid, signal.SIGSTOP)
    try:
        while _state_of(pid) not in ("", "T", "Z"):
            time.sleep(0.001)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _state_of(pid: int) -> str:
    """Return the letter of a process's state, see proc_pid_stat(5); empty if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[0]


class Ensemble(ABC):
    """
    Parts that are started together by `with` and stopped at its end, last first, also if one does not start.

    A subclass starts each part in `_start` and puts it on `_stack`.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @abstractmethod
    def _start(self) -> None:
        """Start every part."""
