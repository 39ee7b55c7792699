"""
Proofs that a delivery comes from its CRM: what the block `auth` of a source may hold, a class for each kind.

Every comparison takes the same time for every value. A refusal names what is missing or has another form than the
settings expect, judged by what the sender itself sent. It never contains what was given or wanted.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from producers.crm.base import Delivery, NotAuthentic
from producers.crm.parts.authorization import scheme_of, scheme_problem
from producers.crm.parts.expressions import Expr, Scope
from producers.crm.parts.signatures import Algorithm, Encoding, form_problem
from producers.crm.parts.timestamps import Unit, time_problem
from producers.crm.parts.values import text_of

Secret = Annotated[SecretStr, Field(min_length=1)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")]  # a token, RFC 9110, 5.6.2
# Reads the body, once and only for a proof that is in there.
Body = Callable[[], Any]

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]+")
_OTHER_HEADER = "header:"


def is_same(given: str | None, secret: SecretStr | str) -> bool:
    """Return whether *given* is the secret, taking the same time for every wrong one of a length."""
    wanted = secret if isinstance(secret, str) else secret.get_secret_value()
    return given is not None and hmac.compare_digest(_bytes(given), _bytes(wanted))


def check_path_token(token: SecretStr) -> None:
    """
    Return if a token can stand in the path of a URL as it is (RFC 3986, section 2.3).

    Raises:
        ValueError: With a sentence that does not tell it.
    """
    if not _UNRESERVED.fullmatch(token.get_secret_value()):
        raise ValueError("token: does not fit into a path; take letters, digits and - . _ ~ only")


class _Proof(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def check(self, delivery: Delivery, body: Body) -> None:
        """
        Return if a delivery proves where it comes from.

        Raises:
            NotAuthentic: If it does not.
            BadPayload: If the proof is in the body, and that cannot be read.
        """
        if wrong := self._problem(delivery, body):
            raise NotAuthentic(f"the delivery does not prove where it comes from: {wrong}")

    def _problem(self, delivery: Delivery, body: Body) -> str | None:
        """Return what is wrong with the proof, in a sentence that leads to its cause; None if it is right."""
        raise NotImplementedError


class NoProof(_Proof):
    """
    No proof: anyone who reaches the address can have numbers dialed, but for web pages.

    Any page can have the browser of a colleague send a form or a text to an address that only the colleague's
    network reaches. Browsers mark such requests, and CRMs send them from servers, which do not.
    """

    kind: Literal["none"]

    def _problem(self, delivery: Delivery, body: Body) -> str | None:  # noqa: ARG002
        headers = delivery.headers
        if "origin" not in headers and headers.get("sec-fetch-site", "none") == "none":
            return None
        return "a web page sent it, and this source asks for no proof; give the source a token"


class BearerToken(_Proof):
    """`Authorization: Bearer TOKEN` (RFC 6750)."""

    kind: Literal["bearer"]
    token: Secret

    def _problem(self, delivery: Delivery, body: Body) -> str | None:  # noqa: ARG002
        given = _authorization(delivery)
        if is_same(_credentials(given, "Bearer"), self.token):
            return None
        return scheme_problem(given, "Bearer") or _wrong("the token after Bearer", "token")


class HeaderToken(_Proof):
    """A header with the token alone."""

    kind: Literal["header"]
    header: HeaderName = "x-outdial-token"
    token: Secret

    def _problem(self, delivery: Delivery, body: Body) -> str | None:  # noqa: ARG002
        given = delivery.headers.get(self.header.lower(), "")
        if is_same(given, self.token):
            return None
        if not given:
            return f"the header {self.header} is missing or empty; send the token in it"
        if scheme := scheme_of(given):
            return f"{self.header} begins with {scheme}; the whole value is compared, so let `token` begin so too"
        return _wrong(f"the token in the header {self.header}", "token")


class Basic(_Proof):
    """`Authorization: Basic ...` with user name and password (RFC 7617)."""

    kind: Literal["basic"]
    username: Annotated[str, Field(pattern=r"^[^:]+$")]
    password: Secret

    def _problem(self, delivery: Delivery, body: Body) -> str | None:  # noqa: ARG002
        wanted = f"{self.username}:{self.password.get_secret_value()}"
        authorization = _authorization(delivery)
        try:
            given = base64.b64decode(_credentials(authorization, "Basic") or "", validate=True)
        except (binascii.Error, ValueError):
            given = b""
        if hmac.compare_digest(given, wanted.encode()):
            return None
        if wrong := scheme_problem(authorization, "Basic"):
            return wrong
        if b":" not in given:
            return "what follows Basic is not USERNAME:PASSWORD in base64; send it as HTTP Basic writes it"
        return _wrong("the user name or the password", "username and password")


class UrlToken(_Proof):
    """The token in the address: behind the source's name, or as the query's `parameter`."""

    kind: Literal["url_token"]
    token: Secret
    parameter: Annotated[str, Field(min_length=1, max_length=100)] | None = None

    @model_validator(mode="after")
    def _fits_into_a_path(self) -> Self:
        if self.parameter is None:
            check_path_token(self.token)
        return self

    def _problem(self, delivery: Delivery, body: Body) -> str | None:  # noqa: ARG002
        given = self._given(delivery)
        same = [is_same(one, self.token) for one in given]
        if any(same):
            return None
        if any(given):
            return _wrong("the token in the URL", "token")
        if self.parameter is None:
            return "the URL ends after the source's name; add /TOKEN to it"
        return f"the URL has no parameter {self.parameter}, or an empty one; add ?{self.parameter}=TOKEN to it"

    def _given(self, delivery: Delivery) -> list[str | None]:
        if self.parameter is None:
            return [delivery.token]
        query = urlsplit(delivery.url).query
        try:
            # A plus is a blank in a form, and itself to those who put their key into the URL as it is.
            readings = [parse_qs(text, max_num_fields=1000) for text in (query, query.replace("+", "%2B"))]
        except ValueError:  # too many
            return []
        return [reading.get(self.parameter, [None])[0] for reading in readings]


class BodyToken(_Proof):
    """The token in the body, where the expression `field` finds it."""

    kind: Literal["body_token"]
    token: Secret
    field: Expr

    def _problem(self, delivery: Delivery, body: Body) -> str | None:
        content = body()
        given = text_of(self.field.of(content, Scope(content, delivery)))
        if is_same(given, self.token):
            return None
        if given is None:
            return f"the body has no token where `field` looks for it; send it as {self.field.text}"
        return _wrong(f"the token in the body ({self.field.text})", "token")


class Hmac(_Proof):
    """
    A signature by a shared secret (RFC 2104).

    `signed` is what it is made over: a text with `{method}`, `{url}` (the public one, as received), `{body}`,
    `{timestamp}` and `{header:NAME}`. `header` holds `prefix` and the signature, or several with blanks between;
    hex in capitals is the same. A delivery whose `timestamp_header` is more than `tolerance_s` off is refused.

    The signature is checked before the time: a sender that signs well and has a wrong clock should not have to
    look for another secret.
    """

    kind: Literal["hmac"]
    secret: Secret
    key_encoding: Literal["text", "base64", "hex"] = "text"
    header: HeaderName
    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"
    prefix: Annotated[str, Field(pattern=r"^\S*$")] = ""
    signed: str = "{body}"
    timestamp_header: HeaderName | None = None
    timestamp_unit: Unit = "s"
    tolerance_s: Annotated[float, Field(gt=0, le=86400)] = 300

    @model_validator(mode="after")
    def _can_be_computed(self) -> Self:
        names = _PLACEHOLDER.findall(self.signed)
        known = ("method", "url", "body", "timestamp")
        if wrong := [name for name in names if name not in known and not name.startswith(_OTHER_HEADER)]:
            raise ValueError(f"signed: {wrong[0]!r} is not known; use {', '.join(known)} or header:NAME")
        if "body" not in names:
            raise ValueError("signed: must hold {body}, or anybody could change it")
        if "timestamp" in names and self.timestamp_header is None:
            raise ValueError("signed: has {timestamp}; name the timestamp_header it is in")
        try:
            self._key()
        except ValueError:
            raise ValueError(f"secret: is not {self.key_encoding}; see key_encoding") from None
        return self

    def _problem(self, delivery: Delivery, body: Body) -> str | None:  # noqa: ARG002
        wanted, given = self._signature(delivery), delivery.headers.get(self.header.lower(), "").split()[:10]
        # All of them are compared: how many there are is no secret.
        same = [is_same(self._without_prefix(one), wanted) for one in given]
        time = self._time_problem(delivery)
        if any(same):
            return time
        wrong = self._form_problem(given) or self._missing_part(delivery) or self._wrong_signature()
        return f"{wrong}; also, {time}" if time and delivery.headers.get(self._timestamp_name) else wrong

    def _without_prefix(self, given: str) -> str:
        signature = given.removeprefix(self.prefix) if given.startswith(self.prefix) else ""
        return signature.lower() if self.encoding == "hex" else signature

    def _time_problem(self, delivery: Delivery) -> str | None:
        if self.timestamp_header is None:
            return None
        return time_problem(
            self._timestamp(delivery),
            header=self.timestamp_header,
            unit=self.timestamp_unit,
            now=delivery.received_at,
            tolerance_s=self.tolerance_s,
        )

    def _form_problem(self, given: list[str]) -> str | None:
        return form_problem(
            given, header=self.header, prefix=self.prefix, algorithm=self.algorithm, encoding=self.encoding
        )

    def _missing_part(self, delivery: Delivery) -> str | None:
        """Return a sentence about the first header that is signed and did not come."""
        for name in _PLACEHOLDER.findall(self.signed):
            header = self.timestamp_header if name == "timestamp" else name.partition(_OTHER_HEADER)[2]
            if header and not delivery.headers.get(header.lower()):
                return f"the header {header} is missing, which is part of what is signed"
        return None

    def _wrong_signature(self) -> str:
        settings = ["secret", "key_encoding", "signed"]
        settings += ["api.public_url"] if "{url}" in self.signed else []
        return f"the signature in {self.header} is wrong; compare {', '.join(settings)} with what the CRM signs"

    def _signature(self, delivery: Delivery) -> str:
        digest = hmac.new(self._key(), self._message(delivery), getattr(hashlib, self.algorithm)).digest()
        return digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()

    def _message(self, delivery: Delivery) -> bytes:
        # Texts and the names between them take turns.
        pieces = _PLACEHOLDER.split(self.signed)
        return b"".join(
            self._part(piece, delivery) if index % 2 else piece.encode() for index, piece in enumerate(pieces)
        )

    def _part(self, name: str, delivery: Delivery) -> bytes:
        if name == "body":
            return delivery.body
        if name.startswith(_OTHER_HEADER):
            return _bytes(delivery.headers.get(name.removeprefix(_OTHER_HEADER).lower(), ""))
        return _bytes({"method": delivery.method, "url": delivery.url}.get(name, self._timestamp(delivery)))

    @property
    def _timestamp_name(self) -> str:
        return (self.timestamp_header or "").lower()

    def _timestamp(self, delivery: Delivery) -> str:
        return delivery.headers.get(self._timestamp_name, "")

    def _key(self) -> bytes:
        secret = self.secret.get_secret_value()
        if self.key_encoding == "base64":
            return base64.b64decode(secret, validate=True)
        return bytes.fromhex(secret) if self.key_encoding == "hex" else secret.encode()


Proof = Annotated[
    NoProof | BearerToken | HeaderToken | Basic | UrlToken | BodyToken | Hmac, Field(discriminator="kind")
]


def with_kind(auth: Any) -> Any:
    """
    Return the block of a proof if it has a kind, or is no block at all.

    Raises:
        ValueError: With an example, which the message of pydantic lacks.
    """
    if isinstance(auth, dict) and "kind" not in auth:
        raise ValueError("has no kind; give one, such as bearer, with its token_env")
    return auth


def _authorization(delivery: Delivery) -> str:
    return delivery.headers.get("authorization", "")


def _credentials(authorization: str, scheme: str) -> str | None:
    given, _, rest = authorization.partition(" ")
    return rest.strip() if given.lower() == scheme.lower() else None


def _wrong(what: str, settings: str) -> str:
    return f"{what} is wrong; compare it with {settings} in the source's settings"


def _bytes(text: str) -> bytes:
    # Headers may hold bytes that are no UTF-8, kept as surrogates.
    return text.encode("utf-8", "surrogateescape")
