"""JSON bodies."""

from collections.abc import Iterable
from typing import Any

from producers.crm.base import BadPayload
from producers.crm.parts.bodies.charset import MAX_DEPTH, decoded
from producers.sources.json_object import NotJson, json_value

# What 500 records of 100 come to; hundreds of thousands fit into a body, and keep Python busy collecting garbage.
MAX_TABLES = 50_000


def json_body(raw: bytes, *, charset: str | None = None) -> Any:
    """
    Return the value a JSON body holds: an object, an array or anything else.

    Args:
        raw: The body.
        charset: What the content type declares; JSON is UTF-8 (RFC 8259, section 8.1), so nothing else is taken.

    Raises:
        BadPayload: Also for names that come twice, NaN, numbers that are too large, more than 64 levels, and more
            than 50,000 objects and arrays.
    """
    if charset not in (None, "utf-8", "ascii"):
        raise BadPayload("body: JSON must be UTF-8, whatever its content type says; send UTF-8")
    try:
        value = json_value(decoded(raw, None))
    except NotJson as wrong:
        raise BadPayload(f"body: {wrong}") from None
    _check_shape(value)
    return value


def _check_shape(value: Any) -> None:
    """Look level by level, for a walk down each branch would end where Python's own stack does."""
    level, count = [value], 1
    for _ in range(MAX_DEPTH + 1):
        level = [child for parent in level for child in _children(parent)]
        count += len(level)
        if not level:
            return
        if count > MAX_TABLES:
            raise BadPayload(f"body: has too many objects and arrays; send at most {MAX_TABLES:,}")
    raise BadPayload(f"body: is nested too deeply; send at most {MAX_DEPTH} levels")


def _children(value: Any) -> Iterable[Any]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (child for child in children if isinstance(child, dict | list))
