"""Newline-delimited JSON: one object per line, its names those of a dial job."""

from collections.abc import Iterator
from typing import TextIO

from producers.sources import NumberedRow
from producers.sources.json_object import NotJson, json_object
from producers.sources.lines import TOO_LONG, flaw, numbered_lines


def read(stream: TextIO) -> Iterator[NumberedRow]:
    """
    Yield the rows of an NDJSON file, see `producers.sources`; blank lines are passed over.

    Args:
        stream: Opened as `numbered_lines` wants it. One line at a time is in memory.
    """
    for number, line in numbered_lines(stream):
        if line is None:
            yield number, TOO_LONG
        elif problem := flaw(line):
            yield number, problem
        elif line.strip():
            try:
                yield number, json_object(line)
            except NotJson as wrong:
                yield number, str(wrong)
