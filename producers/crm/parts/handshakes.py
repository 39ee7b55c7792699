"""
Handshakes: requests by which a CRM asks whether an address is a hook's, before or between its deliveries.

Most carry a challenge, which the answer echoes. A handshake makes no job and stores nothing.
"""

import hmac
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from producers.crm.base import Answer, BadPayload, Delivery
from producers.crm.parts.auth import HeaderName, NoProof, Proof, Secret, with_kind
from producers.crm.parts.expressions import Expr, Expression, Scope, is_true
from producers.crm.parts.known_handshakes import KNOWN
from producers.crm.parts.templates import Template, Text, Tree, filled
from producers.crm.presets import merged

# The longest known are tokens of about 300 characters.
LONGEST_CHALLENGE = 1000
# No handshake is longer; a delivery that is longer need not be read twice.
_MOST_BYTES = 16 * 1024
_FITS_A_HEADER = re.compile(r"[!-~]([ -~]*[!-~])?")
# What is signed may never be a body that dials: no JSON, no XML, no form with a value.
_MAY_BE_SIGNED = re.compile(r"[A-Za-z0-9+/._~-]{1,128}={0,2}")
# Response headers that mean something to browsers, proxies or caches, which must not get a text from outside.
_NOT_FOR_ECHOES = re.compile(
    "(access-control|clear-site|content|cross-origin|proxy|sec|set-cookie|strict-transport|transfer|www|x-accel"
    "|x-content|x-frame|x-lighttpd|x-sendfile|x-xss)(-.*|[0-9]*)"
    "|alt-svc|cache-control|connection|date|expires|keep-alive|link|location|refresh|server|sourcemap|te|trailer"
    "|upgrade|vary|x-sourcemap"
)
_HEADERS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}

Read = Callable[[], Any]
Method = Literal["POST", "PUT", "PATCH", "GET", "HEAD", "OPTIONS"]


@dataclass(frozen=True, slots=True)
class Request:
    """A request that may be a handshake; `body` is None where there is none, or none that can be read."""

    delivery: Delivery = field(repr=False)
    body: Any = field(repr=False)

    @classmethod
    def of(cls, delivery: Delivery, read: Read) -> Self:
        """
        Return a request with its body.

        Args:
            delivery: As it came.
            read: Reads its body. It is not asked where there is no body, because that would be the query of the
                URL, which expressions name by `query`, nor for more than any handshake has.
        """
        if not 0 < len(delivery.body) <= _MOST_BYTES:
            return cls(delivery, None)
        try:
            return cls(delivery, read())
        except BadPayload:
            return cls(delivery, None)

    def find(self, expression: Expression) -> Any:
        """Return what an expression finds."""
        return expression.of(self.body, Scope(self.body, self.delivery))


class Handshake(BaseModel):
    """
    The block `handshake` of a source.

    A request of one of `methods` for which `when` is true, and in which `challenge` finds a text, is answered by
    200 with `headers` and `body`: a table becomes JSON, a text `text/plain`. Their `{{ expressions }}` see
    `challenge`, and with a `secret` its HMAC-SHA256 as `hmac_hex` and `hmac_base64`. `like` names a handshake of
    `known_handshakes`, which supplies the fields that the block leaves out. `auth` is the proof of origin that is
    asked for, by default that of the source.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    like: str | None = None
    methods: Annotated[tuple[Method, ...], Field(min_length=1)] = ("POST",)
    when: Expr | None = None
    challenge: Expr | None = None
    body: Tree = None
    headers: dict[HeaderName, Text] = Field(default_factory=dict, max_length=8)
    secret: Secret | None = None
    auth: Proof | None = None

    @model_validator(mode="before")
    @classmethod
    def _over_a_known_one(cls, block: Any) -> Any:
        name = block.get("like") if isinstance(block, dict) else None
        if name is None:
            return block
        if name not in KNOWN:
            raise ValueError(f"like: {str(name)[:40]!r} is unknown; choose one of {', '.join(KNOWN)}")
        return merged(KNOWN[name], block)

    @field_validator("auth", mode="before")
    @classmethod
    def _has_a_kind(cls, auth: Any) -> Any:
        return with_kind(auth)

    @field_validator("headers")
    @classmethod
    def _are_harmless(cls, headers: dict[str, Template]) -> dict[str, Template]:
        for name in headers:
            if _NOT_FOR_ECHOES.fullmatch(name.lower()):
                raise ValueError(f"{name} is invalid; expected a header that only the CRM reads")
        return headers

    @model_validator(mode="after")
    def _answers_something(self) -> Self:
        if not isinstance(self.body, Template | dict | None):
            raise ValueError("body: is invalid; expected a text or a table")  # noqa: TRY004 - pydantic reads it
        if self.challenge is None and (self.body is not None or self.headers):
            raise ValueError("challenge: is missing; say where in the request it is")
        if self.challenge is not None and self.body is None and not self.headers:
            raise ValueError('body: is missing; say how to answer, such as "{{ challenge }}"')
        signs = any("hmac_" in expression.text for expression in self._expressions())
        if signs and self.secret is None:
            raise ValueError("secret: is missing; give the one that the answer is signed by")
        return self

    def check_beside(self, methods: tuple[str, ...], auth: Any) -> None:
        """
        Return if no delivery can be taken for the handshake, and its answer is no secret.

        Args:
            methods: Of the source's deliveries.
            auth: The source's own proof of origin.

        Raises:
            ValueError: With a sentence that begins with the setting's name.
        """
        both = sorted(set(methods) & set(self.methods))
        if both and self.challenge is None and self.when is None:
            raise ValueError(f"handshake.when: is missing; without it every {both[0]} is one, and none would dial")
        if self.secret is not None and isinstance(self.auth or auth, NoProof):
            raise ValueError("handshake.auth: must not be none where the answer is signed; give a kind of proof")

    def is_asked_by(self, request: Request) -> bool:
        """Return whether a request is this handshake."""
        delivery = request.delivery
        if delivery.method not in self.methods or len(delivery.body) > _MOST_BYTES:
            return False
        if self.when is not None and not is_true(request.find(self.when)):
            return False
        return self.challenge is None or _is_given(request.find(self.challenge))

    def answer(self, request: Request) -> Answer:
        """
        Return the answer to this handshake; does not check where it comes from.

        Raises:
            BadPayload: If the challenge is not fit to be echoed.
        """
        data = self._data(request)
        headers = {name: template.text(data, lambda text: text) for name, template in self.headers.items()}
        if isinstance(self.body, dict):
            content, media_type = json.dumps(filled(self.body, data), ensure_ascii=False), "application/json"
        else:
            content = self.body.text(data, lambda text: text) if self.body else ""
            media_type = "text/plain; charset=utf-8"
        return Answer(200, content.encode(), media_type, {**headers, **_HEADERS})

    def _data(self, request: Request) -> dict[str, Any]:
        if self.challenge is None:
            return {}
        challenge = request.find(self.challenge)
        text = str(challenge)
        if len(text) > LONGEST_CHALLENGE:
            raise BadPayload(f"challenge: is longer than {LONGEST_CHALLENGE:,} characters; send a shorter one")
        fits = _FITS_A_HEADER.fullmatch(text) is not None if self.headers else text.isprintable()
        if not fits:
            raise BadPayload("challenge: has characters that cannot be echoed; send printable ones")
        return {"challenge": challenge} | (_signed(text, self.secret) if self.secret else {})

    def _expressions(self) -> Iterator[Expression]:
        for template in (*_leaves(self.body), *self.headers.values()):
            yield from (piece for piece in template.pieces if isinstance(piece, Expression))


def looks_like(request: Request) -> str | None:
    """Return the name of the known handshake that a request seems to be; None if it seems to be none."""
    for name, handshake in _by_name().items():
        if handshake.challenge is not None and handshake.is_asked_by(request):
            return name
    # Some senders add an id or two to the challenge.
    body = request.body
    is_one = isinstance(body, Mapping) and len(body) <= 4 and _is_given(body.get("challenge"))
    return "challenge" if is_one else None


@cache
def _by_name() -> Mapping[str, Handshake]:
    # Their secrets do not matter here, but a block without them is refused.
    named = {"secret": "-", "auth": {"kind": "none"}}
    return {name: Handshake.model_validate({"like": name, **named}) for name in KNOWN}


def _is_given(challenge: Any) -> bool:
    return isinstance(challenge, str | int) and not isinstance(challenge, bool) and challenge != ""


def _signed(text: str, secret: Any) -> dict[str, str]:
    if not _MAY_BE_SIGNED.fullmatch(text):
        raise BadPayload("challenge: cannot be signed; expected 1 to 128 letters, digits and + / . _ ~ - =")
    digest = hmac.digest(secret.get_secret_value().encode(), text.encode(), "sha256")
    return {"hmac_hex": digest.hex(), "hmac_base64": b64encode(digest).decode()}


def _leaves(tree: Any) -> Iterator[Template]:
    if isinstance(tree, dict | list):
        for child in tree.values() if isinstance(tree, dict) else tree:
            yield from _leaves(child)
    elif isinstance(tree, Template):
        yield tree
