"""How a line is written out: for people on a terminal, or as JSON."""

import json
import os
from typing import Any

import structlog

# ASCII alone: half a character of some binary input must not keep a line from being written.
_encode = json.JSONEncoder(separators=(",", ":"), default=repr).encode


def renderer(form: str, *, is_terminal: bool) -> list[Any]:
    """
    Return the last processors of the chain, which add the time and write the line.

    Args:
        form: `console` or `json`.
        is_terminal: Whether colours are seen; the variable NO_COLOR does without (no-color.org).
    """
    if form == "json":
        return [structlog.processors.TimeStamper(fmt="iso", utc=True), _as_json]
    colors = is_terminal and not os.environ.get("NO_COLOR")
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        _printable,
        structlog.dev.ConsoleRenderer(colors=colors, sort_keys=False, pad_event_to=20),
    ]


def _as_json(_logger: Any, _method: str, line: dict[str, Any]) -> str:
    head = {name: line.pop(name, "") for name in ("timestamp", "level", "event")}
    return _encode({**head, **line})


def _printable(_logger: Any, _method: str, line: dict[str, Any]) -> dict[str, Any]:
    """Write out what a terminal would take for a command; the lines of a traceback stay lines."""
    for name, value in line.items():
        if isinstance(value, str) and not value.isprintable():
            kept = "\n\t" if name == "exception" else ""
            line[name] = "".join(
                char if char.isprintable() or char in kept else repr(char)[1:-1] for char in value
            )
    return line
