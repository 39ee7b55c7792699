"""The file that rejected rows are written to; it holds telephone numbers."""

import errno
import os
import stat
from contextlib import suppress
from typing import Self

from producers.list_file import ListFile
from producers.sources import RejectedRow, Rejects
from producers.sources.lines import as_bytes
from worker.errors import InputRefused

_PRIVATE = 0o600


class RejectsFile:
    """
    Writes rejected rows, each with one call of the system, so that what was written is there if the process dies.

    A row that could not be written as a whole is taken back. Where even that fails, an import refuses what is left
    of it, see `producers.sources.csv_rejects`.

    Args:
        path: As given on the command line.
        rejects: Of the list that is imported.
        descriptor: The file, open for writing; closed by `close`.
    """

    def __init__(self, path: str, rejects: Rejects, descriptor: int) -> None:
        self.path = path
        self._rejects = rejects
        self._descriptor = descriptor
        self._is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        self._length = 0

    @classmethod
    def open(cls, path: str, rejects: Rejects, *, beside: ListFile) -> Self:
        """
        Open a file that its owner alone can read and write, and empty it; pipes and devices stay as they are.

        Raises:
            InputRefused: If it cannot be written, or is the list itself, by whatever name or link.
        """
        if not path:
            raise InputRefused(["--rejects: '' names no file"])
        try:
            # With O_NONBLOCK a named pipe that no program reads is an error, and not a wait without end.
            flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
            descriptor = os.open(path, flags, _PRIVATE)
            os.set_blocking(descriptor, True)
        except OSError as error:
            raise _not_written(path, error) from None
        try:
            _make_empty(descriptor, path, beside)
            file = cls(path, rejects, descriptor)
            file._write(rejects.head)
        except BaseException:
            os.close(descriptor)
            raise
        return file

    def write(self, row: RejectedRow) -> None:
        """
        Write one row.

        Raises:
            InputRefused: If there is no room, say.
        """
        self._write(self._rejects.written(row))

    def close(self) -> None:
        """Close the file; its rows are on the disk then."""
        try:
            if self._is_regular:
                os.fsync(self._descriptor)
        except OSError as error:
            raise _not_written(self.path, error) from None
        finally:
            os.close(self._descriptor)

    def _write(self, text: str) -> None:
        left = memoryview(as_bytes(text))
        length = len(left)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._length)
            raise _not_written(self.path, error) from None
        self._length += length


def _make_empty(descriptor: int, path: str, beside: ListFile) -> None:
    status, other = os.fstat(descriptor), beside.status()
    if not stat.S_ISREG(status.st_mode):
        return
    if other and os.path.samestat(status, other):
        raise InputRefused([f"{path}: is the file to import; give --rejects another name"])
    try:
        if stat.S_IMODE(status.st_mode) != _PRIVATE:
            os.fchmod(descriptor, _PRIVATE)
        os.ftruncate(descriptor, 0)
    except OSError as error:
        raise _not_written(path, error) from None


def _not_written(path: str, error: OSError) -> InputRefused:
    if error.errno == errno.ENXIO:
        return InputRefused([f"{path}: is a pipe that no program reads; start that program first"])
    return InputRefused([f"{path}: {error.strerror or 'cannot be written'}"])
