"""
Where rows come from: one file per format, each with `read(stream)`.

`read` yields `(line, fields)` for each row, or `(line, sentence)` for one that cannot be read. `line` is that of
the row's beginning, counted from 1. A file that is wrong as a whole raises InputRefused before its first row.
"""

from collections.abc import Callable, Iterator
from typing import Any, TextIO

NumberedRow = tuple[int, dict[str, Any] | str]
Source = Callable[[TextIO], Iterator[NumberedRow]]

__all__ = ["NumberedRow", "Source"]
