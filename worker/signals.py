"""
Which signals the processes of outdial take.

    SIGTERM, SIGINT   stop: calls under way end first (see `worker.supervisor`)
    SIGHUP            read the settings again (see `worker.reloading`)
    SIGUSR1, SIGUSR2  nothing

SIGHUP, SIGUSR1 and SIGUSR2 end a process that has no handler for them, and Celery's handler of SIGHUP ends its
worker too. So every process blocks them for its whole life, and the thread that reloads asks whether a SIGHUP is
pending. Threads and child processes inherit a signal mask, and it survives `exec`: there is no moment, of the
start or of the stop, at which such a signal ends a worker. A signal that comes early stays pending until the
thread runs.
"""

import signal
from typing import Final

_BLOCKED: Final = frozenset({signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2})


def block() -> None:
    """Block the signals that must not end this process; to be called before it starts threads or processes."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)


def hung_up(*, within_s: float) -> bool:
    """Return whether a SIGHUP has come since the last call, or comes within a time; several count as one."""
    return signal.sigtimedwait({signal.SIGHUP}, within_s) is not None
