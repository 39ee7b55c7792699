"""
What the files of rejected rows have in common; see `docs/lists.md`.

They are lists like the imported one with three more columns: the line of the row in that list, the reason, and the
row itself where its cells cannot be told apart. An import ignores the first two.
"""

from producers.sources import RejectedRow
from producers.sources.lines import LONGEST_KEPT

NO_CONTENT = "has no content; correct the row, or remove it"
# In front of a row that stands in one cell. It keeps spreadsheet programs from reading 1004,41000 as a number.
_MARK = "> "
# A cell that begins with one of these is a formula to a spreadsheet program.
_BEGIN_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def marked(text: str) -> str:
    """Return a row as it stands in a cell of its own."""
    return _MARK + text


def unmarked(cell: str) -> str:
    """Return the row that stands in a cell of its own."""
    return cell.removeprefix(_MARK)


def is_cut(row: RejectedRow) -> bool:
    """Return whether the row was too long for all of it to be kept."""
    return len(row.text) >= LONGEST_KEPT


def reason_of(row: RejectedRow) -> str:
    """Return why a row was rejected, on one line, as text that can be written as UTF-8."""
    kept = f"; only its first {LONGEST_KEPT:,} characters are here" if is_cut(row) else ""
    reason = " ".join((row.reason + kept).splitlines()).encode("utf-8", "backslashreplace").decode()
    # Nothing of ours begins so, but a reason may begin with a name out of the file.
    return f"'{reason}" if reason.startswith(_BEGIN_FORMULAS) else reason
