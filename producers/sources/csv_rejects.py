"""Rejected rows of a CSV file, as a CSV file."""

from producers.sources import RejectedRow
from producers.sources.cells import cells_of, written
from producers.sources.header import Header
from producers.sources.names import OURS
from producers.sources.rejected import is_cut, marked, reason_of


class CsvRejects:
    """
    Writes rows as they stand in their file, with its header and separator; see `producers.sources.Rejects`.

    What outdial adds stands behind the cells of the row. So a line that was cut off has too few cells, and an
    import rejects it. A row of another number of cells stands in one cell of its own.
    """

    def __init__(self, header: Header) -> None:
        text = header.text.rstrip("\r\n")
        self._separator = header.separator
        self._width = len(header.own)
        self._end = header.text[len(text) :] or "\n"
        own = text if header.width == self._width else written(header.own, self._separator)
        self.head = header.preamble + self._separator.join((own, *OURS)) + self._end

    def written(self, row: RejectedRow) -> str:
        """Return the line of one row, or its lines, ended."""
        own, kept = self._own(row), ""
        if own is None:
            own, kept = self._separator * (self._width - 1), _quoted(marked(row.text.rstrip("\r\n")))
        cells = (own, str(row.line), kept, _quoted(reason_of(row)))
        return self._separator.join(cells) + self._end

    def _own(self, row: RejectedRow) -> str | None:
        """Return the text of the row's own cells, or None if it has not as many as the header."""
        text = row.text.rstrip("\r\n")
        cells = None if is_cut(row) else cells_of(text, self._separator)
        if cells is None or len(cells) < self._width or any(cell.strip() for cell in cells[self._width :]):
            return None
        return text if len(cells) == self._width else written(cells[: self._width], self._separator)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
