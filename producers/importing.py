"""The work of `outdial import`: a file's rows become jobs, and the same file again adds none."""

import io
import json
import sys
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Literal

from producers.enqueue import Dialer, Refusal, Ticket
from producers.sources import NumberedRow, Source, csv_file, ndjson_file
from worker import tracing
from worker.errors import InputRefused
from worker.hopper import Order
from worker.jobs import DialJob

FileFormat = Literal["csv", "ndjson"]

SOURCES: dict[FileFormat, Source] = {"csv": csv_file.read, "ndjson": ndjson_file.read}
_SUFFIXES: dict[str, FileFormat] = {".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson"}
_BOM = b"\xef\xbb\xbf"
_DEFAULTS = {name: field.get_default(call_default_factory=True) for name, field in DialJob.model_fields.items()}


@dataclass(slots=True)
class Tally:
    """How many rows went which way."""

    added: int = 0
    already_there: int = 0
    rejected: int = 0

    @property
    def total(self) -> int:
        """All rows so far."""
        return self.added + self.already_there + self.rejected

    def count(self, outcome: Ticket | Refusal) -> None:
        """Add one row's outcome."""
        if isinstance(outcome, Refusal):
            self.rejected += 1
        elif outcome.is_new:
            self.added += 1
        else:
            self.already_there += 1

    def __str__(self) -> str:
        return f"{self.added:,} added, {self.already_there:,} already there, {self.rejected:,} rejected"


class RowKeys:
    """
    Makes keys for the rows of one file that bring none.

    A key is made from what the row says, after normalisation (`Yes` is `yes`, a default said aloud is a default,
    metadata has no order), and from how many rows before it said the same. So the file's name and the order of its
    rows and columns do not matter, two equal rows are two jobs, and a CSV and an NDJSON file of the same rows are
    the same. The PBX a job gets by `--pbx` or by the settings is no part of what its row says.

    Holds 8 bytes of hash for each row, which as a Python dict is about 100 bytes: 10 MB for 100,000 rows.

    Args:
        salt: The same rows under another salt get other keys.
    """

    def __init__(self, salt: str = "") -> None:
        self._salt = salt.encode()
        self._occurrences: dict[int, int] = {}

    def key_for(self, job: DialJob) -> str:
        """Return the key of the next row that says *job*."""
        digest = blake2b(self._salt + _content(job), digest_size=16).digest()
        mark = int.from_bytes(digest[:8], "big")
        occurrence = self._occurrences.get(mark, 0) + 1
        self._occurrences[mark] = occurrence
        return f"row:{digest.hex()}:{occurrence}"


def import_rows(
    dialer: Dialer,
    rows: Iterable[NumberedRow],
    *,
    keys: RowKeys | None,
    pbx: str | None = None,
    allowed: Collection[str] = (),
    origin: str = "",
) -> Iterator[tuple[int, Ticket | Refusal]]:
    """
    Hand in the rows of one file; yields each row's line and what became of it, in order.

    Args:
        dialer: The door.
        rows: As a source yields them.
        keys: Makes keys for rows that bring none; None leaves them without, so that each is a new job.
        pbx: For rows that name none; None takes what the settings say.
        allowed: PBXs that rows may name; none means any.
        origin: Who brings them, see `Order`.

    Raises:
        ServiceUnreachable: If Redis does not answer; the same import again adds what is missing.
        InputRefused: If the file is wrong as a whole; nothing was handed in.
    """
    # Lines of rows under way, and whether we made the key: at most two batches are.
    lines: deque[tuple[int, bool]] = deque()
    reader = _Reader(dialer, keys=keys, pbx=pbx, allowed=allowed, origin=origin)

    def orders() -> Iterator[Order | InputRefused]:
        for line, row in rows:
            job = reader.said(row)
            lines.append((line, isinstance(job, DialJob) and job.key is None))
            yield reader.completed(job) if isinstance(job, DialJob) else job

    for outcome in dialer.enqueue_many(orders()):
        line, is_our_key = lines.popleft()
        yield line, _explained(outcome) if is_our_key else outcome


class _Reader:
    """Makes orders of the rows of one file; see `import_rows`."""

    def __init__(
        self, dialer: Dialer, *, keys: RowKeys | None, pbx: str | None, allowed: Collection[str], origin: str
    ) -> None:
        self._dialer = dialer
        self._keys = keys
        self._pbx = pbx
        self._allowed = allowed
        self._origin = origin

    def said(self, row: dict[str, Any] | str) -> DialJob | InputRefused:
        if isinstance(row, str):
            return InputRefused([row])
        try:
            return self._dialer.said(row, pbx=self._pbx)
        except InputRefused as refused:
            return refused

    def completed(self, job: DialJob) -> Order | InputRefused:
        try:
            chosen = self._dialer.pbx_for(job.pbx or self._pbx)
        except InputRefused as refused:
            return refused
        if self._allowed and chosen not in self._allowed:
            return InputRefused([f"pbx: {chosen!r} is not yours to use; choose of {', '.join(self._allowed)}"])
        key = job.key or (self._keys.key_for(job) if self._keys else None)
        return Order(job.model_copy(update={"pbx": chosen, "key": key}), self._origin, trace=tracing.own())


def open_source(path: str, file_format: FileFormat | None) -> tuple[io.TextIOWrapper, FileFormat, int | None]:
    """
    Open a file, or standard input for `-`.

    Args:
        path: As given on the command line.
        file_format: None guesses it from the file's suffix; from the first byte for standard input.

    Returns:
        The text, its format, and its size in bytes (None if unknown).

    Raises:
        InputRefused: If the file cannot be opened.
    """
    if path == "-":
        stdin = _with_peek(sys.stdin.buffer)
        return _as_text(stdin), file_format or _format_of(stdin), None
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - the caller closes the text around it
        size = Path(path).stat().st_size
    except OSError as error:
        raise InputRefused([f"{path}: {error.strerror or 'cannot be opened'}"]) from None
    return _as_text(file), file_format or _SUFFIXES.get(Path(path).suffix.lower(), "csv"), size


def _content(job: DialJob) -> bytes:
    said = {name: value for name, value in vars(job).items() if value != _DEFAULTS[name]}
    return _PLAIN_JSON.encode(said).encode()


def _text_of_moment(moment: datetime) -> str:
    # One instant has one text, whatever its offset.
    return moment.astimezone(UTC).isoformat()


_PLAIN_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_text_of_moment)


def _explained(outcome: Ticket | Refusal) -> Ticket | Refusal:
    if isinstance(outcome, Refusal) and outcome.is_conflict:
        problem = "this row is already a job on another PBX; give it a pbx or a key of its own to dial it again"
        return Refusal(outcome.index, (problem,), is_conflict=True)
    return outcome


def _as_text(file: BinaryIO) -> io.TextIOWrapper:
    # What cannot be decoded stays visible as surrogates, for the source to refuse that row alone.
    return io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")


def _with_peek(file: BinaryIO) -> io.BufferedReader:
    if isinstance(file, io.BufferedReader):
        return file
    return io.BufferedReader(file)  # type: ignore[arg-type]  # click's test runner gives a BytesIO


def _format_of(file: io.BufferedReader) -> FileFormat:
    start = file.peek(64).removeprefix(_BOM).lstrip()
    return "ndjson" if start.startswith(b"{") else "csv"
