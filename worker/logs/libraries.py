"""Lines of libraries, which use the standard library's logging: ours in form, and as free of secrets."""

import logging
from typing import Any

import structlog


class LibraryHandler(logging.Handler):
    """
    Writes each record as the event `library_said`, with its text as `message` and its `logger`.

    Args:
        lines: Where to: `write` and `flush`.
        first: Processors that add what every line has.
        last: Those that redact and write out.
    """

    def __init__(self, lines: Any, first: list[Any], last: list[Any]) -> None:
        super().__init__()
        self._lines = lines
        self._processors = [*first, *last]

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; one that cannot be written says so, without what it holds."""
        try:
            line = self._line(record.getMessage(), record)
        except Exception as error:  # noqa: BLE001 - logging's own way would print the record's arguments
            line = self._line(f"a line that cannot be shown ({type(error).__name__})", record, bare=True)
        self._lines.write(f"{line}\n")
        self._lines.flush()

    def _line(self, message: str, record: logging.LogRecord, *, bare: bool = False) -> str:
        event: Any = {"event": "library_said", "logger": record.name, "message": message.rstrip()}
        if record.exc_info and not bare:
            event["exc_info"] = record.exc_info
        method = record.levelname.lower()
        for processor in self._processors:
            event = processor(structlog, method if method != "notset" else "info", event)
        return str(event)
