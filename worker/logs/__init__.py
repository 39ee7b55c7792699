"""
Log lines: a constant event name and fields, never a token, a password or a telephone number.

`docs/logs.md` lists every event. Modules log by `structlog.get_logger()`; a process calls `set_up` once, and what
works on one job says so by `about`, so that each line written below carries it.
"""

import logging
import sys
from typing import Any, Literal, TextIO

import structlog

from worker.logs.context import about, naming
from worker.logs.formats import renderer
from worker.logs.last_words import Prints, catch_uncaught
from worker.logs.libraries import LibraryHandler
from worker.logs.redaction import redact

__all__ = ["LogFormat", "about", "naming", "set_level", "set_up"]

LogFormat = Literal["auto", "console", "json"]


_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "exception": 40, "critical": 50}


class _Level:
    """The first step of every line: drops those below a level, which may change while the process runs."""

    def __init__(self) -> None:
        self.least = 0

    def __call__(self, _logger: Any, method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if _LEVELS.get(method, 50) < self.least:
            raise structlog.DropEvent
        return line


# The process's one: loggers keep the level that they were made with, so that the level is no part of them.
_level = _Level()


def set_level(level: str) -> None:
    """Write our own events from *level* on: debug, info, warning or error."""
    _level.least = _LEVELS[level]


class _Lines:
    """The stream of lines. A log that cannot be written must not keep a call from being placed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except (OSError, ValueError):
            return

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            return


def set_up(
    level: str,
    form: LogFormat = "auto",
    *,
    process: str = "",
    libraries: str = "warning",
    takes_stderr: bool = False,
) -> None:
    """
    Send our log lines, those of libraries and what nobody caught to stderr, in one form and without secrets.

    Args:
        level: debug, info, warning or error, of our own events.
        form: `console` for people, `json` for programs, `auto`: console where stderr is a terminal.
        process: Which of our processes this is; goes into every line.
        libraries: The same as *level* for libraries: Celery and the HTTP library write a line or two for each
            task at info.
        takes_stderr: Whatever is printed to stderr becomes a line too, for programs whose libraries print.
    """
    stream = sys.__stderr__ or sys.stderr
    lines: Any = _Lines(stream)
    is_terminal = stream.isatty()
    name = ("console" if is_terminal else "json") if form == "auto" else form
    set_level(level)
    first: list[Any] = [structlog.contextvars.merge_contextvars, structlog.processors.add_log_level]
    if process:
        first.append(naming(process))
    last: list[Any] = [structlog.processors.format_exc_info, redact, *renderer(name, is_terminal=is_terminal)]
    structlog.configure(
        processors=[_level, *first, *last],
        wrapper_class=structlog.make_filtering_bound_logger("debug"),
        logger_factory=structlog.WriteLoggerFactory(file=lines),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [LibraryHandler(lines, first, last)]
    root.setLevel(libraries.upper())
    logging.captureWarnings(True)  # noqa: FBT003 - its only argument
    catch_uncaught()
    if takes_stderr:
        sys.stderr = Prints(lines.write if name == "console" else None, stream)
