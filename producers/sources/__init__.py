"""
Where rows come from: one file per format, each with a class that reads it.

A file that is wrong as a whole raises InputRefused when its class is made, or with its first row.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

# The number of the row's first line, from 1; its fields, or what is wrong with it; and the row as it stands in its
# file, without the columns that outdial adds to rejected rows. A field that cannot be read holds a ValueError.
NumberedRow = tuple[int, dict[str, Any] | str, str]


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """
    A row that did not become a job.

    Args:
        line: Of its beginning in the imported file, from 1.
        reason: What is wrong with it, one or more sentences.
        text: The row as it stands in the file.
    """

    line: int
    reason: str
    text: str


class Rejects(Protocol):
    """How rejected rows of one file are written, so that they can be corrected and imported again."""

    @property
    def head(self) -> str:
        """What the file of rejected rows begins with."""

    def written(self, row: RejectedRow) -> str:
        """Return the line of one row, or its lines, ended."""


class Source(Protocol):
    """A file of rows."""

    @property
    def rejects(self) -> Rejects:
        """How its rejected rows are written."""

    def __iter__(self) -> Iterator[NumberedRow]:
        """Yield the rows; one at a time is in memory."""


__all__ = ["NumberedRow", "RejectedRow", "Rejects", "Source"]
