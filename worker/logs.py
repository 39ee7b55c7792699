"""Log lines: a constant event name and fields, never a token, a password or a telephone number."""

import logging
import re
import sys
from typing import Any

import structlog

# What libraries may put into a message: the query of a PBX's URL, and passwords in broker addresses.
_SECRETS = re.compile(
    r"((?:access_token|token|sentinel_password)=)[^&\s'\")]+|(://[^:/@\s]*:)[^@\s]+(?=@)", re.IGNORECASE
)


def set_up(level: str) -> None:
    """
    Send our log lines and those of libraries to stderr, in one form.

    Args:
        level: debug, info, warning or error. Celery and the HTTP library stay at warning, for at info they
            write a line or two for each task.
    """
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    rendering: list[Any] = [
        structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        redact,
    ]
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level.upper()),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


def redact(_logger: Any, _method: str, line: str) -> str:
    """Take tokens and passwords out of a finished line; the last processor of the chain."""
    return _SECRETS.sub(lambda found: f"{found[1] or found[2]}***", line)
