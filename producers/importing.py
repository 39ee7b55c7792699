"""The work of `outdial import`: a file's rows become jobs, and the same file again adds none."""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO

from producers.enqueue import Dialer, Refusal, Ticket
from producers.row_keys import RowKeys
from producers.sources import NumberedRow, Source
from producers.sources.csv_file import CsvFile
from producers.sources.ndjson_file import NdjsonFile
from worker import tracing
from worker.errors import InputRefused
from worker.hopper import Order
from worker.jobs import DialJob

FileFormat = Literal["csv", "ndjson"]
# The line of a row, what became of it, and the row itself.
Outcome = tuple[int, Ticket | Refusal, str]

SOURCES: dict[FileFormat, Callable[[TextIO], Source]] = {"csv": CsvFile, "ndjson": NdjsonFile}


@dataclass(slots=True)
class Tally:
    """How many rows went which way; `known` has the states of the jobs that were already there."""

    added: int = 0
    already_there: int = 0
    rejected: int = 0
    known: Counter[str] = field(default_factory=Counter)

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
            self.known[str(outcome.state)] += 1

    def plain(self) -> dict[str, Any]:
        """Return the counts, JSON-ready."""
        counts = {"added": self.added, "already_there": self.already_there, "rejected": self.rejected}
        return counts | {"known": dict(self.known)}

    def __str__(self) -> str:
        return f"{self.added:,} added, {self.already_there:,} already there, {self.rejected:,} rejected"


def import_rows(
    dialer: Dialer,
    rows: Iterable[NumberedRow],
    *,
    keys: RowKeys | None,
    pbx: str | None = None,
    allowed: Collection[str] = (),
    origin: str = "",
) -> Iterator[Outcome]:
    """
    Hand in the rows of one file; yields what became of each row, in order.

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
    # Rows under way: their lines, whether we made the key, and themselves. At most two batches are.
    under_way: deque[tuple[int, bool, str]] = deque()
    reader = _Reader(dialer, keys=keys, pbx=pbx, allowed=allowed, origin=origin)

    def orders() -> Iterator[Order | InputRefused]:
        for line, row, text in rows:
            job = reader.said(row)
            under_way.append((line, isinstance(job, DialJob) and job.key is None, text))
            yield reader.completed(job) if isinstance(job, DialJob) else job

    for outcome in dialer.enqueue_many(orders()):
        line, is_our_key, text = under_way.popleft()
        yield line, _explained(outcome) if is_our_key else outcome, text


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


def _explained(outcome: Ticket | Refusal) -> Ticket | Refusal:
    if isinstance(outcome, Refusal) and outcome.is_conflict:
        problem = "this row is already a job on another PBX; give it a pbx or a key of its own to dial it again"
        return Refusal(outcome.index, (problem,), is_conflict=True)
    return outcome
