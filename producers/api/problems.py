"""What went wrong, told as `application/problem+json` (RFC 9457), each wrong field by its JSON pointer."""

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from producers.api.methods import allowed
from producers.masking import masked
from worker.errors import InputRefused, KeyConflict, RequestConflict, ServiceUnreachable

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
# The problem type that the draft on rate limit headers registers.
QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
_NOTHING_HERE = "there is nothing here; the description is at /openapi.json"
# A field, or an entry of `metadata`, whose name stands in quotes where it has other signs than names usually have.
_FIELD = re.compile(r"^([a-z_]{1,40})(?:\.([A-Za-z0-9_.-]{1,64}|\"(?:[^\"\\]|\\.){0,400}\"))?: ")


class FieldProblem(BaseModel):
    """One wrong field: where it is in the body, in the query or among the headers, and what would be right."""

    pointer: str | None = Field(None, description="JSON pointer into the body.", examples=["/extid"])
    parameter: str | None = Field(None, description="Name of the query parameter or header.", examples=["limit"])
    detail: str = Field(examples=["extid: 'x1' is invalid; expected 1 to 10 digits"])


class ProblemBody(BaseModel):
    """RFC 9457: what went wrong."""

    type: str = Field("about:blank", examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["extid: 'x1' is invalid; expected 1 to 10 digits"])
    instance: str | None = Field(None, description="The path that was asked for.", examples=["/v1/dial-jobs"])
    errors: list[FieldProblem] = Field(default_factory=list)


class Problem(Exception):
    """
    A request that cannot be served; becomes the response.

    Args:
        status: HTTP status.
        detail: One sentence, without secret or telephone number.
        errors: The wrong fields, if it is about fields.
        headers: Further headers, such as `Retry-After`.
        type: A URI that names the kind of problem.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
        type: str = "about:blank",  # noqa: A002 - RFC 9457's word
    ) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.type = type

    def response(self, path: str | None = None) -> Response:
        """Return it as a response to a request for *path*."""
        body: dict[str, Any] = {
            "type": self.type,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if path is not None:
            body["instance"] = path
        if self.errors:
            body["errors"] = [error.model_dump(exclude_none=True) for error in self.errors]
        return JSONResponse(body, self.status, self.headers, MEDIA_TYPE)


def of_fields(status: int, sentences: Sequence[str]) -> Problem:
    """Return the problem of a body whose fields are wrong, from sentences that begin with the field's name."""
    errors = [FieldProblem(pointer=_pointer(sentence), detail=sentence) for sentence in sentences]
    return Problem(status, "; ".join(sentences), errors=errors)


def of_refusal(refused: InputRefused) -> Problem:
    """Return the problem of input that was refused: 422, or 409 where its key belongs to another job."""
    if isinstance(refused, RequestConflict):
        return of_idempotency_key(422, "came before with another request; give a new one")
    return of_fields(409 if isinstance(refused, KeyConflict) else 422, refused.problems)


def of_idempotency_key(status: int, complaint: str, **headers: str) -> Problem:
    """Return the problem of a request whose `Idempotency-Key` is wrong, from the end of a sentence about it."""
    detail = f"Idempotency-Key: {complaint}"
    errors = [FieldProblem(parameter="Idempotency-Key", detail=detail)]
    return Problem(status, detail, errors=errors, headers=headers)


def unavailable(detail: str) -> Problem:
    """Return the problem of our own outage: nothing of the request was stored, or all of it may come again."""
    return Problem(503, detail, headers={"Retry-After": "2"})


async def answer(request: Request, error: Exception) -> Response:
    """Turn an error of a route into its response; FastAPI's exception handler for all of them."""
    problem = _problem(error)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR and problem.status != HTTPStatus.SERVICE_UNAVAILABLE:
        log.error("request_failed", error=type(error).__name__, exc_info=error)
    return problem.response(request.scope.get("shown_path", request.url.path))


async def not_allowed(request: Request, _error: Exception) -> Response:
    """Answer a method that a path does not have; FastAPI's handler for 405."""
    path = request.scope["path"]
    detail = "this method does nothing here; the header Allow names those that do"
    return Problem(405, detail, headers={"Allow": allowed(path, request.app.state.routes)}).response(path)


def _problem(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case InputRefused():
            return of_refusal(error)
        case ServiceUnreachable():
            return unavailable(str(error))
        case RequestValidationError():
            return _of_parameters(error)
        case HTTPException():
            detail = _NOTHING_HERE if error.status_code == HTTPStatus.NOT_FOUND else error.detail
            return Problem(error.status_code, detail, headers=error.headers)
    return Problem(500, "something went wrong here; it is in the log of the intake")


def _of_parameters(error: RequestValidationError) -> Problem:
    # The place is ("query", name), with an index behind it for one of several.
    named = [(str(wrong["loc"][1]), wrong["msg"].removeprefix("Value error, ")) for wrong in error.errors()]
    errors = [FieldProblem(parameter=name, detail=masked(f"{name}: {said}")) for name, said in named]
    return Problem(422, "; ".join(wrong.detail for wrong in errors), errors=errors)


def _pointer(sentence: str) -> str | None:
    found = _FIELD.match(sentence)
    if found is None:
        return None
    field, entry = found.groups()
    if entry is None:
        return f"/{field}"
    name = json.loads(entry) if entry.startswith('"') else entry
    return f"/{field}/{name.replace('~', '~0').replace('/', '~1')}"  # RFC 6901, section 3
