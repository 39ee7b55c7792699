"""
How a telephone number may be written: the one grammar that every door uses.

    number    = [ "+" ] group *( [ separator ] group )
    group     = 1*digit / "(" 1*digit ")"
    separator = blanks, or one dash or slash, perhaps between blanks, or one dot
    code      = ( "*" / "#" ) *( digit / "*" / "#" )                a service code of the PBX

Digits of all scripts, the dashes and blanks of all alphabets, full-width forms and invisible marks are read as
their plain counterparts; a spreadsheet's leading apostrophe and the scheme of a `tel:` URI (RFC 3966) are left
out.

A number is dialed exactly as it was meant, or refused. So this grammar refuses what people and programs also write
into the field of a number: two numbers, an extension, a decimal, a number whose digits a spreadsheet cut
(`mistakes`). Where only the numbering plan of a country can decide, `doubts` asks it.
"""

import re
from dataclasses import dataclass

from producers.numbers import mistakes
from producers.numbers.plain import LONGEST_WRITTEN, plain_text
from producers.numbers.refusals import refused

# An outside line, the longest international prefix, and what may stand behind the + (E.164, section 6).
_MOST_DIGITS = 1 + 4 + 15
_MOST_INTERNATIONAL = 15

_PLAIN = re.compile(r"\+?[1-9][0-9]{0,14}|0(?=[0-9]*[1-9])[0-9]{1,14}")
_CODE = re.compile(r"[*#]+[0-9][0-9*#]{0,30}")
_DIGITS = re.compile("[0-9]+")
_SEPARATORS = re.compile("[^0-9]+")
_WITHOUT_BRACKETS = re.compile(r"[0-9]+(?:(?: ?[-/] ?| |\.)[0-9]+)*")
_TOKEN = re.compile(r"\( ?[0-9]+(?:[ .-]+[0-9]+)* ?\)|[0-9]+|[ ./-]+|.", re.DOTALL)
_SEPARATOR = re.compile(r" ?[-/] ?| |\.")
_CODE_IN_BRACKETS = re.compile(r"\( ?\+[^+]")

# An area code with its trunk prefix or country code, or one of North America, as they stand before a slash.
_AREA = re.compile(r"0[0-9]{1,5}|00[0-9]{2,8}|[2-9][0-9]{2}")
_LONGEST_AREA_ABROAD = 8
_SHORTEST_SUBSCRIBER = 4


@dataclass(slots=True)
class Written:
    """
    A telephone number as it was written.

    `digits` has 1 to 32 characters: 0-9 with an optional + in front, or a service code of 0-9 * #. `groups` are
    the digits that punctuation parts; empty where it parts none. `marks` holds what stands before each of them: a
    blank, dash, dot, slash or nothing. `brackets` has the places of the groups in brackets.
    """

    digits: str
    groups: list[str]
    marks: list[str]
    brackets: list[int]

    @property
    def is_code(self) -> bool:
        """Whether it is a service code of the PBX, such as *72."""
        return self.digits[0] in "*#"

    @property
    def is_international(self) -> bool:
        """Whether it was written with its +."""
        return self.digits[0] == "+"


def written(outto: str) -> Written:
    """
    Read a telephone number.

    Args:
        outto: As a CRM or a person wrote it.

    Raises:
        NumberRefused: If it does not follow the grammar, or could only be read by guessing.
    """
    return Written(outto, [], [], []) if _PLAIN.fullmatch(outto) else _read(outto)


def _read(outto: str) -> Written:
    if len(outto) > LONGEST_WRITTEN:
        raise refused(outto, mistakes.TOO_LONG)
    text = plain_text(outto)
    if _CODE.fullmatch(text):
        return Written(text, [], [], [])
    number = _number(text.removesuffix("."))
    if number is None:
        raise refused(outto, mistakes.mistake_in(text))
    if problem := mistakes.damage_in(text) or _problem_of(number) or _lost_plus(outto, number.digits):
        raise refused(outto, problem)
    return number


def _number(text: str) -> Written | None:
    """Return what follows the grammar; None for anything else."""
    plus, rest = _split_plus(text)
    if _WITHOUT_BRACKETS.fullmatch(rest):
        groups = _DIGITS.findall(rest)
        marks = [mark.strip(" ") or " " for mark in _SEPARATORS.findall(rest)]
        return Written(plus + "".join(groups), groups, ["", *marks], [])
    return _bracketed(plus, rest) if "(" in rest else None


def _split_plus(text: str) -> tuple[str, str]:
    if text[:1] == "+":
        return "+", text[1:].lstrip(" ")
    # A country code in brackets: (+44) 20 ...
    return ("+", "(" + text[1:].lstrip(" +")) if _CODE_IN_BRACKETS.match(text) else ("", text)


def _bracketed(plus: str, rest: str) -> Written | None:
    groups: list[str] = []
    marks: list[str] = []
    brackets: list[int] = []
    mark: str | None = None
    for token in _TOKEN.findall(rest):
        if found := _DIGITS.findall(token):
            if token[0] == "(":
                brackets.append(len(groups))
            groups.append("".join(found))
            marks.append(mark or "")
            mark = None
        elif groups and mark is None and _SEPARATOR.fullmatch(token):
            mark = token.strip(" ") or " "
        else:
            return None
    return Written(plus + "".join(groups), groups, marks, brackets) if mark is None else None


def _problem_of(number: Written) -> str:
    """Return what is wrong with digits and their punctuation, as the end of a sentence; empty if nothing is."""
    digits = number.digits.removeprefix("+")
    if not digits.strip("0"):
        return mistakes.ZEROS
    if number.is_international and digits[0] == "0":
        return mistakes.ZERO_BEHIND_PLUS
    if "/" in number.marks and not _is_behind_an_area(number):
        return mistakes.TWO_NUMBERS
    last = len(number.groups) - 1
    if last > 0 and last in number.brackets:
        return mistakes.EXTENSION
    most = _MOST_INTERNATIONAL if number.is_international else _MOST_DIGITS
    return mistakes.TOO_LONG if len(digits) > most else ""


def _is_behind_an_area(number: Written) -> bool:
    """Whether the only slash parts an area code from a subscriber's number, and not one number from another."""
    at = number.marks.index("/")
    area, subscriber = "".join(number.groups[:at]), "".join(number.groups[at:])
    if number.marks.count("/") > 1 or subscriber[0] == "0" or len(subscriber) < _SHORTEST_SUBSCRIBER:
        return False
    if number.is_international:
        return len(area) <= _LONGEST_AREA_ABROAD and len(subscriber) > _SHORTEST_SUBSCRIBER
    # North America writes (202)/555-0143.
    is_american = len(area) == 3 and area[0] != "0"
    return _AREA.fullmatch(area) is not None and (not is_american or len(subscriber) == 7)


def _lost_plus(outto: str, digits: str) -> str:
    # An unencoded + of a form becomes a blank; a number written at home begins with 0, or is short.
    is_lost = outto[0] == " " and digits[0] not in "+0" and len(digits) > 6
    return mistakes.LOST_PLUS if is_lost else ""
