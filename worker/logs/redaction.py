"""The processor that lets nothing secret out, whatever is put into a line."""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from itertools import islice
from typing import Any

from worker.masking import HIDDEN, is_secret_name, safe, without_numbers

# Longer texts are cut before they are looked through, which takes half a millisecond for each KiB.
_LONGEST = 16_384
_DEEPEST, _MOST_ITEMS = 5, 100
# Numbers of so many digits may be telephone numbers, but for those that count or measure something.
_LEAST_NUMBER = 10**6
_MEASURE = re.compile(
    r"(?:^|_)(?:s|ms|us|bytes|at|count|jobs|rows|results|deliveries|attempts|seq|generation|pid|code)$"
)
# Made by us, of hex digits that a token could have too.
_OURS = {"trace_id": re.compile(r"[0-9a-f]{32}"), "span_id": re.compile(r"[0-9a-f]{16}")}

_hides = lru_cache(maxsize=1024)(is_secret_name)
_measures = lru_cache(maxsize=1024)(lambda name: _MEASURE.search(name) is not None)
# Names of PBXs, states, codes: most short texts come again and again.
_REMEMBERED_LENGTH = 64
_remembered = lru_cache(maxsize=4096)(safe)


def redact(_logger: Any, _method: str, line: dict[str, Any]) -> dict[str, Any]:
    """
    Replace every value of a line by one that may be shown: text, numbers, and lists and dicts of such.

    The last step before the line is written out: what comes after it may add times, and nothing of others' making.
    """
    for name, value in line.items():
        try:
            line[name] = _shown(name, value, _DEEPEST)
        except Exception:  # noqa: BLE001 - a line must come out, whatever an object says of itself
            line[name] = f"{type(value).__name__} that cannot be shown"
    return line


def _shown(name: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if _hides(name):
        return HIDDEN
    if isinstance(value, str):
        return _text(name, value)
    if isinstance(value, int | float):
        return _number(name, value)
    return _composed(name, value, depth)


def _text(name: str, value: str) -> str:
    if len(value) <= _REMEMBERED_LENGTH:
        ours = _OURS.get(name)
        return str(value) if ours and ours.fullmatch(value) else _remembered(str(value))
    return safe(value[:_LONGEST] + "..." if len(value) > _LONGEST else value)


def _number(name: str, value: float) -> Any:
    if isinstance(value, float) and not value.is_integer():
        return value if math.isfinite(value) else repr(value)
    return value if abs(value) < _LEAST_NUMBER or _measures(name) else without_numbers(str(int(value)))


def _composed(name: str, value: Any, depth: int) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return _text(name, bytes(value[: _LONGEST + 1]).decode("utf-8", "backslashreplace"))
    if isinstance(value, date):
        return value.isoformat()
    if depth and isinstance(value, Mapping):
        return {safe(_key(key)): _shown(_key(key), inner, depth - 1) for key, inner in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return _listed(name, value, depth)
    return _text(name, f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else repr(value))


def _listed(name: str, values: Iterable[Any], depth: int) -> list[Any]:
    listed = list(islice(values, _MOST_ITEMS))
    # The digits of one number, or the words of one header, may stand beside one another.
    if all(isinstance(value, str | int) for value in listed):
        joined = " ".join(map(str, listed))
        if (shown := safe(joined)) != joined:
            return [shown]
    return [_shown(name, value, depth - 1) for value in listed]


def _key(name: Any) -> str:
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)
