"""Lines of a text that may hold anything."""

from collections.abc import Iterator
from typing import TextIO

from worker.errors import InputRefused

BOM = "\ufeff"
# A row at every limit of the contract takes less (32 metadata entries of 64 + 500 characters).
LONGEST_LINE = 65_536
# So much of a longer line is read, for the file of rejected rows.
LONGEST_KEPT = 4 * LONGEST_LINE
TOO_LONG = f"is longer than {LONGEST_LINE:,} characters"
NOT_UTF8 = 'is not UTF-8 text (perhaps Windows-1252); save the file as UTF-8 (in Excel: "CSV UTF-8")'
HAS_NUL = "holds a NUL byte"


def numbered_lines(stream: TextIO) -> Iterator[tuple[int, str]]:
    """
    Yield each line with its number, from 1.

    A line that `is_too_long` comes without its end, and cut to LONGEST_KEPT characters; the rest is skipped.

    Args:
        stream: Opened with `newline=""`, so that line ends within quotes stay as they are, and with
            `errors="surrogateescape"`, so that one bad byte spoils one row only.

    Raises:
        InputRefused: If the stream cannot be read any more.
    """
    number = 0
    try:
        while line := stream.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE and is_too_long(line):
                rest = stream.readline(LONGEST_KEPT - len(line))
                yield number, (line + rest).rstrip("\r\n")
                if not rest.endswith(("\n", "\r")):
                    _skip_line(stream)
            else:
                yield number, line
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputRefused([f"the file cannot be read behind line {number}: {reason}"]) from error


def is_too_long(line: str) -> bool:
    """Return whether a line, as `numbered_lines` yields it, is longer than LONGEST_LINE."""
    return len(line) > LONGEST_LINE and line[-1] not in "\r\n"


def first_with_content(lines: Iterator[tuple[int, str]]) -> tuple[int, str] | None:
    """Return the next line that holds more than spaces, with its number."""
    return next(((number, line) for number, line in lines if line.removeprefix(BOM).strip()), None)


def following(lines: Iterator[tuple[int, str]], length: int) -> bytes:
    """Return the next bytes behind the lines already read, about *length* of them."""
    texts, taken = list[str](), 0
    while taken < length and (line := next(lines, None)):
        texts.append(line[1])
        taken += len(line[1])
    return as_bytes("".join(texts))


def flaw(text: str) -> str | None:
    """Return what keeps *text* from being plain text, as the end of a sentence, or None."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # the surrogates that stand for undecodable bytes
            return NOT_UTF8
    return HAS_NUL if "\0" in text else None


def as_bytes(text: str) -> bytes:
    """Return the bytes that *text* was decoded from, also where they are not UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def _skip_line(stream: TextIO) -> None:
    while (rest := stream.readline(LONGEST_LINE)) and not rest.endswith(("\n", "\r")):
        pass
