"""Text in the field of a telephone number, with the characters of all scripts as those of ASCII."""

import re
import unicodedata

LONGEST_WRITTEN = 100

# Signs that are not what their Unicode category makes of them: a minus, and the long vowel mark that Japanese
# writes as a dash.
_SAME = {"\u2212": "-", "\u30fc": "-"}
_PUNCTUATION = frozenset("+-./()[]*#,;:=~|&%'\"")
# Where a line may end, so they may part two numbers.
_PLACES_TO_BREAK = frozenset("\u200b\u00ad")
_BLANKS = re.compile(" {2,}")


def plain_text(outto: str) -> str:
    """
    Return what was written as a number, with digits, blanks, dashes and punctuation as those of ASCII.

    Invisible marks, blanks around it, a spreadsheet's leading apostrophe and the scheme of a `tel:` URI are left
    out; several blanks are one.
    """
    return _in_ascii(_without_scheme(outto.strip().removeprefix("'"))).strip(" ")


def keys_of(outto: str) -> str:
    """Return the keys in text that need not be a number: 0-9 * # +, of its first 100 characters."""
    return re.sub("[^0-9*#+]", "", _in_ascii(outto[:LONGEST_WRITTEN]))


def _without_scheme(text: str) -> str:
    """Take a `tel:` URI apart: the context of a local number goes before it, other parameters stay in the way."""
    if text[:1] not in ("t", "T") or text[:4].lower() != "tel:":
        return text
    number, _, parameters = text[4:].partition(";")
    name, _, context = parameters.partition("=")
    if name.lower() != "phone-context" or number.lstrip().startswith("+") or ";" in context:
        return f"{number};{parameters}" if parameters else number
    # A domain says whose number it is, and nothing of how it is dialed.
    return f"{context} {number}" if context.startswith("+") else number


def _in_ascii(text: str) -> str:
    if not text.isascii():
        text = "".join(map(_plain_sign, text))
    text = text.replace("[", "(").replace("]", ")")
    return _BLANKS.sub(" ", text) if "  " in text else text


def _plain_sign(char: str) -> str:
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    match unicodedata.category(char):
        case "Zs":
            return " "
        case "Pd":
            return "-"
        case "Cf":  # invisible marks, which come with a number copied from an address book
            return " " if char in _PLACES_TO_BREAK else ""
    # Not for all signs: that would make a digit of a footnote's mark.
    narrow = unicodedata.normalize("NFKC", char)
    return _SAME.get(char, narrow if narrow in _PUNCTUATION else char)
