"""How CRMs write telephone numbers, users and ids, made into plain text."""

import json
import re
from collections.abc import Iterator
from typing import Any, Self

# No number is so long, nor anything that names a person or a record.
LONGEST_TEXT = 500

_NO_LETTER = re.compile("[^a-z]")
# More numbers than a person has; a longer list is a list of people.
MOST_NUMBERS = 20

_NUMBER_NAMES = ("value", "number", "phone", "phone_number", "phoneNumber", "raw", "Value", "#text")
# Without case and punctuation, also as attributes of XML (@ext).
_EXTENSION_NAMES = frozenset(
    (
        *("ext", "extn", "extension", "extensionnumber", "phoneext", "phoneextn", "phoneextension"),
        *("durchwahl", "anexo", "ramal", "poste", "interno"),
    )
)
_OWN_COUNTRY_NAMES = ("country", "country_code", "countryCode", "countryShortName", "country_iso", "countryIso")
_COUNTRY_NAMES = ("code", "iso", "iso2", "country_code", "countryCode", "alpha2", "name", "Name", "label")
_ID_NAMES = ("id", "Id", "ID", "value", "Value", "name", "#text")
# A field that changed, as the value before and the value now.
_PAIRS = (
    ("old", "new"),
    ("oldvalue", "newvalue"),
    ("previous", "current"),
    ("previousvalue", "currentvalue"),
    ("before", "after"),
    ("from", "to"),
)


class Number(str):
    """A telephone number with the country that stands beside it, as it is written there; None if none does."""

    __slots__ = ("country",)
    country: str | None

    def __new__(cls, text: str, country: str | None = None) -> Self:
        """Return the text of a number."""
        made = super().__new__(cls, text)
        made.country = country
        return made


def numbers_of(value: Any) -> list[str]:
    """
    Return the telephone numbers a value holds, as they are written there, the best first.

    Blanks and nulls are left out. Anything else stays, though it may be no number: the first usable one is dialed,
    and a job is refused for what it holds instead.

    Args:
        value: A text; a number; an object with one of them as `value`, `number` or `phone`, and perhaps with an
            extension and a country; a pair of the old and the new value, where the new one counts; or a list of
            these, where the one marked `primary` comes first.
    """
    return list(dict.fromkeys(_numbers(value)))[:MOST_NUMBERS]


def with_extension(number: str, extension: str | None) -> str:
    """Return a number with the extension that came beside it; it is refused, because a PBX cannot dial one."""
    return f"{number} ext. {extension}" if number and extension else number


def _numbers(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if (changed := _changed_to(value)) is not None:
            yield from _numbers(changed[0])
            return
        extension = _first(text_of(part) for name, part in value.items() if _folded(name) in _EXTENSION_NAMES)
        country = _first(country_of(value.get(name)) for name in _OWN_COUNTRY_NAMES)
        for name in _NUMBER_NAMES:
            for number in _numbers(value.get(name)):
                yield Number(with_extension(number, extension), country or getattr(number, "country", None))
    elif isinstance(value, list):
        for item in sorted(value, key=lambda item: not _is_primary(item)):
            yield from _numbers(item)
    elif isinstance(value, str):
        # A blank in front says that a form lost the +, so it stays.
        yield from [value] if value.strip() else []
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _is_primary(item: Any) -> bool:
    """Return whether an item is marked as the primary one: `primary`, `is_primary`, `isPrimary`, `@primary`."""
    marks = item.items() if isinstance(item, dict) else ()
    return any(_folded(name) in ("primary", "isprimary") and _is_yes(mark) for name, mark in marks)


def _changed_to(value: dict[str, Any]) -> tuple[Any] | None:
    """Return the value now of a pair of values; None if it is no pair."""
    folded = {_folded(name): inner for name, inner in value.items()}
    return next(((folded[new],) for old, new in _PAIRS if old in folded and new in folded), None)


def _folded(name: str) -> str:
    return _NO_LETTER.sub("", name.lower())


def text_of(value: Any) -> str | None:
    """
    Return a value as text; None if it says nothing: null, false, an empty text, a list of several things.

    Args:
        value: A text, a number or true; a reference, `[7, "Name"]` or `{"id": 7, ...}`, of which the id is taken;
            a pair of the value before and the value now; or a list of one of them.
    """
    if isinstance(value, dict):
        if (changed := _changed_to(value)) is not None:
            return text_of(changed[0])
        return _first(text_of(value.get(name)) for name in _ID_NAMES)
    if isinstance(value, list):
        return text_of(value[0]) if len(value) == 1 or _is_reference(value) else None
    return "true" if value is True else _scalar(value)


def field_of(value: Any) -> str | None:
    """
    Return the value of a job's field as text; None only if nothing is given: null, false, a blank, an empty list.

    What `text_of` cannot read stays as JSON, and a long text is cut, so that nothing is left out in silence.
    """
    if (text := text_of(value)) is not None or value in (None, False, [], {}):
        return text
    return _cut(value.strip()) or None if isinstance(value, str) else _as_json(value)


def country_of(value: Any) -> str | None:
    """
    Return a country as it is written; None if there is none.

    Whether it is understood is decided where a number needs it; several of them are kept as JSON, and are not.
    """
    if isinstance(value, dict) and _changed_to(value) is None:
        return _first(text_of(value.get(name)) for name in (*_COUNTRY_NAMES, *_ID_NAMES))
    if isinstance(value, list) and len(value) > 1:
        return value[1] if _is_reference(value) else _as_json(value)
    return text_of(value)


def _as_json(value: Any) -> str:
    return _cut(json.dumps(value, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "..."


def _scalar(value: Any) -> str | None:
    if isinstance(value, str):
        text = value.strip()
        return text if text and len(text) <= LONGEST_TEXT else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON writers of one kind of number only
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number and abs(value) < 1e40 else None


def _is_reference(value: list[Any]) -> bool:
    """Whether a list is an id with the name of what it is for, as Odoo writes it: [20, "Belgium"]."""
    return len(value) == 2 and isinstance(value[0], int) and isinstance(value[1], str)


def _is_yes(value: Any) -> bool:
    return value is True or str(value).lower() in ("true", "1", "yes")


def _first(texts: Any) -> str | None:
    return next((text for text in texts if text), None)
