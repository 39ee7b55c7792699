"""
What schemathesis has to know beyond the description.

Three rules that are beyond a schema are kept: an `Idempotency-Key` comes with one request only, `expires_at` is in
the future and later than `not_before`, and `outto` is one number. And no request waits long for jobs that no
worker dials.
"""

import itertools
import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import schemathesis

from producers.api.schemas import IDEMPOTENCY_KEY, MOMENT, NUMBER
from producers.numbers import NumberRefused, dialable

_NAME, _FORM = IDEMPOTENCY_KEY["name"], re.compile(IDEMPOTENCY_KEY["schema"]["pattern"])
_LONGEST_WAIT_S = 0.1
_numbers = itertools.count()


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Make a request fit; what is wrong with it on purpose stays."""
    key = (case.headers or {}).get(_NAME)
    if isinstance(key, str) and len(key) <= 240 and _FORM.fullmatch(key):
        case.headers[_NAME] = f"{key}-{next(_numbers)}"
    with suppress(TypeError, ValueError):
        if float((case.query or {}).get("wait", 0)) > _LONGEST_WAIT_S:
            case.query["wait"] = _LONGEST_WAIT_S
    if isinstance(case.body, dict):
        begin, end = _moment(case.body.get("not_before")), _moment(case.body.get("expires_at"))
        if end and end <= max(begin or end, datetime.now(UTC) + timedelta(minutes=10)):
            case.body["expires_at"] = None
        if _looks_right_and_is_not(case.body.get("outto")):
            case.body["outto"] = "41000"


@schemathesis.serializer("application/x-ndjson")
def ndjson(context: Any, value: Any) -> bytes:
    """Send what was made for NDJSON, which schemathesis does not know."""
    return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()


def _looks_right_and_is_not(outto: Any) -> bool:
    if isinstance(outto, bool) or not isinstance(outto, str | int):
        return False
    text = str(outto)
    try:
        dialable(text, None)
    except NumberRefused:
        return re.fullmatch(NUMBER, text) is not None
    return False


def _moment(value: Any) -> datetime | None:
    with suppress(ValueError):
        if isinstance(value, str) and re.fullmatch(MOMENT, value):
            return datetime.fromisoformat(value)
    return None
