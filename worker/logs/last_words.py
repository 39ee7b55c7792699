"""What would reach stderr beside the log: errors that nobody caught, and prints."""

import io
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

import structlog

from worker.masking import safe

log = structlog.get_logger()


def catch_uncaught() -> None:
    """Write errors that nobody caught, in any thread, as lines; Python would print them with all they quote."""
    sys.excepthook = _died
    threading.excepthook = _thread_died
    sys.unraisablehook = _went_wrong


def _died(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log.critical("process_broke", error=kind.__name__, exc_info=(kind, error, trace))


def _thread_died(told: threading.ExceptHookArgs) -> None:
    if told.exc_type is SystemExit:
        return
    error = told.exc_value or told.exc_type()
    thread = told.thread.name if told.thread else ""
    log.error(
        "thread_broke",
        thread=thread,
        error=told.exc_type.__name__,
        exc_info=(told.exc_type, error, told.exc_traceback),
    )


def _went_wrong(told: Any) -> None:
    # In a destructor, or while the process ends: there is nobody to raise it to.
    error = told.exc_value or told.exc_type()
    log.warning("cleanup_broke", error=told.exc_type.__name__, exc_info=(told.exc_type, error, told.exc_traceback))


class Prints(io.TextIOBase):
    """
    Takes the place of stderr: each line printed becomes the event `printed`, or goes out as text, redacted.

    Args:
        write: Takes text for a terminal; None: lines are events.
        stream: The real one.
    """

    # click asks for both.
    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, write: Callable[[str], object] | None, stream: TextIO) -> None:
        super().__init__()
        self._write = write
        self._stream = stream
        self._parts = threading.local()  # .text: what a thread printed of a line that is not over

    def write(self, text: str) -> int:
        """Keep what was printed until its line is over: a secret may come in pieces."""
        if not isinstance(text, str):
            raise TypeError("stderr takes text")
        *lines, self._parts.text = (getattr(self._parts, "text", "") + text).split("\n")
        for line in lines:
            self._say(line)
        return len(text)

    def writable(self) -> bool:
        """Say so; TextIOBase would not."""
        return True

    def fileno(self) -> int:
        """Return the real stderr's: for those who write past Python."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Whether the real one is a terminal."""
        return self._stream.isatty()

    def _say(self, line: str) -> None:
        if self._write is not None:
            self._write(f"{safe(line)}\n")
        elif line.strip():
            log.warning("printed", text=line.rstrip())
