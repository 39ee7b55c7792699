"""Forms, whose names may nest by brackets: `leads[status][0][id]=7`."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from producers.crm.base import BadPayload
from producers.crm.parts.bodies.charset import checked_size, decoded

MAX_FIELDS = 1000
MAX_BRACKETS = 16
LONGEST_NAME = 500

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_BOUNDARY = re.compile(r";[ \t]*boundary[ \t]*=[ \t]*(?:\"([^\"]{1,70})\"|([^\s\";]{1,70}))", re.IGNORECASE)
_PART_NAME = re.compile(r"\bname=\"([^\"\r\n]*)\"", re.IGNORECASE)


def form_body(raw: bytes, *, charset: str | None = None) -> dict[str, Any]:
    """
    Return what an urlencoded form holds, as nested dicts and lists of texts.

    Brackets nest: `a[b]=1` is `{"a": {"b": "1"}}`. Where all names at one place are 0, 1, 2 and so on, or empty,
    a list is made. The same name twice is an error, for somebody else might read the other value.

    Args:
        raw: The body, or the query of a URL.
        charset: What the content type declares; without it UTF-8.

    Raises:
        BadPayload: Also for more than 1,000 fields, 16 brackets in a name, or 500 characters of a name.
    """
    text = decoded(raw, charset)
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, encoding=charset or "utf-8", errors="strict", max_num_fields=MAX_FIELDS
        )
    except UnicodeDecodeError:
        raise BadPayload(f"body: a field is not {charset or 'utf-8'}; send text in UTF-8") from None
    except ValueError:
        raise BadPayload(f"body: has too many fields; send at most {MAX_FIELDS:,}") from None
    return _nested(pairs)


def multipart_body(raw: bytes, content_type: str) -> dict[str, Any]:
    """
    Return what a form of the kind `multipart/form-data` holds, as `form_body` does (RFC 7578).

    Raises:
        BadPayload: Also for a missing boundary or name, and for text that is not UTF-8.
    """
    checked_size(raw)
    found = _BOUNDARY.search(content_type)
    if not found:
        raise BadPayload("content-type: has no boundary; send the one that parts the body")
    parts = raw.split(b"--" + (found[1] or found[2]).encode(), MAX_FIELDS + 2)
    if len(parts) > MAX_FIELDS + 2:
        raise BadPayload(f"body: has too many fields; send at most {MAX_FIELDS:,}")
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise BadPayload("body: does not end with its boundary; send all of it")
    return _nested([_part(part) for part in parts[1:-1]])


def _part(part: bytes) -> tuple[str, str]:
    head, blank_line, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    name = _PART_NAME.search(decoded(head, None))
    if not (blank_line and name):
        raise BadPayload("body: a part has no name; send fields of a form")
    return name[1], decoded(content.removesuffix(b"\r\n"), None)


def _nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, text in pairs:
        _put(fields, _path(name), text)
    return {name: _with_lists(value) for name, value in fields.items()}


def _path(name: str) -> list[str]:
    found = _NAME.fullmatch(name) if len(name) <= LONGEST_NAME else None
    if not found:
        raise BadPayload(f"body: a field's name is longer than {LONGEST_NAME} characters or has odd brackets")
    inner = found[2][1:-1].split("][") if found[2] else []
    if len(inner) > MAX_BRACKETS:
        raise BadPayload(f"body: a field is nested too deeply; send at most {MAX_BRACKETS} brackets in a name")
    return [found[1], *inner]


def _put(fields: dict[str, Any], path: list[str], text: str) -> None:
    place = fields
    for step in path[:-1]:
        place = place.setdefault(step or str(len(place)), {})
        if not isinstance(place, dict):
            raise BadPayload("body: a field is a text here and a table there; send it once")
    last = path[-1] or str(len(place))
    if last in place:
        raise BadPayload("body: has a field twice; send it once")
    place[last] = text


def _with_lists(value: Any) -> Any:
    # As deep as a name has brackets, so recursion ends soon.
    if not isinstance(value, dict):
        return value
    inner = {name: _with_lists(child) for name, child in value.items()}
    is_list = all(str(index) in inner for index in range(len(inner)))
    return [inner[str(index)] for index in range(len(inner))] if is_list else inner
