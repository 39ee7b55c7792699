"""Reading what a request brings: so much at most, in so much time at most, and only what it says it is."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from email.message import Message
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from producers.api.problems import Problem, of_fields
from producers.masking import masked
from producers.sources.json_object import NotJson, json_object
from worker.fields import sentences_of

Model = TypeVar("Model", bound=BaseModel)


class Sentences(Protocol):
    """Finds what is wrong with the fields of a body, as `worker.fields.sentences_of` does."""

    def __call__(
        self, refused: ValidationError, known: Collection[str], *, what: str, right: Mapping[str, str]
    ) -> list[str]:
        """Return one sentence for each wrong field."""


# A body that comes slower than this is not worth a place; a batch has more time the more of it has come.
WITHIN_S = 10.0
_BYTES_PER_S = 16 * 2**10


async def read_body(request: Request, *, most: int, within_s: float = WITHIN_S) -> bytes:
    """
    Return the body of a request.

    Args:
        request: The request.
        most: Bytes at most.
        within_s: Seconds for all of it.

    Raises:
        Problem: 413 for a longer one, 408 for a slower one, 415 for one that is compressed.
    """
    try:
        async with asyncio.timeout(within_s):
            return b"".join([piece async for piece in pieces(request, most=most)])
    except TimeoutError:
        raise _too_slow(within_s) from None


async def pieces(request: Request, *, most: int, within_s: float = WITHIN_S) -> AsyncIterator[bytes]:
    """
    Yield the body of a request piece by piece.

    Raises:
        Problem: As `read_body` does, of which all may take *within_s*, and a second more for each 16 KiB.
    """
    _refuse_compressed(request)
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:18]) > most:
        raise _too_long(most)
    taken, stream = 0, request.stream()
    begun = asyncio.get_running_loop().time()
    try:
        while True:
            async with asyncio.timeout_at(begun + within_s + taken / _BYTES_PER_S):
                piece = await anext(stream, None)
            if piece is None:
                return
            taken += len(piece)
            if taken > most:
                raise _too_long(most)
            yield piece
    except TimeoutError:
        raise _too_slow(within_s) from None
    except ClientDisconnect:
        raise Problem(400, "the body ended before its end", headers={"Connection": "close"}) from None


async def read_json(request: Request, *, most: int) -> dict[str, Any]:
    """
    Return the JSON object in the body of a request.

    Raises:
        Problem: 415 for another content type, 400 for what is no JSON object, else as `read_body`.
    """
    expect(request, "application/json")
    body = await read_body(request, most=most)
    try:
        # A byte order mark is dropped, as in files and deliveries.
        return json_object(body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Problem(400, "the body is not UTF-8 text; send JSON in UTF-8") from None
    except NotJson as wrong:
        raise Problem(400, f"the body {wrong}") from None


async def read_json_if_any(request: Request, *, most: int) -> dict[str, Any]:
    """
    Return the same, and an empty object for a request without a body, whatever its content type.

    Raises:
        Problem: As `read_json`.
    """
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return {}
    return await read_json(request, most=most)


def read_as(
    model: type[Model],
    body: dict[str, Any],
    *,
    what: str,
    right: Mapping[str, str],
    sentences: Sentences = sentences_of,
) -> Model:
    """
    Return a body as a model.

    Args:
        model: Its class.
        body: As read.
        what: What it is, for sentences, with its article.
        right: What would be right, by the field's name.
        sentences: Returns one for each wrong field.

    Raises:
        Problem: 422, with a sentence for each wrong field.
    """
    try:
        return model.model_validate(body)
    except ValidationError as wrong:
        found = sentences(wrong, model.model_fields, what=what, right=right)
        raise of_fields(422, [masked(sentence) for sentence in found]) from None


def expect(request: Request, *media_types: str) -> str:
    """
    Return which of some media types the body is said to be.

    Raises:
        Problem: 415 for any other, or for a charset that is not UTF-8.
    """
    said = Message()
    said["content-type"] = request.headers.get("content-type", "")
    kind, charset = said.get_content_type(), said.get_param("charset", "utf-8")
    if "content-type" not in request.headers or kind not in media_types:
        raise Problem(
            415, f"content-type: send {' or '.join(media_types)}", headers={"Accept": ", ".join(media_types)}
        )
    if str(charset).lower() not in ("utf-8", "utf8", "us-ascii", "ascii"):
        raise Problem(415, "content-type: send the body in UTF-8", headers={"Accept": ", ".join(media_types)})
    return kind


def _refuse_compressed(request: Request) -> None:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        headers = {"Accept-Encoding": "identity"}
        raise Problem(415, "content-encoding: send the body as it is, not compressed", headers=headers)


def _too_long(most: int) -> Problem:
    return Problem(413, f"the body is longer than {most:,} bytes", headers={"Connection": "close"})


def _too_slow(within_s: float) -> Problem:
    return Problem(408, f"the body did not come within {within_s:g} s", headers={"Connection": "close"})
