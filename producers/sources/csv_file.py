"""
CSV: the first line names the columns, each further row is one job.

Columns bear the names of a dial job's fields; `metadata` holds a JSON object, and `metadata.NAME` one entry of it.
Cells are stripped, and an empty one means that the field is absent. The separator is a comma, semicolon, tab or
bar; a line `sep=;` in front may name it.
"""

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import Any, TextIO

from producers.sources import NumberedRow
from producers.sources.cells import with_blanks, written
from producers.sources.csv_rejects import CsvRejects
from producers.sources.header import Header, Line, read_header
from producers.sources.json_object import NotJson, json_object
from producers.sources.lines import LONGEST_LINE, TOO_LONG, flaw, is_too_long, numbered_lines
from producers.sources.names import ENTRY, OURS, ROW
from producers.sources.rejected import NO_CONTENT, unmarked

_OPEN_QUOTE = "opens a quote that is not closed"
# The number of a row's first line, its cells or what is wrong with them, and the row itself.
_Record = tuple[int, list[str] | str, str]


class CsvFile:
    """
    A CSV file; see `producers.sources.Source`. Rows without any content are skipped.

    Args:
        stream: Opened as `numbered_lines` wants it.

    Raises:
        InputRefused: If the first line does not name the columns, all of them known, extid and outto among them.
    """

    def __init__(self, stream: TextIO) -> None:
        self._lines = numbered_lines(stream)
        self._header = read_header(self._lines)
        self.rejects = CsvRejects(self._header)

    def __iter__(self) -> Iterator[NumberedRow]:
        """Yield the rows; one at a time is in memory."""
        table = _Table(self._header.own)
        for number, cells, text in self._rows():
            row = cells if isinstance(cells, str) else table.fields(cells)
            if row:
                yield number, row, text

    def _rows(self) -> Iterable[_Record]:
        header = self._header
        records = _Records(
            self._lines,
            header.separator,
            width=len(header.names),
            most=header.width,
            keeps_blanks=not header.has_blanks,
        )
        if len(header.own) < len(header.names):
            return _Repairs(header).rows(records)
        return records


class _Table:
    """Turns the cells of a row into fields."""

    def __init__(self, names: list[str]) -> None:
        self._fields = [(at, name) for at, name in enumerate(names) if not name.startswith(ENTRY)]
        self._number = names.index("outto")
        self._entries = [(at, name.removeprefix(ENTRY)) for at, name in enumerate(names) if name.startswith(ENTRY)]

    def fields(self, cells: list[str]) -> dict[str, Any] | str:
        """Return the fields of one row, empty if no cell has content, or what is wrong with it."""
        problem = flaw("".join(cells))
        if problem:
            return problem
        fields: dict[str, Any] = {name: text for at, name in self._fields if (text := cells[at].strip())}
        if cells[self._number][:1] == " " and "outto" in fields:
            # The blank may be a + that a form lost.
            fields["outto"] = cells[self._number].rstrip()
        entries = {name: text for at, name in self._entries if (text := cells[at].strip())}
        if "metadata" in fields or entries:
            fields["metadata"] = _metadata(fields.get("metadata", "{}"), entries)
        return fields


def _metadata(text: str, entries: dict[str, str]) -> dict[str, Any] | ValueError:
    try:
        given = json_object(text)
    except NotJson as wrong:
        return wrong
    if twice := entries.keys() & given.keys():
        return ValueError(f"{min(twice)!r} is given twice")
    return {**given, **entries}


class _Repairs:
    """
    Rows of a file of rejected rows, without the columns that outdial added.

    A row that stands in a cell of its own is read like a row of the file, unless its columns have been filled in.
    """

    def __init__(self, header: Header) -> None:
        places = {name: at for at, name in enumerate(header.names)}
        self._own = [at for name, at in places.items() if name not in OURS]
        self._row = places.get(ROW)
        self._separator = header.separator

    def rows(self, records: Iterable[_Record]) -> Iterator[_Record]:
        """Yield the cells of each row, and the row, without what outdial added."""
        for number, cells, text in records:
            if isinstance(cells, str):
                yield number, cells, text
                continue
            own = [cells[at] for at in self._own]
            kept = "" if self._row is None else unmarked(cells[self._row])
            if any(cell.strip() for cell in own):
                yield number, own, written(own, self._separator)
            elif kept.strip():
                yield number, self._cells(kept), kept
            elif any(cell.strip() for cell in cells):
                yield number, NO_CONTENT, written(own, self._separator)

    def _cells(self, row: str) -> list[str] | str:
        lines = numbered_lines(StringIO(row, newline=""))
        found = [cells for _, cells, _ in _Records(lines, self._separator, width=len(self._own))]
        if len(found) > 1:
            return f"{ROW}: holds more than one row"
        return found[0] if found else NO_CONTENT


class _Records:
    """
    The rows behind the header; blank lines are skipped.

    A quote that is not closed would swallow the rows behind it. So such a row is refused by its first line alone,
    and the others are read again, as rows of their own.

    The csv module skips blanks behind a separator, which quotes need. In a cell of `outto` a blank may be all that
    a form left of a +. So cells keep theirs, unless the header has such blanks too, as a matter of style.

    Args:
        lines: Behind the header.
        separator: Of cells.
        width: Columns with a name.
        most: All columns of the header; those behind *width* have no name.
        keeps_blanks: Whether cells keep the blanks in front.
    """

    def __init__(
        self, lines: Iterator[Line], separator: str, *, width: int, most: int = 0, keeps_blanks: bool = True
    ) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()
        self._row: list[Line] = []
        self._row_length = 0
        self._width = width
        self._most = most
        self._separator = separator
        self._blank = f"{separator} " if keeps_blanks else None
        self._reader = csv.reader(_Feed(self), delimiter=separator, skipinitialspace=True, strict=True)

    def __iter__(self) -> Iterator[_Record]:
        while True:
            self._row.clear()
            self._row_length = 0
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                row: list[str] | str = self._out_of_shape(str(error))
            else:
                row = cells if len(cells) == self._width else self._fitted(cells)
            if row:
                number, text = self._row[0]
                if len(self._row) > 1:
                    text = "".join(line for _, line in self._row)
                if not isinstance(row, str) and self._may_have_blanks(text):
                    row = with_blanks(row, text, self._separator)
                yield number, row, text

    def next_line(self) -> str:
        """Return one more line of the row under way."""
        line = self._again.popleft() if self._again else next(self._lines)
        self._row.append(line)
        text = line[1]
        if len(text) > LONGEST_LINE and is_too_long(text):
            raise csv.Error(TOO_LONG)
        self._row_length += len(text)
        if self._row_length > LONGEST_LINE and len(self._row) > 1:
            raise csv.Error(_OPEN_QUOTE)
        return text

    def _may_have_blanks(self, text: str) -> bool:
        return self._blank is not None and (self._blank in text or text[0] == " ")

    def _fitted(self, cells: list[str]) -> list[str] | str:
        full = [at for at, cell in enumerate(cells) if cell.strip()]
        if not full:
            return []
        if len(cells) > self._width > full[-1]:
            return cells[: self._width]
        if self._width <= full[-1] < self._most:
            return f"column {full[-1] + 1} has no name in the header and text in this row; name it, or empty it"
        # A row cut short may have lost digits of its number; it must not be dialed. Its quotes are closed, so the
        # lines in them are text, although they may look like rows.
        return f"the header has {self._width} cells and this row {len(cells)}"

    def _out_of_shape(self, problem: str) -> str:
        others = self._row[1:]
        self._again.extendleft(reversed(others))
        del self._row[1:]
        if "expected after" in problem:
            # It may be a quote of a later row that closed the one of this row.
            return _OPEN_QUOTE if others else "has text behind a closing quote"
        return _OPEN_QUOTE if "end of data" in problem else problem


class _Feed:
    """Hands the lines of `_Records` to the csv module; unlike a generator it outlives an error."""

    def __init__(self, records: _Records) -> None:
        self._next_line = records.next_line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return self._next_line()
