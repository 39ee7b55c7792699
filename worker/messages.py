"""What a message on Celery's queue must be for a worker to act on it."""

import base64
import json
import re
from enum import Enum
from typing import Any

from worker.task_events import DIAL_TASK
from worker.webhooks import DELIVER_TASK

# A message of ours has about 1 KB; what is much longer is not looked into.
_LONGEST = 65_536
# As `DialJob.job_id` makes them. Nothing else becomes part of a key, a note or a log line.
_JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# As `scripts/announce.lua` makes them.
_DELIVERY_ID = re.compile(_JOB_ID.pattern + r"_[0-9]{1,6}_(source:)?[a-z0-9][a-z0-9_-]{0,31}")


class Unusable(Enum):
    """Why a message names no job (or delivery); the value is the sentence for the doctor."""

    TOO_LONG = "it is longer than any message of ours"
    NOT_JSON = "it is not JSON"
    NOT_A_MESSAGE = "it is not a Celery message (protocol 2)"
    OTHER_TASK = "it is for another task than that of its queue"
    BAD_BODY = "its body cannot be read as JSON"
    BAD_ARGUMENTS = "its arguments are not one id"


def job_id_in(message: bytes) -> str | Unusable:
    """
    Return the job a message names, or why it names none; raises nothing, whatever the bytes.

    Args:
        message: One item of the queue's list: a JSON object as kombu puts it there, with `headers.task`, and in
            `body` (plain or base64) the JSON of `[[job id], {}, ...]`.

    Source: Celery's message protocol 2 and kombu's virtual transport, 5.7; read in `celery/app/amqp.py` and
    `kombu/transport/virtual/base.py`.
    """
    return _id_in(message, DIAL_TASK, _JOB_ID)


def delivery_id_in(message: bytes) -> str | Unusable:
    """Return the delivery a message names, or why it names none; see `job_id_in`."""
    return _id_in(message, DELIVER_TASK, _DELIVERY_ID)


def _id_in(message: bytes, task: str, form: re.Pattern[str]) -> str | Unusable:
    if len(message) > _LONGEST:
        return Unusable.TOO_LONG
    try:
        envelope = json.loads(message)
    except (ValueError, RecursionError):
        return Unusable.NOT_JSON
    match envelope:
        case {"headers": {"task": named}, "properties": dict(), "body": str()} if named == task:
            return _argument_of(envelope, form)
        case {"headers": {"task": str()}, "properties": dict(), "body": str()}:
            return Unusable.OTHER_TASK
        case _:
            return Unusable.NOT_A_MESSAGE


def _argument_of(envelope: dict[str, Any], form: re.Pattern[str]) -> str | Unusable:
    if envelope.get("content-type") != "application/json" or envelope["headers"].get("compression"):
        return Unusable.BAD_BODY
    try:
        arguments = json.loads(_decoded(envelope["body"], envelope["properties"].get("body_encoding")))
    except (ValueError, RecursionError):
        return Unusable.BAD_BODY
    match arguments:
        case [[str(argument)], dict(named), *_] if not named and form.fullmatch(argument):
            return argument
        case _:
            return Unusable.BAD_ARGUMENTS


def _decoded(body: str, encoding: object) -> str | bytes:
    if encoding == "base64":
        return base64.b64decode(body, validate=True)
    if encoding is None:
        return body
    raise ValueError("unknown encoding")
