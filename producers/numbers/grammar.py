"""What is left of a telephone number when the punctuation is taken out, and what is more than punctuation."""

import re
import unicodedata

from worker.errors import InputRefused
from worker.jobs import shown

INVALID = "invalid_number"
EMERGENCY = "emergency_number"

# What `DialJob.outto` takes.
_DIALABLE = re.compile(r"[0-9*#+]{1,32}")
_LONGEST_WRITTEN = 100
# 17 digits of a number, its country code and a prefix; more are two numbers in one field.
_MOST_DIGITS = 25

_PUNCTUATION = str.maketrans(
    dict.fromkeys(" \t\r\n-.()[]/~\u00a0\u00ad\u2010\u2011\u2012\u2013\u2014\u202f\u2212\u30fc")
)
_ALSO_PUNCTUATION = frozenset("\uff08\uff09\uff3b\uff3d\uff0e\uff0f\uff5e\u223c\u2053")
# Spaces, dashes, and the invisible marks that come with a number copied from an address book.
_NOISE_CATEGORIES = frozenset({"Zs", "Zl", "Zp", "Pd", "Cf"})
_SAME = {"\uff0b": "+", "\ufe62": "+", "\uff0a": "*", "\uff03": "#"}

_EXTENSION = re.compile(
    r"""(?ix) [0-9)\s] (?:
        [,;pw]+ \s* [0-9*\#,;pw\s]+                                           # pauses, then more keys
        | [,;.]? \s* (?: ext(?:ensio)?n? | x | poste | int | доб ) [\s.:=]* \#? [0-9]+
    ) \s* $"""
)
_TRUNK_ZERO = re.compile(r"\+[0-9\s.-]*[(\uff08]\s*0\s*[)\uff09]")


class NumberRefused(InputRefused):
    """
    The number cannot or must not be dialed.

    Args:
        problems: One sentence, which holds no more of the number than its last two digits.
        code: invalid_number, emergency_number, premium_number or country_not_allowed.
    """

    def __init__(self, problems: list[str], code: str = INVALID) -> None:
        super().__init__(problems)
        self.code = code


def refused(outto: str, what: str, code: str = INVALID) -> NumberRefused:
    """Return the error for a number, of which the sentence shows the last two digits: `outto: 'xxx43' is ...`."""
    return NumberRefused([f"outto: {masked_number(outto)} {what}"], code)


def emergency_refused(outto: str) -> NumberRefused:
    """Return the error for a number that reaches an emergency service."""
    return refused(outto, "reaches an emergency service; only a person may dial it", EMERGENCY)


def masked_number(text: str) -> str:
    """Return what may hold a telephone number in quotes, digits of any script masked but for the last two."""
    plain = " ".join(text[:_LONGEST_WRITTEN].split())
    return shown("outto", "".join(str(unicodedata.decimal(char, char)) for char in plain))


def bare(outto: str) -> str:
    """
    Return a number in 0-9 * # +, in the order it came, 1 to 32 characters.

    Takes out spaces, dashes, brackets, dots, slashes and invisible marks, a spreadsheet's leading ' and the scheme
    of a `tel:` URI (RFC 3966); digits of all scripts become 0-9.

    Raises:
        NumberRefused: If there is anything else: letters, an extension, nothing at all.
    """
    if _DIALABLE.fullmatch(outto):
        return outto
    if len(outto) > _LONGEST_WRITTEN:
        raise refused(outto, "is too long for a number; give one number alone")
    text = _without_scheme(outto.strip().removeprefix("'"))
    left = text.translate(_PUNCTUATION)
    if not _DIALABLE.fullmatch(left):
        left = "".join(map(_folded, left))
    if not _DIALABLE.fullmatch(left):
        raise _not_punctuation(outto, text, left)
    return left


def refuse_guesses(outto: str, left: str) -> None:
    """
    Refuse what nobody would dial by leaving its punctuation out alone: a (0) for home use, two numbers in one.

    Raises:
        NumberRefused: If *outto*, of which *left* is what `bare` returned, is such a one.
    """
    if left == outto:
        return
    if _TRUNK_ZERO.search(outto):
        raise refused(outto, "has a (0) that is dialed at home only; write it without")
    if len(left) > _MOST_DIGITS:
        raise refused(outto, "is too long for a number; give one number alone")


def _without_scheme(text: str) -> str:
    """Take a `tel:` URI apart; parameters other than the context stay, and are refused for their letters."""
    if text[:4].lower() != "tel:":
        return text
    number, _, parameters = text[4:].partition(";")
    name, _, context = parameters.partition("=")
    if name.lower() != "phone-context":
        return f"{number};{parameters}" if parameters else number
    return context + number if context.startswith("+") else number


def _folded(char: str) -> str:
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    is_noise = char in _ALSO_PUNCTUATION or unicodedata.category(char) in _NOISE_CATEGORIES
    return "" if is_noise else _SAME.get(char, char)


def _not_punctuation(outto: str, text: str, left: str) -> NumberRefused:
    if not left:
        return NumberRefused(["outto: is empty; give the number to call"])
    if _EXTENSION.search(text):
        return refused(outto, "has an extension, which a PBX cannot dial; give the number alone")
    if any(char.isalpha() for char in left):
        return refused(outto, "has letters in it; give digits")
    return refused(outto, "is not right; give the digits of one telephone number")
