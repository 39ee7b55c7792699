"""
What schemathesis has to know beyond the description.

Two rules that no schema can say are kept: an `Idempotency-Key` comes with one request only, and `expires_at` is
later than `not_before`. And nobody waits long for jobs that no worker dials.
"""

import itertools
import json
import re
from contextlib import suppress
from datetime import datetime
from typing import Any

import schemathesis

from producers.api.schemas import IDEMPOTENCY_KEY, MOMENT

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
        if begin and end and end <= begin:
            case.body["expires_at"] = None


@schemathesis.serializer("application/x-ndjson")
def ndjson(context: Any, value: Any) -> bytes:
    """Send what was made for NDJSON, which schemathesis does not know."""
    return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()


def _moment(value: Any) -> datetime | None:
    with suppress(ValueError):
        if isinstance(value, str) and re.fullmatch(MOMENT, value):
            return datetime.fromisoformat(value)
    return None
