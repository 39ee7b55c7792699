"""One JSON object out of text, stricter than `json.loads`."""

import json
from typing import Any


class NotAnObject(ValueError):
    """The text is no JSON object; the message is the end of a sentence and quotes nothing of it."""


def json_object(text: str) -> dict[str, Any]:
    """
    Return the object that *text* holds.

    Raises:
        NotAnObject: Also for a name that comes twice, of which `json` would keep the last, and for NaN.
    """
    try:
        value = _DECODER.decode(text)
    except NotAnObject:
        raise
    except json.JSONDecodeError as error:
        raise NotAnObject(f"is not JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise NotAnObject("is nested too deeply") from None
    except ValueError:  # a number of more than 4,300 digits
        raise NotAnObject("holds a number that is too long") from None
    if not isinstance(value, dict):
        raise NotAnObject("is not a JSON object; give one {...} per line")
    if "\\u" in text and not _is_unicode(value):
        raise NotAnObject("holds half a surrogate pair, which is no character")
    return value


def _is_unicode(value: dict[str, Any]) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise NotAnObject("has a name twice")
    return fields


def _no_number(word: str) -> Any:
    raise NotAnObject(f"holds {word}, which is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_constant=_no_number)
