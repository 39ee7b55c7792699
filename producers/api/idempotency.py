"""Requests that may come again under one name: `Idempotency-Key`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from fastapi import Request

from producers.api.access import Caller
from producers.api.intake import Intake
from producers.api.problems import of_idempotency_key

_FORM = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_LONGEST_KEY = 255


@contextmanager
def under_way(intake: Intake, request: Request, caller: Caller) -> Iterator[str | None]:
    """
    Keep a second request of one idempotency key out while the first is served.

    Yields:
        The key's name among all that are remembered; None if the request brings no key.

    Raises:
        Problem: 409, if a request with this key is being served; 400 if it cannot be one.
    """
    key = _idempotency_key(request)
    if key is None:
        yield None
        return
    name = sha256(f"{caller.origin}\0{key}".encode()).hexdigest()
    if name in intake.under_way:
        complaint = "a request with this one is being served; wait for its answer"
        raise of_idempotency_key(409, complaint, **{"Retry-After": "1"})
    intake.under_way.add(name)
    try:
        yield name
    finally:
        intake.under_way.discard(name)


def _idempotency_key(request: Request) -> str | None:
    """
    Return the `Idempotency-Key` of a request, with or without the quotes of a structured field.

    Raises:
        Problem: 400 for one that is empty, longer than 255 characters, comes twice, or is not plain ASCII.

    Source: draft-ietf-httpapi-idempotency-key-header-07; the bare form is what most clients send.
    """
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    key = given[0]
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if len(given) > 1 or len(key) > _LONGEST_KEY or not _FORM.fullmatch(key):
        raise of_idempotency_key(400, f"is not right; give one of 1 to {_LONGEST_KEY} plain characters")
    return key
