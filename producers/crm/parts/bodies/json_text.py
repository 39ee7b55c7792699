"""JSON bodies."""

from collections.abc import Iterable
from typing import Any

from producers.crm.base import BadPayload
from producers.crm.parts.bodies.charset import MAX_DEPTH, decoded
from producers.sources.json_object import NotJson, json_value

# What 500 records of 100 come to; hundreds of thousands fit into a body, and keep Python busy collecting garbage.
MAX_TABLES = 50_000
# Twice the fields of such records; commas inside of texts are counted too.
MAX_VALUES = 100_000


def json_body(raw: bytes, *, charset: str | None = None) -> Any:
    """
    Return the value a JSON body holds: an object, an array or anything else.

    Args:
        raw: The body.
        charset: What the content type declares; JSON is UTF-8 (RFC 8259, section 8.1), so nothing else is taken.

    Raises:
        BadPayload: Also for names that come twice, NaN, numbers that are too large, more than 64 levels, more than
            50,000 objects and arrays, and more than 100,000 values.
    """
    if charset not in (None, "utf-8", "ascii"):
        raise BadPayload("body: JSON must be UTF-8, whatever its content type says; send UTF-8")
    text = decoded(raw, None)
    if not text.strip():
        raise BadPayload("body: is empty; send JSON")
    _check_size(text)
    try:
        value = json_value(text)
    except NotJson as wrong:
        raise BadPayload(f"body: {wrong}") from None
    _check_depth(value)
    return value


def _check_size(text: str) -> None:
    """Count before anything is built: what was built stays with the process, for each thread that reads bodies."""
    if text.count("{") + text.count("[") > MAX_TABLES:
        raise BadPayload(f"body: has too many objects and arrays; send at most {MAX_TABLES:,}")
    if text.count(",") > MAX_VALUES:
        raise BadPayload(f"body: has too many values; send at most {MAX_VALUES:,}")


def _check_depth(value: Any) -> None:
    """Look level by level, for a walk down each branch would end where Python's own stack does."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise BadPayload(f"body: is nested too deeply; send at most {MAX_DEPTH} levels")


def _children(value: Any) -> Iterable[Any]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (child for child in children if isinstance(child, dict | list))
