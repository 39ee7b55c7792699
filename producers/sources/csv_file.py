"""
CSV: the first line names the columns, each further row is one job.

Columns bear the names of a dial job's fields; `metadata` holds a JSON object, and `metadata.NAME` one entry of it.
Cells are stripped, and an empty one means that the field is absent. Separator: comma, semicolon or tab.
"""

import csv
from collections import deque
from collections.abc import Iterator
from typing import Any, TextIO

from producers.sources import NumberedRow
from producers.sources.json_object import NotJson, json_object
from producers.sources.lines import LONGEST_LINE, TOO_LONG, flaw, numbered_lines
from worker.errors import InputRefused
from worker.fields import shown
from worker.jobs import DialJob

_SEPARATORS = ",;\t"
_ENTRY = "metadata."
_REQUIRED = ("extid", "outto")

_Line = tuple[int, str | None]


def read(stream: TextIO) -> Iterator[NumberedRow]:
    """
    Yield the rows of a CSV file, see `producers.sources`; rows without any content are passed over.

    Args:
        stream: Opened as `numbered_lines` wants it. One row at a time is in memory.

    Raises:
        InputRefused: If the first line does not name the columns, all of them known, extid and outto among them.
    """
    lines = numbered_lines(stream)
    separator, names = _header(lines)
    table = _Table(names)
    for number, cells in _Records(lines, separator, width=len(names)):
        row = cells if isinstance(cells, str) else table.fields(cells)
        if row:
            yield number, row


def _header(lines: Iterator[_Line]) -> tuple[str, list[str]]:
    number, line = next(((number, line) for number, line in lines if line is None or line.strip()), (0, ""))
    if line == "":
        raise InputRefused(["the file is empty; its first line must name the columns, such as extid,outto"])
    problem = TOO_LONG if line is None else flaw(line)
    if line is None or problem:
        raise InputRefused([f"line {number}: the header {problem}"])
    candidates = [(separator, _names(line, separator)) for separator in _SEPARATORS]
    separator, names = max(candidates, key=lambda candidate: sum(map(_is_known, candidate[1])))
    problems = _header_problems(names)
    if problems:
        raise InputRefused([f"line {number}: {problem}" for problem in problems])
    return separator, names


def _names(line: str, separator: str) -> list[str]:
    try:
        names = next(csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error:
        return []
    stripped = [name.strip() for name in names]
    while stripped and not stripped[-1]:  # spreadsheets like to add empty columns
        stripped.pop()
    return [_known_spelling(name) for name in stripped]


def _known_spelling(name: str) -> str:
    return name if name.startswith(_ENTRY) or name.lower() not in DialJob.model_fields else name.lower()


def _is_known(name: str) -> bool:
    return name in DialJob.model_fields or (name.startswith(_ENTRY) and len(name) > len(_ENTRY))


def _header_problems(names: list[str]) -> list[str]:
    known = ", ".join(DialJob.model_fields)
    # A file without a header has a telephone number here: it is shown masked.
    unknown = ", ".join(shown("outto", name) for name in names if not _is_known(name))
    problems = [f"no column of a dial job is called {unknown}; use {known} or metadata.NAME"] if unknown else []
    problems += [f"the column {name} comes twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        problems.append(f"the header lacks {' and '.join(missing)}; the first line must name the columns")
    return problems


class _Table:
    """Turns the cells of a row into fields."""

    def __init__(self, names: list[str]) -> None:
        self._fields = [(at, name) for at, name in enumerate(names) if not name.startswith(_ENTRY)]
        self._number = names.index("outto") if "outto" in names else None
        self._entries = [
            (at, name.removeprefix(_ENTRY)) for at, name in enumerate(names) if name.startswith(_ENTRY)
        ]

    def fields(self, cells: list[str]) -> dict[str, Any] | str:
        """Return the fields of one row, empty if no cell has content, or what is wrong with it."""
        problem = flaw("".join(cells))
        if problem:
            return problem
        fields: dict[str, Any] = {name: text for at, name in self._fields if (text := cells[at].strip())}
        if self._number is not None and cells[self._number][:1] == " " and "outto" in fields:
            # In quotes, where a blank in front may be a + that a form lost.
            fields["outto"] = cells[self._number].rstrip()
        entries = {name: text for at, name in self._entries if (text := cells[at].strip())}
        if "metadata" in fields:
            try:
                fields["metadata"] = json_object(fields["metadata"])
            except NotJson as wrong:
                return f"metadata: {wrong}"
            if twice := entries.keys() & fields["metadata"].keys():
                return f"metadata: {min(twice)!r} is given twice"
        if entries:
            fields["metadata"] = {**fields.get("metadata", {}), **entries}
        return fields


class _Records:
    """
    The rows behind the header: the number of a row's first line, and its cells or what is wrong.

    A quote that is never closed would swallow the rows behind it. So a row that is out of shape and runs over
    several lines is refused by its first line alone, and the others are read again, as rows of their own.
    """

    def __init__(self, lines: Iterator[_Line], separator: str, *, width: int) -> None:
        self._lines = lines
        self._again: deque[_Line] = deque()
        self._row: list[_Line] = []
        self._row_length = 0
        self._width = width
        self._reader = csv.reader(_Feed(self), delimiter=separator, skipinitialspace=True, strict=True)

    def __iter__(self) -> Iterator[tuple[int, list[str] | str]]:
        while True:
            self._row.clear()
            self._row_length = 0
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield self._row[0][0], self._out_of_shape(str(error))
                continue
            if len(cells) == self._width:
                yield self._row[0][0], cells
            elif cells:
                yield self._row[0][0], self._fitted(cells)

    def next_line(self) -> str:
        """Return one more line of the row under way."""
        line = self._again.popleft() if self._again else next(self._lines)
        self._row.append(line)
        if line[1] is None:
            raise csv.Error(TOO_LONG)
        self._row_length += len(line[1])
        if self._row_length > LONGEST_LINE and len(self._row) > 1:
            raise csv.Error("opens a quote that is not closed")
        return line[1]

    def _fitted(self, cells: list[str]) -> list[str] | str:
        extra = cells[self._width :]
        if len(cells) > self._width and not any(cell.strip() for cell in extra):
            return cells[: self._width]
        if not any(cell.strip() for cell in cells):
            return [""] * self._width
        # A row cut short may have lost digits of its number; it must not be dialed.
        return self._out_of_shape(f"the header has {self._width} cells and this row {len(cells)}")

    def _out_of_shape(self, problem: str) -> str:
        self._again.extendleft(reversed(self._row[1:]))
        if "end of data" in problem:
            return "opens a quote that is not closed"
        if "expected after" in problem:
            return "has text behind a closing quote"
        return problem


class _Feed:
    """Hands the lines of `_Records` to the csv module; unlike a generator it outlives an error."""

    def __init__(self, records: _Records) -> None:
        self._next_line = records.next_line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return self._next_line()
