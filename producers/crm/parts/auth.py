"""
Proofs that a delivery comes from its CRM: what the block `auth` of a source may say, a class for each kind.

Every comparison takes the same time whatever was given, and no error says what was given or wanted.
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
from producers.crm.parts.expressions import Expr, Scope
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
        if not self._is_right(delivery, body):
            raise NotAuthentic(f"the delivery does not prove where it comes from: {self._what_is_missing()}")

    def _is_right(self, delivery: Delivery, body: Body) -> bool:
        raise NotImplementedError

    def _what_is_missing(self) -> str:
        raise NotImplementedError


class NoProof(_Proof):
    """Nothing is asked for: whoever reaches the address can have numbers dialed."""

    kind: Literal["none"]

    def _is_right(self, delivery: Delivery, body: Body) -> bool:  # noqa: ARG002
        return True


class BearerToken(_Proof):
    """`Authorization: Bearer TOKEN` (RFC 6750)."""

    kind: Literal["bearer"]
    token: Secret

    def _is_right(self, delivery: Delivery, body: Body) -> bool:  # noqa: ARG002
        return is_same(_credentials(delivery, "bearer"), self.token)

    def _what_is_missing(self) -> str:
        return "send the token as Authorization: Bearer TOKEN"


class HeaderToken(_Proof):
    """A header with the token alone."""

    kind: Literal["header"]
    header: HeaderName = "x-outdial-token"
    token: Secret

    def _is_right(self, delivery: Delivery, body: Body) -> bool:  # noqa: ARG002
        return is_same(delivery.headers.get(self.header.lower()), self.token)

    def _what_is_missing(self) -> str:
        return f"send the token in the header {self.header}"


class Basic(_Proof):
    """`Authorization: Basic ...` with user name and password (RFC 7617)."""

    kind: Literal["basic"]
    username: Annotated[str, Field(pattern=r"^[^:]+$")]
    password: Secret

    def _is_right(self, delivery: Delivery, body: Body) -> bool:  # noqa: ARG002
        wanted = f"{self.username}:{self.password.get_secret_value()}"
        try:
            given = base64.b64decode(_credentials(delivery, "basic") or "", validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(given, wanted.encode())

    def _what_is_missing(self) -> str:
        return "send user name and password by HTTP Basic"


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

    def _is_right(self, delivery: Delivery, body: Body) -> bool:  # noqa: ARG002
        same = [is_same(given, self.token) for given in self._given(delivery)]
        return any(same)

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

    def _what_is_missing(self) -> str:
        return f"add ?{self.parameter}=TOKEN to its URL" if self.parameter else "add /TOKEN to its URL"


class BodyToken(_Proof):
    """The token in the body, where the expression `field` finds it."""

    kind: Literal["body_token"]
    token: Secret
    field: Expr

    def _is_right(self, delivery: Delivery, body: Body) -> bool:
        content = body()
        return is_same(text_of(self.field.of(content, Scope(content, delivery))), self.token)

    def _what_is_missing(self) -> str:
        return f"send the token in the body as {self.field.text}"


class Hmac(_Proof):
    """
    A signature by a shared secret (RFC 2104).

    `signed` is what it is made over: a text with `{method}`, `{url}` (the public one, as received), `{body}`,
    `{timestamp}` and `{header:NAME}`. `header` holds `prefix` and the signature, or several with blanks between;
    hex in capitals is the same. A delivery whose `timestamp_header` is more than `tolerance_s` off is refused.
    """

    kind: Literal["hmac"]
    secret: Secret
    key_encoding: Literal["text", "base64", "hex"] = "text"
    header: HeaderName
    algorithm: Literal["sha256", "sha1", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Annotated[str, Field(pattern=r"^\S*$")] = ""
    signed: str = "{body}"
    timestamp_header: HeaderName | None = None
    timestamp_unit: Literal["s", "ms"] = "s"
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

    def _is_right(self, delivery: Delivery, body: Body) -> bool:  # noqa: ARG002
        if self.timestamp_header is not None and not self._is_recent(delivery):
            return False
        wanted, given = self._signature(delivery), delivery.headers.get(self.header.lower(), "").split()[:10]
        # All of them are compared: how many there are is no secret.
        same = [is_same(self._without_prefix(one), wanted) for one in given]
        return any(same)

    def _without_prefix(self, given: str) -> str:
        signature = given.removeprefix(self.prefix) if given.startswith(self.prefix) else ""
        return signature.lower() if self.encoding == "hex" else signature

    def _is_recent(self, delivery: Delivery) -> bool:
        try:
            moment = float(self._timestamp(delivery)) / (1000 if self.timestamp_unit == "ms" else 1)
        except ValueError:
            return False
        return abs(delivery.received_at - moment) <= self.tolerance_s  # false for NaN

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

    def _timestamp(self, delivery: Delivery) -> str:
        return delivery.headers.get(self.timestamp_header.lower(), "") if self.timestamp_header else ""

    def _key(self) -> bytes:
        secret = self.secret.get_secret_value()
        if self.key_encoding == "base64":
            return base64.b64decode(secret, validate=True)
        return bytes.fromhex(secret) if self.key_encoding == "hex" else secret.encode()

    def _what_is_missing(self) -> str:
        return f"sign it with the shared secret, in the header {self.header}"


Proof = Annotated[
    NoProof | BearerToken | HeaderToken | Basic | UrlToken | BodyToken | Hmac, Field(discriminator="kind")
]


def _credentials(delivery: Delivery, scheme: str) -> str | None:
    given, _, rest = delivery.headers.get("authorization", "").partition(" ")
    return rest.strip() if given.lower() == scheme else None


def _bytes(text: str) -> bytes:
    # Headers may hold bytes that are no UTF-8, kept as surrogates.
    return text.encode("utf-8", "surrogateescape")
