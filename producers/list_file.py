"""The file, pipe or standard input that the rows of an import come from."""

import io
import os
import select
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from producers.importing import FileFormat
from worker.errors import InputRefused

_SUFFIXES: dict[str, FileFormat] = {".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson"}
_BOM = b"\xef\xbb\xbf"
# Enough for any first line that names columns.
_START = 4096
# A program at the other end of a pipe begins to write sooner.
_WRITER_WITHIN_MS = 1000


@dataclass(frozen=True, slots=True)
class ListFile:
    """
    A list that is open for reading.

    Args:
        text: Decoded as sources want it: what cannot be decoded stays visible as surrogates.
        file_format: Of its rows.
        size: In bytes; None if unknown.
    """

    text: io.TextIOWrapper
    file_format: FileFormat
    size: int | None

    @property
    def bytes_read(self) -> int:
        """How many bytes have been read; 0 where the size is unknown."""
        return 0 if self.size is None else cast("io.BufferedReader", self.text.buffer).tell()

    def status(self) -> os.stat_result | None:
        """Return what the system knows of the open file; None if it is none of the system's."""
        try:
            return os.fstat(self.text.fileno())
        except (OSError, io.UnsupportedOperation):  # click's test runner has no such file
            return None


@contextmanager
def open_list(
    path: str, file_format: FileFormat | None, *, on_wait: Callable[[], None] = lambda: None
) -> Iterator[ListFile]:
    """
    Open a list, or standard input for `-`, and close it in the end (standard input stays open).

    Args:
        path: As given on the command line.
        file_format: None looks at how the list begins, and at the file's suffix.
        on_wait: Called once if a named pipe has nobody who writes to it.

    Raises:
        InputRefused: If the list cannot be opened or read.
    """
    try:
        file, size = _standard_input() if path == "-" else _opened(path, on_wait)
        found = file_format or _format_of(file, path)
    except OSError as error:
        raise InputRefused([f"{path}: {error.strerror or 'cannot be read'}"]) from None
    text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
    try:
        yield ListFile(text, found, size)
    finally:
        if path == "-":
            text.detach()
        else:
            text.close()


def _standard_input() -> tuple[io.BufferedReader, None]:
    if sys.stdin is None:
        raise InputRefused(["-: standard input is closed"])
    file: BinaryIO = sys.stdin.buffer
    if isinstance(file, io.BufferedReader):
        return file, None
    return io.BufferedReader(file), None  # type: ignore[arg-type]  # click's test runner gives a BytesIO


def _opened(path: str, on_wait: Callable[[], None]) -> tuple[io.BufferedReader, int | None]:
    # Without O_NONBLOCK the system waits, silently and for ever, until another program opens a named pipe.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISFIFO(status.st_mode):
            _wait_for_writer(descriptor, on_wait)
        os.set_blocking(descriptor, True)
        # Refuses a directory.
        return open(descriptor, "rb"), status.st_size if stat.S_ISREG(status.st_mode) else None  # noqa: PTH123
    except BaseException:
        os.close(descriptor)
        raise


def _wait_for_writer(descriptor: int, on_wait: Callable[[], None]) -> None:
    pipe = select.poll()
    pipe.register(descriptor, select.POLLIN)
    if not pipe.poll(_WRITER_WITHIN_MS):
        on_wait()
        pipe.poll()


def _format_of(file: io.BufferedReader, path: str) -> FileFormat:
    start = file.peek(_START)[:_START].removeprefix(_BOM).lstrip()
    if start.startswith(b"{"):
        return "ndjson"
    first_line = start.partition(b"\n")[0].lower()
    names_columns = b"extid" in first_line and b"outto" in first_line and not start.startswith(b"[")
    return "csv" if names_columns else _SUFFIXES.get(Path(path).suffix.lower(), "csv")
