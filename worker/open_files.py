"""
The limit of open files: whether a process may open as many as it needs, and whether an error was that it may not.

Source: getrlimit(2), RLIMIT_NOFILE; EMFILE and ENFILE in open(2) and socket(2).
"""

import errno
import os
import resource
from collections.abc import Iterable

from worker.errors import ConfigurationError

# Without a call under way: log, metrics, the threads' connections to Redis and Celery's. 15 were measured.
_AT_REST = 48
# A slot's connections to Redis and to its PBX, and one that is being made anew. Two were measured.
_PER_SLOT = 3
_NONE_LEFT = (errno.EMFILE, errno.ENFILE)


def require(slots: int, *, kept: int = 0) -> None:
    """
    Return if this process may open as many files as it will need; raises its own limit as far as it may.

    Args:
        slots: Tasks at once.
        kept: Connections that are kept open beside those of the tasks under way.

    Raises:
        ConfigurationError: If it may not.
    """
    count = _AT_REST + _PER_SLOT * slots + kept
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        need = f"needs {count:,} open files and may have {hard:,}"
        advice = "raise the limit (LimitNOFILE= of systemd, ulimit -n), or give it fewer slots"
        raise ConfigurationError([f"concurrency: a process with {slots:,} slots {need}; {advice}"])
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def are_used_up(errors: Iterable[BaseException]) -> bool:
    """
    Return whether an error was, or may have been, that no more files can be opened.

    Args:
        errors: The error and its causes. Looking up a name or reading certificates fails without saying why, so
            this process tries to open a file too.
    """
    return any(isinstance(error, OSError) and error.errno in _NONE_LEFT for error in errors) or _is_full()


def _is_full() -> bool:
    try:
        descriptor = os.open(os.devnull, os.O_RDONLY)
    except OSError as error:
        return error.errno in _NONE_LEFT
    os.close(descriptor)
    return False
