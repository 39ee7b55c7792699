"""Who is told of results, and how patiently: the sections `[webhook.NAME]` and `[webhooks]` of the settings."""

import base64
import binascii
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    field_validator,
    model_validator,
)

from worker.jobs import PBX_NAME, JobState

Network = IPv4Network | IPv6Network

# 5 s to 12 h, 76 h in all: the spec's own example of a schedule has 75.6 h.
RETRY_S = (5, 30, 120, 300, 900, 1800, 3600, 7200, 14400, 28800, 43200, 43200, 43200, 43200, 43200)
_ORIGIN = r"^(none|(api|hook):([A-Za-z0-9._-]{1,64}|\*))$"
# Of the request itself, and of Standard Webhooks: an operator's header of such a name would break the request.
_OURS = re.compile(r"(?i)host|content-.*|transfer-encoding|connection|webhook-.*|expect|te|upgrade|trailer")
# Standard Webhooks 1.0, section "Signature scheme": 24 to 64 bytes.
_SECRET_BYTES = range(24, 65)
# A source whose block has one of these tells its CRM of results: a template, or what to call the CRM with.
_TELLING = ("result", "rest_url", "access_token")


def _network(text: Any) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"{str(text)[:60]!r} is not a network; give one such as 10.0.0.0/8 or fd00::/8") from None


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def tells(block: Mapping[str, Any]) -> bool:
    """Return whether a source with this block, read or not, may tell its CRM of results."""
    return any(block.get(f"{name}{form}") for name in _TELLING for form in ("", "_env", "_file"))


def signing_key(secret: str) -> bytes:
    """
    Return the key in a secret of Standard Webhooks: `whsec_` and base64 of 24 to 64 bytes.

    Raises:
        ValueError: If it is none; the sentence does not hold it.

    Source: standardwebhooks specification 1.0.0, "Signature scheme".
    """
    try:
        text = secret.removeprefix("whsec_")
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not secret.startswith("whsec_") or len(key) not in _SECRET_BYTES:
        raise ValueError(
            "is not a secret of Standard Webhooks; give whsec_ and the base64 of 24 to 64 random bytes"
        )
    return key


def _usable(secret: SecretStr) -> SecretStr:
    signing_key(secret.get_secret_value())
    return secret


Networks = Annotated[
    tuple[Annotated[Network, BeforeValidator(_network), PlainSerializer(str)], ...], BeforeValidator(_listed)
]
Secrets = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_usable)], ...], BeforeValidator(_listed), Field(max_length=5)
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Route(_Part):
    """
    How far and how long a call to one target may go.

    Every address of its name must be a public one, or in `allow_networks`. `allow_http` lets it go without TLS.
    An attempt is given up after `timeout_s`, whatever the other side does. So many attempts at once at most:
    `max_in_flight`.
    """

    allow_networks: Networks = ()
    allow_http: bool = False
    ca_file: Path | None = None
    timeout_s: Annotated[float, Field(ge=0.1, le=30)] = 15
    max_in_flight: Annotated[int, Field(ge=1, le=64)] = 4


class EndpointSettings(Route):
    """
    One endpoint that is told of results, signed after Standard Webhooks.

    Without `states`, `pbx` or `origins` it hears of all; `origins` are `api:KEY`, `hook:SOURCE`, `api:*`,
    `hook:*`, and `none` for jobs of the command line, of files and of Python. During a rotation it has several
    secrets, and each request a signature by each.
    """

    url: Annotated[str, Field(max_length=2000)] = Field(repr=False)
    secret: Secrets = Field(default=(), repr=False)
    secret_env: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    secret_file: Annotated[tuple[Path, ...], BeforeValidator(_listed)] = ()
    states: tuple[JobState, ...] = ()
    pbx: tuple[Annotated[str, Field(pattern=PBX_NAME)], ...] = ()
    origins: tuple[Annotated[str, Field(pattern=_ORIGIN)], ...] = ()
    headers: dict[str, SecretStr] = Field(default_factory=dict, repr=False)

    @field_validator("states")
    @classmethod
    def _ends_only(cls, states: tuple[JobState, ...]) -> tuple[JobState, ...]:
        if wrong := [str(state) for state in states if not state.is_final]:
            finals = ", ".join(state for state in JobState if state.is_final)
            raise ValueError(f"{wrong[0]!r} is no end of a job; choose from {finals}")
        return states

    @field_validator("headers")
    @classmethod
    def _headers_can_be_sent(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", name) or _OURS.fullmatch(name):
                raise ValueError(f"{name[:60]!r} cannot be set; give another header, such as Authorization")
            if not re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]{0,3998}[\x21-\x7e])?", value.get_secret_value()):
                raise ValueError(f"the value of {name} cannot be sent; give printable ASCII in one line")
        return headers

    @model_validator(mode="after")
    def _url_can_be_called(self) -> Self:
        if problem := problem_of(self.url, allow_http=self.allow_http):
            raise ValueError(f"url: {problem}")
        return self


def problem_of(url: str, *, allow_http: bool) -> str | None:
    """Return what keeps *url* from being called at all, as a sentence without the URL, or None."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        return "is not an address; give https://NAME/PATH"
    if not url.isascii() or not url.isprintable() or " " in url or not host:
        return "is not an address; give https://NAME/PATH, other characters percent-encoded"
    if parts.scheme == "http" and not allow_http:
        return "is not https; give an https address, or set allow_http = true for this network"
    if parts.scheme not in ("http", "https"):
        return "is not https; give https://NAME/PATH"
    if parts.username is not None or parts.fragment:
        return "has a user name or a fragment; give them as headers, or leave them out"
    return "has port 0; give another" if port == 0 else None


class WebhooksSettings(_Part):
    """
    How results are told, to whomever.

    After each of the waits `retry_s` another attempt is made, and after the last the delivery is given up. An
    endpoint that fails is tried by one attempt at a time, at least every `probe_every_s` or a tenth of the time it
    has failed; one without a success for `disable_after_s` is disabled. What was given up is kept for
    `keep_dead_s`, the newest `most_dead` of each endpoint. `concurrency` attempts at once in each of `processes`
    processes. `sources` says how far the calls to the sources' own CRMs may go.
    """

    processes: Annotated[int, Field(ge=1, le=64)] = 1
    concurrency: Annotated[int, Field(ge=1, le=256)] = 16
    retry_s: Annotated[
        tuple[Annotated[float, Field(gt=0, le=7 * 86400)], ...], Field(min_length=1, max_length=100)
    ] = RETRY_S
    probe_every_s: Annotated[float, Field(ge=0.1, le=3600)] = 15
    disable_after_s: Annotated[float, Field(gt=0, le=366 * 86400)] = 5 * 86400
    keep_dead_s: Annotated[int, Field(ge=60, le=366 * 86400)] = 30 * 86400
    most_dead: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    sources: dict[Annotated[str, Field(pattern=PBX_NAME)], Route] = Field(default_factory=dict)
