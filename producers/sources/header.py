"""The first line of a CSV file: what separates its cells, and what its columns are called."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from producers.masking import masked
from producers.sources.lines import BOM, TOO_LONG, as_bytes, first_with_content, flaw, following, is_too_long
from producers.sources.names import OURS, REQUIRED, is_known, known_spelling, likely_fields
from producers.sources.signatures import ENOUGH, foreign
from worker.errors import InputRefused
from worker.jobs import DialJob

Line = tuple[int, str]

SEPARATORS = ",;\t|"
_TAB = "\\t"
# As Excel reads and writes it. A spreadsheet program that saves the file again may quote the line, or pad it.
_SEPARATOR_LINE = re.compile(r'"?sep=(?P<separator>\\t|[^"\s]|[\t ])"?[,;\t| ]*', re.IGNORECASE)
# A cell that no column is called by, in a file without header.
_NUMBER = re.compile(r"\s*\+?[0-9(][0-9 ()./\-]*\s*")
_MOST_NAMED = 3
# Names compared with those that other programs use, to find the separator.
_MOST_LIKELY = 20
_LONGEST_NAME = 40
_HOLDS = {"extid": "the extension", "outto": "the number to call"}
# Titles and comments that stand above a header.
_MOST_ABOVE = 5


@dataclass(frozen=True, slots=True)
class Header:
    """
    The columns of a file.

    Args:
        separator: One character.
        names: As `known_spelling` has them, without those at the end that have no name.
        width: Columns of the line, those without a name included.
        preamble: What stands in front of the line and belongs to its form: a BOM, a line `sep=`.
        text: The line as it stands in the file, with its end.
    """

    separator: str
    names: list[str]
    width: int
    preamble: str
    text: str

    @property
    def has_blanks(self) -> bool:
        """Whether blanks stand behind its separators."""
        return f"{self.separator} " in self.text

    @property
    def own(self) -> list[str]:
        """The names without those that outdial adds to rejected rows."""
        return [name for name in self.names if name not in OURS]


def read_header(lines: Iterator[Line]) -> Header:
    """
    Read the lines up to the header.

    Args:
        lines: As `numbered_lines` yields them; those behind the header stay, if it is right.

    Raises:
        InputRefused: If the file is no CSV in UTF-8, or the header does not name the columns of dial jobs.
    """
    number, line, bom = _first(lines)
    separators, preamble = SEPARATORS, bom
    if found := _SEPARATOR_LINE.fullmatch(line.rstrip("\r\n")):
        separators, preamble = _separator(number, found["separator"]), bom + line
        number, line = first_with_content(lines) or (number, "")
        if not line:
            raise InputRefused([f"line {number}: the file ends behind it; the next line must name the columns"])
    if problem := TOO_LONG if is_too_long(line) else flaw(line):
        raise InputRefused([f"line {number}: the header {problem}"])
    header = _split(line, separators, preamble)
    if found and not _is_header(header) and _is_header(_split(line, SEPARATORS, "")):
        named = found["separator"]
        raise InputRefused([f"line {number}: is not separated by the {named} that the line above names"])
    if problems := _problems(header):
        below = _header_below(lines, separators)
        raise InputRefused([f"line {number}: {below or '; '.join(problems)}"])
    return header


def _first(lines: Iterator[Line]) -> tuple[int, str, str]:
    number, line = first_with_content(lines) or (0, "")
    if not line:
        raise InputRefused(["the file is empty; its first line must name the columns, such as extid,outto"])
    if what := foreign(as_bytes(line), lambda: following(lines, ENOUGH)):
        raise InputRefused([f"the file is {what}"])
    text = line.removeprefix(BOM)
    if text.lstrip().startswith("{"):
        raise InputRefused(["the file begins with {, as NDJSON does, but is read as CSV; change its format"])
    return number, text, BOM if text != line else ""


def _separator(number: int, named: str) -> str:
    separator = "\t" if named == _TAB else named
    if separator not in SEPARATORS:
        raise InputRefused([f"line {number}: {named!r} is no separator; use one of , ; | and tab"])
    return separator


def _split(line: str, separators: str, preamble: str) -> Header:
    headers = [_header(line, separator, preamble) for separator in separators]
    return max(headers, key=_fit)


def _fit(header: Header) -> tuple[int, int, int, int]:
    """Return how likely the separator of a header is the right one, for comparing."""
    known = sum(map(is_known, header.names))
    # Where no name is known, "Name, first name;Phone" has as many columns by the comma as by the semicolon.
    likely = 0 if known else len(likely_fields(header.names[:_MOST_LIKELY]))
    tight = len(re.findall(re.escape(header.separator) + r"(?! )", header.text))
    return known, likely, tight, header.width


def _header(line: str, separator: str, preamble: str) -> Header:
    try:
        cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error:
        cells = []
    names = [known_spelling(cell.strip()) for cell in cells]
    while names and not names[-1]:  # spreadsheets like to add empty columns
        names.pop()
    return Header(separator, names, len(cells), preamble, line)


def _header_below(lines: Iterator[Line], separators: str) -> str | None:
    for number, line in islice(lines, _MOST_ABOVE):
        if _is_header(_split(line, separators, "")) and not flaw(line):
            return f"this is no header, but line {number} looks like one; remove what stands above that line"
    return None


def _is_header(header: Header) -> bool:
    return set(REQUIRED) <= set(header.names)


# --- what is wrong with it


def _problems(header: Header) -> list[str]:
    names = header.names
    if header.text.count('"') % 2:
        return ["the header opens a quote that it does not close; write the name of each column on one line"]
    if any(map(_NUMBER.fullmatch, names)):
        return ["this looks like a row; the first line must name the columns, such as extid,outto"]
    missing = [name for name in REQUIRED if name not in names]
    unknown = [name for name in dict.fromkeys(names) if name and not is_known(name)]
    likely = {name: field for name, field in likely_fields(unknown).items() if field not in names}
    return [
        *([f"the header lacks the {_columns(missing)}"] if missing else []),
        *_suggested(likely),
        *(_to_be_renamed([name for name in missing if name not in likely.values()]) if unknown else []),
        *_unnamed(names),
        *_repeated(names),
        *_unknown([name for name in unknown if name not in likely], others=bool(missing)),
        *([f"the fields are {', '.join(DialJob.model_fields)}"] if unknown and not missing else []),
    ]


def _suggested(likely: Mapping[str, str]) -> Iterator[str]:
    names: dict[str, list[str]] = {}
    for name, field in likely.items():
        names.setdefault(field, []).append(_shown(name))
    if names:
        renamed = [f"{_listed(candidates, 'or')} to {field}" for field, candidates in names.items()]
        yield f"rename {_listed(renamed, 'and')} if that is what {'they hold' if len(renamed) > 1 else 'it holds'}"


def _to_be_renamed(missing: Sequence[str]) -> Iterator[str]:
    if missing:
        which = "column that holds" if len(missing) == 1 else "columns that hold"
        renamed = [f"{_HOLDS[name]} to {name}" for name in missing]
        yield f"rename the {which} {_listed(renamed, 'and')}"


def _unnamed(names: Sequence[str]) -> Iterator[str]:
    places = [str(at) for at, name in enumerate(names, start=1) if not name]
    if places:
        have, them = ("have", "them") if len(places) > 1 else ("has", "it")
        yield f"{_columns(places)} {have} no name; name {them}, or remove {them}"


def _repeated(names: Sequence[str]) -> Iterator[str]:
    places: dict[str, list[str]] = {}
    for at, name in enumerate(names, start=1):
        places.setdefault(name, []).append(str(at))
    repeated = [name for name, those in places.items() if name and len(those) > 1]
    for name in repeated[:_MOST_NAMED]:
        yield f"{_columns(places[name])} have the same name, {_shown(name)}; keep one of them"
    if len(repeated) > _MOST_NAMED:
        yield f"{len(repeated) - _MOST_NAMED:,} more names come twice"


def _unknown(names: Sequence[str], *, others: bool) -> Iterator[str]:
    if names and others:
        # One of them may be the one to be renamed.
        yield (
            f"of {_listed(list(map(_shown, names)), 'and')}, remove what is not needed, or use the name "
            "metadata.NAME for what is to come back with the result"
        )
    elif names:
        are, them = ("is not a field", "it") if len(names) == 1 else ("are not fields", "them")
        yield (
            f"{_listed(list(map(_shown, names)), 'and')} {are} of a dial job; remove {them}, or use the name "
            "metadata.NAME for what is to come back with the result"
        )


def _columns(which: Sequence[str]) -> str:
    return ("columns " if len(which) > 1 else "column ") + _listed(which, "and")


def _listed(texts: Sequence[str], word: str) -> str:
    *others, last = texts[:_MOST_NAMED]
    if len(texts) > _MOST_NAMED:
        others, last = [*others, last], f"{len(texts) - _MOST_NAMED:,} more"
    return f"{', '.join(others)} {word} {last}" if others else last


def _shown(name: str) -> str:
    # A file without header may have a telephone number here.
    return f"'{masked(name if len(name) <= _LONGEST_NAME else f'{name[:_LONGEST_NAME]}...')}'"
