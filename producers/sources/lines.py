"""Lines of a text that may hold anything."""

from collections.abc import Iterator
from typing import TextIO

# A row at every limit of the contract takes less (32 metadata entries of 64 + 500 characters).
LONGEST_LINE = 65_536
TOO_LONG = f"is longer than {LONGEST_LINE:,} characters"
NOT_UTF8 = "is not UTF-8 text; save the file as UTF-8"
HAS_NUL = "holds a NUL byte"


def numbered_lines(stream: TextIO) -> Iterator[tuple[int, str | None]]:
    """
    Yield each line with its number, from 1; None for one longer than LONGEST_LINE, which is passed over.

    Args:
        stream: Opened with `newline=""`, so that line ends within quotes stay as they are, and with
            `errors="surrogateescape"`, so that one bad byte spoils one row only. A BOM is taken off.
    """
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if number == 1:
            line = line.removeprefix("\ufeff")
        if len(line) > LONGEST_LINE and not line.endswith(("\n", "\r")):
            _pass_over(stream)
            yield number, None
        else:
            yield number, line


def flaw(text: str) -> str | None:
    """Return what keeps *text* from being plain text, as the end of a sentence, or None."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # the surrogates that stand for undecodable bytes
            return NOT_UTF8
    return HAS_NUL if "\0" in text else None


def _pass_over(stream: TextIO) -> None:
    while (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(("\n", "\r")):
        pass
