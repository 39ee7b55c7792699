"""Proofs of origin: the right one passes, everything else does not, and no error tells the secret."""

import base64
import hashlib
import hmac
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from producers.crm.base import BadPayload, Delivery, NotAuthentic
from producers.crm.parts.auth import Proof

SECRET = "made-up-secret"
BODY = b'{"token": "made-up-secret", "a": "\xc3\xa9"}'
URL = "https://outdial.example/hooks/x/made-up-secret?code=made-up-secret"
PROOFS = TypeAdapter[Any](Proof)


def proves(
    auth: dict[str, Any],
    headers: dict[str, str] | None = None,
    body: bytes = BODY,
    token: str | None = None,
    at: float = 0,
) -> bool:
    delivery = Delivery("POST", URL, headers or {}, body, token=token, received_at=at)
    try:
        PROOFS.validate_python(auth).check(delivery, lambda: {"token": SECRET})
    except NotAuthentic as refused:
        return SECRET in str(refused)
    return True


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def test_tokens_are_found_where_the_settings_say() -> None:
    assert proves({"kind": "bearer", "token": SECRET}, {"authorization": f"bearer {SECRET}"})
    assert proves({"kind": "header", "header": "X-Key", "token": SECRET}, {"x-key": SECRET})
    assert proves({"kind": "basic", "username": "crm", "password": "a:b"}, basic("crm:a:b"))
    assert proves({"kind": "url_token", "token": SECRET}, token=SECRET)
    assert proves({"kind": "url_token", "token": SECRET, "parameter": "code"})
    assert proves({"kind": "body_token", "token": SECRET, "field": "token"})
    assert proves({"kind": "none"})


@pytest.mark.parametrize(
    ("auth", "headers"),
    [
        ({"kind": "bearer", "token": SECRET}, {}),
        ({"kind": "bearer", "token": SECRET}, {"authorization": SECRET}),
        ({"kind": "bearer", "token": SECRET}, {"authorization": f"Bearer {SECRET}x"}),
        ({"kind": "bearer", "token": SECRET}, {"authorization": "Bearer \udcff"}),
        ({"kind": "header", "header": "X-Key", "token": SECRET}, {"x-key": ""}),
        ({"kind": "basic", "username": "crm", "password": SECRET}, basic(f"other:{SECRET}")),
        ({"kind": "basic", "username": "crm", "password": SECRET}, {"authorization": "Basic %%%"}),
        ({"kind": "basic", "username": "crm", "password": SECRET}, {"authorization": "Basic \udcff"}),
        ({"kind": "url_token", "token": SECRET}, {}),
        ({"kind": "url_token", "token": SECRET, "parameter": "other"}, {}),
        ({"kind": "body_token", "token": SECRET, "field": "other"}, {}),
        ({"kind": "hmac", "secret": SECRET, "header": "X-Sig"}, {}),
        ({"kind": "hmac", "secret": SECRET, "header": "X-Sig"}, {"x-sig": "0" * 64}),
    ],
)
def test_whatever_else_is_brought_proves_nothing(auth: dict[str, Any], headers: dict[str, str]) -> None:
    assert not proves(auth, headers)


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_signatures_are_checked_over_what_the_settings_say(algorithm: str, encoding: str) -> None:
    message = b"POST" + URL.encode() + BODY + b"1795427462000|m-1"
    digest = hmac.new(SECRET.encode(), message, getattr(hashlib, algorithm)).digest()
    signature = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
    auth = {
        "kind": "hmac",
        "secret": SECRET,
        "header": "X-Sig",
        "algorithm": algorithm,
        "encoding": encoding,
        "prefix": "v1=",
        "signed": "{method}{url}{body}{timestamp}|{header:X-Id}",
        "timestamp_header": "X-Time",
        "timestamp_unit": "ms",
    }
    headers = {"x-sig": f"v0=abc v1={signature}", "x-time": "1795427462000", "x-id": "m-1"}
    assert proves(auth, headers, at=1795427462 + 299)
    assert not proves(auth, headers, at=1795427462 + 301)
    assert not proves(auth, headers, body=BODY + b" ", at=1795427462)
    assert not proves(auth, headers | {"x-time": "1795427463000"}, at=1795427462)
    assert not proves(auth, headers | {"x-time": "nan"}, at=1795427462)
    assert not proves(auth, headers | {"x-id": "m-2"}, at=1795427462)


@pytest.mark.parametrize("query", ["k=a%2Bb%2Fc%3D%3D", "k=a+b/c==", "x=+&k=a+b%2Fc=="])
def test_a_key_with_a_plus_is_the_same_however_it_came_into_the_url(query: str) -> None:
    source = PROOFS.validate_python({"kind": "url_token", "parameter": "k", "token": "a+b/c=="})
    source.check(Delivery("POST", f"https://outdial.example/hooks/x?{query}", {}, b""), dict)
    for wrong in ("k=a%20b/c==", "k=a%252Bb/c==", "k=", ""):
        with pytest.raises(NotAuthentic):
            source.check(Delivery("POST", f"https://outdial.example/hooks/x?{wrong}", {}, b""), dict)


def test_hex_in_capitals_is_the_same_signature_and_base64_is_not() -> None:
    auth: dict[str, Any] = {"kind": "hmac", "secret": SECRET, "header": "X-Sig", "prefix": "sha256="}
    digest = hmac.new(SECRET.encode(), BODY, hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    assert proves(auth, {"x-sig": f"sha256={digest.hex().upper()}"})
    assert proves(auth | {"encoding": "base64"}, {"x-sig": f"sha256={signature}"})
    assert not proves(auth | {"encoding": "base64"}, {"x-sig": f"sha256={signature.swapcase()}"})
    for wrong in (digest.hex(), f"SHA256={digest.hex()}", "sha256=", f"sha256=sha256={digest.hex()}"):
        assert not proves(auth, {"x-sig": wrong})


def test_a_signature_after_standard_webhooks_is_checked() -> None:
    key = b"made-up-secret-of-24-bytes"
    message = b"msg_1.1795427462." + BODY
    signature = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
    auth = {
        "kind": "hmac",
        "secret": base64.b64encode(key).decode(),
        "key_encoding": "base64",
        "header": "webhook-signature",
        "encoding": "base64",
        "prefix": "v1,",
        "signed": "{header:webhook-id}.{timestamp}.{body}",
        "timestamp_header": "webhook-timestamp",
    }
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1795427462", "webhook-signature": f"v1,{signature}"}
    assert proves(auth, headers, at=1795427462)


@pytest.mark.parametrize(
    "auth",
    [
        {},
        {"kind": "oauth"},
        {"kind": "bearer"},
        {"kind": "bearer", "token": ""},
        {"kind": "header", "header": "X Key", "token": SECRET},
        {"kind": "basic", "username": "a:b", "password": SECRET},
        {"kind": "body_token", "token": SECRET, "field": "a["},
        {"kind": "hmac", "secret": SECRET, "header": "X-Sig", "signed": "{url}"},
        {"kind": "hmac", "secret": SECRET, "header": "X-Sig", "signed": "{body}{nonce}"},
        {"kind": "hmac", "secret": SECRET, "header": "X-Sig", "signed": "{timestamp}.{body}"},
        {"kind": "hmac", "secret": SECRET, "header": "X-Sig", "key_encoding": "hex"},
        {"kind": "hmac", "secret": SECRET, "header": "X-Sig", "prefix": "HMAC "},
        {"kind": "url_token", "token": SECRET + "/=="},
    ],
)
def test_settings_that_cannot_work_are_refused_without_telling_the_secret(auth: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        PROOFS.validate_python(auth)
    assert SECRET not in str([error["msg"] for error in refused.value.errors()])


def test_a_body_that_cannot_be_read_is_said_to_be_so() -> None:
    def unreadable() -> Any:
        raise BadPayload("body: is not JSON")

    proof = PROOFS.validate_python({"kind": "body_token", "token": SECRET, "field": "token"})
    with pytest.raises(BadPayload):
        proof.check(Delivery("POST", URL, {}, b"{"), unreadable)


def test_no_secret_is_shown() -> None:
    assert SECRET not in repr(PROOFS.validate_python({"kind": "bearer", "token": SECRET}))
