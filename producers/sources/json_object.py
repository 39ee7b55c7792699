"""JSON out of text, stricter than `json.loads`."""

import json
import math
from typing import Any


class NotJson(ValueError):
    """The text is no JSON as we take it; the message is the end of a sentence and quotes nothing of it."""


def json_object(text: str) -> dict[str, Any]:
    """
    Return the object that *text* holds.

    Raises:
        NotJson: As `json_value` does, and if it is another value.
    """
    value = json_value(text)
    if not isinstance(value, dict):
        raise NotJson("is not a JSON object; give one {...}")
    return value


def json_value(text: str) -> Any:
    """
    Return the value that *text* holds.

    Raises:
        NotJson: Also for a name that comes twice, of which `json` would keep the last, for NaN, and for a number
            too large to be one.
    """
    try:
        value = _DECODER.decode(text)
    except NotJson:
        raise
    except json.JSONDecodeError as error:
        raise NotJson(f"is not JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise NotJson("is nested too deeply") from None
    except ValueError:  # a number of more than 4,300 digits
        raise NotJson("holds a number that is too long") from None
    if "\\u" in text and not _is_unicode(value):
        raise NotJson("holds half a surrogate pair, which is no character")
    return value


def _is_unicode(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise NotJson("has a name twice")
    return fields


def _no_number(word: str) -> Any:
    raise NotJson(f"holds {word}, which is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise NotJson("holds a number that is too large")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_constant=_no_number, parse_float=_finite)
