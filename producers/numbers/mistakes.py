"""
What is written into the field of a number and is none: recognised, so that the sentence leads to the cause.

Each constant, and what `mistake_in` returns, is the end of a sentence that begins with the field and its value.
"""

import re
from collections.abc import Callable

TWO_NUMBERS = "holds more than one number; give one number"
EXTENSION = "has an extension, which a PBX cannot dial; give the number without it"
HOME_PREFIX = "has a {} behind its country code that is dialed at home only; leave it out"
TAIL = (
    "ends in digits that may be an extension or the end of a range; "
    "leave them out, or write all digits of the number together"
)
TOO_LONG = "is too long for one telephone number; give one number"
ZEROS = "has no digit but 0; give a telephone number"
ZERO_BEHIND_PLUS = "has a 0 behind its +, and no country code begins with 0; give + and country code"
LOST_PLUS = "begins with a blank, which may be a + that a form lost; write the +, which URLs and forms send as %2B"

_AGAIN = "format the column as text and export it again"
_DECIMAL = f"is a decimal, which a spreadsheet makes of a number; {_AGAIN}"
_EXPONENT = f"lost digits in a spreadsheet, which shortens long numbers like 4.4E+11; {_AGAIN}"
_DATE = f"looks like a date, which a spreadsheet makes of some numbers; {_AGAIN}"
_THOUSANDS = f"has separators of thousands, which a spreadsheet adds; {_AGAIN}"
_ERROR = f"is an error or a formula of a spreadsheet; {_AGAIN}"
_LETTERS = "has letters in it; give digits"
_EMPTY = "is empty; give the number to call"
_NO_DIGITS = "has no digits; give the number to call"
_CODE_WITHIN = "has * or # in it, which a telephone number does not have; give its digits alone"
_NO_NUMBER = "is not a telephone number; give the digits of one number"

_IS_EXPONENT = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]*)? ?[eE] ?[+-]? ?[0-9]{1,3}")
# Dots also part the groups of a number. What parts decimals is alone, and has few digits or only zeros behind it,
# or digits before it that are a number by themselves.
_IS_DECIMAL = re.compile(
    r"[^.,]*[0-9)] ?\.(?:[0-9]{1,2}|0+)|\+?[0-9]+,(?:[0-9]{1,2}|0+)"
    r"|\+?(?:[0-9]{4,}[.,][0-9]{3}|[0-9]{7,}[.,][0-9]+)"
    r"|.*[.,]0|.*[0-9]{3}[.,]00"
)
# Errors have names in the language of the program: #WERT!, #¡VALOR!
_IS_SPREADSHEETS = re.compile(r"=.*|#N/A|#(?=.*[^\W\d])[^*#]+[!?]|#+", re.IGNORECASE)
_IS_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]{1,2})?")
_DAY, _MONTH, _YEAR = "(?:0?[1-9]|[12][0-9]|3[01])", "(?:0?[1-9]|1[0-2])", "(?:19|20)[0-9]{2}"
_IS_DATE = re.compile(
    rf"{_YEAR}([-./]){_MONTH}\1{_DAY}|{_DAY}([-./]){_MONTH}\2{_YEAR}|{_MONTH}([-./]){_DAY}\3{_YEAR}"
)
_HAS_EXTENSION = re.compile(
    r"""(?ix) [0-9)] [ ]? (?:
        [,;]+ [ ]? [0-9*\#]{1,4} | [,;]* [pw] [,;pw ]* [0-9*\#,;pw ]{1,8}        # pauses, then more keys
        | [*\#]+ [ ]? [0-9]{1,8}
        | [,;.:(]* [ ]?
          (?: ext(?:ensio)?n? | x | poste | int | app | dw | durchwahl | anexo | ramal | toestel | доб )
          [ .:=\#]* [0-9]+ [ ]? \)?
    ) [ ]? \#? $"""
)
_HAS_TWO = re.compile(
    r"(?i)[0-9)] *(?:[,;|&~/\t\r\n\v\f\x85\u2028\u2029+]|(?:or|and|oder|und|ou|et|o|y|e)\b)[^0-9a-z]*[0-9]",
    re.DOTALL,
)


def _is_decimal(text: str) -> bool:
    """Return whether text, in ASCII, is a number with decimals rather than one whose groups are parted by dots."""
    return ("." in text or "," in text) and _IS_DECIMAL.fullmatch(text) is not None


def damage_in(text: str) -> str:
    """
    Return what a spreadsheet did to text that looks like one number; empty if nothing.

    Args:
        text: In ASCII, without blanks around it.
    """
    if _is_decimal(text):
        return _DECIMAL
    return _DATE if _IS_DATE.fullmatch(text) else ""


def mistake_in(text: str) -> str:
    """
    Return what is wrong with text that is not written as one number.

    Args:
        text: With digits, blanks and punctuation in ASCII, without blanks around it.
    """
    for sentence, applies in _MISTAKES:
        if applies(text):
            return sentence
    return _NO_NUMBER


def _has_letters(text: str) -> bool:
    return any(char.isalpha() for char in text)


_MISTAKES: tuple[tuple[str, Callable[[str], object]], ...] = (
    (_EMPTY, lambda text: not text),
    (_NO_DIGITS, lambda text: not any(char.isalnum() or char in "#=" for char in text)),
    (_ERROR, _IS_SPREADSHEETS.fullmatch),
    (_EXPONENT, _IS_EXPONENT.fullmatch),
    (_THOUSANDS, _IS_THOUSANDS.fullmatch),
    (_DECIMAL, _is_decimal),
    (_DATE, _IS_DATE.fullmatch),
    (EXTENSION, _HAS_EXTENSION.search),
    (TWO_NUMBERS, _HAS_TWO.search),
    (_LETTERS, _has_letters),
    (_CODE_WITHIN, lambda text: "*" in text or "#" in text),
)
