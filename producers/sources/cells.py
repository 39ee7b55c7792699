"""The cells of one row of a CSV file."""

import csv
from io import StringIO


def cells_of(text: str, separator: str) -> list[str] | None:
    """Return the cells of a row as they stand there; None if it is not one row."""
    lines = StringIO(text, newline="")
    try:
        rows = list(csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error:
        return None
    return with_blanks(rows[0], text, separator) if len(rows) == 1 else None


def with_blanks(cells: list[str], text: str, separator: str) -> list[str]:
    """
    Return cells with the blanks in front that the csv module skipped.

    Args:
        cells: Read with `skipinitialspace`, which a quote behind a blank needs.
        text: The row that they come from.
        separator: Of cells.
    """
    exact = next(csv.reader(StringIO(text, newline=""), delimiter=separator), [])
    if len(exact) != len(cells):  # a separator stands in quotes behind a blank
        return cells
    return [whole if whole.lstrip(" ") == cell else cell for whole, cell in zip(exact, cells, strict=True)]


def written(cells: list[str], separator: str) -> str:
    """Return cells as a row without its end."""
    text = StringIO()
    # The writer quotes the line ends that its own consists of.
    csv.writer(text, delimiter=separator, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n")
