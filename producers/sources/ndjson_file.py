"""Newline-delimited JSON: one object per line, its names those of a dial job."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, TextIO

from producers.sources import NumberedRow
from producers.sources.json_object import NotJson, json_object
from producers.sources.lines import (
    BOM,
    LONGEST_LINE,
    TOO_LONG,
    as_bytes,
    first_with_content,
    flaw,
    following,
    is_too_long,
    numbered_lines,
)
from producers.sources.names import OURS, ROW
from producers.sources.ndjson_rejects import ANY_OF_OURS, NdjsonRejects
from producers.sources.rejected import NO_CONTENT
from producers.sources.signatures import ENOUGH, foreign
from worker.errors import InputRefused

_ARRAY = "is a JSON array; give one object {...} per line (`jq -c '.[]'` makes such a file of an array)"


class NdjsonFile:
    """
    An NDJSON file; see `producers.sources.Source`. Blank lines are skipped.

    Args:
        stream: Opened as `numbered_lines` wants it.

    Raises:
        InputRefused: If the file is no text in UTF-8, but a workbook, say.
    """

    def __init__(self, stream: TextIO) -> None:
        lines = numbered_lines(stream)
        first = first_with_content(lines)
        if first and (what := foreign(as_bytes(first[1]), lambda: following(lines, ENOUGH))):
            raise InputRefused([f"the file is {what}"])
        self._lines = chain([first] if first else [], lines)
        self.rejects = NdjsonRejects()

    def __iter__(self) -> Iterator[NumberedRow]:
        """Yield the rows; one at a time is in memory."""
        for number, line in self._lines:
            if line.strip().strip(BOM):
                yield number, *_row(line)


def _row(line: str) -> tuple[dict[str, Any] | str, str]:
    if len(line) > LONGEST_LINE and is_too_long(line):
        return TOO_LONG, line
    problem, text = flaw(line), line.lstrip(BOM)
    try:
        fields = json_object(text)
    except NotJson as wrong:
        explained = _ARRAY if text.lstrip().startswith("[") else str(wrong)
        return problem or explained, line
    row, text = _repaired(fields, line) if ANY_OF_OURS in line else (fields, line)
    return problem or row, text


def _repaired(fields: dict[str, Any], line: str) -> tuple[dict[str, Any] | str, str]:
    """Read a line of a file of rejected rows; one that stands in a text is read like a line of the file."""
    ours = {name: str(fields.pop(name)) for name in OURS if name in fields}
    if fields or not ours:
        return fields, line
    kept = ours.get(ROW, "")
    return _row(kept) if kept.strip() else (NO_CONTENT, line)
