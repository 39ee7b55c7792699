"""How CRMs write telephone numbers, users and ids, made into plain text."""

import re
from typing import Any

# No number is so long, nor anything that names a person or a record.
LONGEST_TEXT = 500

_COUNTRY = re.compile("[A-Za-z]{2}")
_NUMBER_NAMES = ("value", "number", "phone", "phone_number", "phoneNumber", "raw", "Value", "#text")
_ID_NAMES = ("id", "Id", "ID", "value", "Value", "name", "#text")


def number_of(value: Any) -> str | None:
    """
    Return the telephone number a value holds, as it is written there; None if it holds none.

    Args:
        value: A text; an integer; an object with one of them as `value`, `number` or `phone`; or a list of these,
            of which the one marked `primary` is taken, else the first that holds a number.
    """
    if isinstance(value, dict):
        return _first(number_of(value.get(name)) for name in _NUMBER_NAMES)
    if isinstance(value, list):
        marked = sorted(value, key=lambda item: not (isinstance(item, dict) and _is_yes(item.get("primary"))))
        return _first(number_of(item) for item in marked)
    return _scalar(value)


def text_of(value: Any) -> str | None:
    """
    Return a value as text; None if it says nothing: null, false, an empty text, a list of several things.

    Args:
        value: A text, a number or true; a reference, `[7, "Name"]` or `{"id": 7, ...}`, of which the id is taken;
            or a list of one of them.
    """
    if isinstance(value, dict):
        return _first(text_of(value.get(name)) for name in _ID_NAMES)
    if isinstance(value, list):
        is_reference = len(value) == 2 and isinstance(value[0], int) and isinstance(value[1], str)
        return text_of(value[0]) if len(value) == 1 or is_reference else None
    return "true" if value is True else _scalar(value)


def country_of(value: Any) -> str | None:
    """Return a country code of two letters in capitals; None for all else, for a country's name is of no use."""
    text = text_of(value)
    return text.upper() if text and _COUNTRY.fullmatch(text) else None


def _scalar(value: Any) -> str | None:
    if isinstance(value, str):
        text = value.strip()
        return text if text and len(text) <= LONGEST_TEXT else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON writers of one kind of number only
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number and abs(value) < 1e40 else None


def _is_yes(value: Any) -> bool:
    return value is True or str(value).lower() in ("true", "1", "yes")


def _first(texts: Any) -> str | None:
    return next((text for text in texts if text), None)
