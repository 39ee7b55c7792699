"""
Where the processes of one host keep their counts, so that they outlive any of them: files in a folder of their
supervisor's, in prometheus_client's own format.

A file is named by its process's slot and not by its process id, so that a process started in the place of a dead
one goes on in the same file: nothing counted is lost, and a thousand restarts leave two files. A `kill -9` in the
middle of a write does no harm: a value is written in one piece, and a new one is counted in only once it is whole.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# prometheus_client's own name for it.
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX = "outdial-metrics-"
_LOCK = "supervisor.lock"
# A folder just made has no lock for a moment.
_YOUNG_S = 60.0
# Enough for a few PBXs that answer with every code there is.
_LEAST_BYTES = 256 * 1024
# For one PBX with eight kinds of errno 1,700 and 2,500 bytes were measured.
_BYTES_PER_NAME = {"counter": 3072, "histogram": 4096}


def use(name: str, *, names: int) -> None:
    """
    Let prometheus_client keep the values of all metrics made from now on in the folder that the environment names.

    The room that they will need is taken now: written to later, with the file system full, a hole in a mapped file
    would end the process.

    Args:
        name: Of the slot, unique in the folder.
        names: How many PBXs and endpoints there may be values for.

    Raises:
        OSError: If there is no such folder, or no room in it.
    """
    from prometheus_client import values  # noqa: PLC0415 - see `worker.metrics.counting`

    slot = name.replace("/", "-")
    for kind, each in _BYTES_PER_NAME.items():
        _reserve(Path(os.environ[VARIABLE]) / f"{kind}_{slot}.db", _LEAST_BYTES + names * each)
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]  # it has no types


def use_memory() -> None:
    """Let prometheus_client keep the values of all metrics made from now on in memory."""
    from prometheus_client import values  # noqa: PLC0415

    values.ValueClass = values.MutexValue


@contextmanager
def folder() -> Iterator[Path]:
    """
    Make a folder for the length of the block, and remove those whose supervisors are dead.

    A supervisor that is killed leaves its own behind, and the lock on it ends with it; the next one removes it.
    Processes that still count there go on undisturbed, for their files are open.

    Raises:
        OSError: If none can be made.
    """
    made = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        with (made / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove_stale(made)
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _remove_stale(mine: Path) -> None:
    for other in mine.parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            seen = other.lstat()
            is_old = time.time() - seen.st_mtime > _YOUNG_S
            if other != mine and seen.st_uid == os.getuid() and is_old and not _is_held(other):
                shutil.rmtree(other)


def _is_held(other: Path) -> bool:
    try:
        with (other / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _reserve(file: Path, size: int) -> None:
    allocate = getattr(os, "posix_fallocate", None)  # not on macOS, where nobody runs this in earnest
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if allocate:
            allocate(descriptor, 0, size)
    finally:
        os.close(descriptor)
