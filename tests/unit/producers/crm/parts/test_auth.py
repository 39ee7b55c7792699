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


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://any.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_web_page_of_anybody_makes_nothing_dial_where_no_proof_is_asked_for(headers: dict[str, str]) -> None:
    assert not proves({"kind": "none"}, headers)
    # A page that has the token may: its author was given it.
    assert proves({"kind": "url_token", "token": SECRET}, headers, token=SECRET)
    # Addresses that a person typed, and servers whose library marks its requests a little.
    assert proves({"kind": "none"}, {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"})
    assert proves({"kind": "none"}, {"sec-fetch-mode": "cors", "user-agent": "node"})


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


# --- sentences that lead to the cause ---------------------------------------------------------------------------

NOW = 1795427462.0
HMAC: dict[str, Any] = {"kind": "hmac", "secret": SECRET, "header": "X-Sig", "prefix": "sha256="}
TIMED = HMAC | {"signed": "{timestamp}.{body}", "timestamp_header": "X-Time"}
BEARER, HEADER = {"kind": "bearer", "token": SECRET}, {"kind": "header", "header": "X-Key", "token": SECRET}
BASIC = {"kind": "basic", "username": "crm", "password": SECRET}


def signed(message: bytes, algorithm: str = "sha256", secret: str = SECRET) -> bytes:
    return hmac.new(secret.encode(), message, getattr(hashlib, algorithm)).digest()


def timed(time: str, *, secret: str = SECRET) -> dict[str, str]:
    return {"x-sig": f"sha256={signed(f'{time}.'.encode() + BODY, secret=secret).hex()}", "x-time": time}


def refusal(auth: dict[str, Any], headers: dict[str, str], *, url: str = URL, body: Any = None) -> str:
    """The sentence of a refusal, which contains nothing of what came and of what is right."""
    delivery = Delivery("POST", url, headers, BODY, received_at=NOW)
    with pytest.raises(NotAuthentic) as refused:
        PROOFS.validate_python(auth).check(delivery, lambda: body or {})
    sentence = str(refused.value).removeprefix("the delivery does not prove where it comes from: ")
    brought = [word for value in headers.values() for word in value.split() if len(word) > 9]
    assert not [secret for secret in (SECRET, "a-wrong-one", *brought) if secret in sentence]
    return sentence


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("auth", "headers", "sentence"),
    [
        (BEARER, {}, "the header Authorization is missing; send it as `Bearer TOKEN`"),
        (BEARER, basic("crm:a-wrong-one"), "Authorization has the scheme Basic, expected Bearer; see kind"),
        (BEARER, {"authorization": "Token a-wrong-one"}, "Authorization has the scheme Token, expected Beare"),
        (BEARER, {"authorization": SECRET}, "Authorization does not begin with Bearer and a space; send it a"),
        (BEARER, {"authorization": "a-wrong-one second"}, "Authorization does not begin with Bearer and a sp"),
        (BEARER, {"authorization": "Bearer"}, "nothing follows Bearer in Authorization"),
        (BEARER, {"authorization": f"Bearer Bearer {SECRET}"}, "Authorization has two schemes; send one"),
        (BEARER, {"authorization": f'Bearer "{SECRET}"'}, "what follows Bearer is in quotes; send it without"),
        (BEARER, {"authorization": "Bearer a-wrong-one"}, "the token after Bearer is wrong; compare it with"),
        (HEADER, {}, "the header X-Key is missing or empty; send the token in it"),
        (HEADER, {"x-key": "a-wrong-one"}, "the token in the header X-Key is wrong; compare it with token"),
        (HEADER, {"x-key": f"Bearer {SECRET}"}, "X-Key begins with Bearer; the whole value is compared"),
        (BASIC, {}, "the header Authorization is missing; send it as HTTP Basic writes it"),
        (BASIC, {"authorization": "bearer a-wrong-one"}, "Authorization has the scheme Bearer, expected Basi"),
        (BASIC, {"authorization": "Basic crm:a-wrong-one"}, "what follows Basic is not USERNAME:PASS"),
        (BASIC, basic("crm:a-wrong-one"), "the user name or the password is wrong; compare it with username"),
        (BASIC, basic(f"a-wrong-one:{SECRET}"), "the user name or the password is wrong; compare it with use"),
        ({"kind": "url_token", "token": SECRET}, {}, "the URL ends after the source's name; add /TOKEN to it"),
        ({"kind": "url_token", "token": "t", "parameter": "k"}, {}, "the URL has no parameter k, or an empty"),
        ({"kind": "url_token", "token": "t", "parameter": "code"}, {}, "the token in the URL is wrong; compa"),
        ({"kind": "body_token", "token": SECRET, "field": "a.b"}, {}, "the body has no token where `field` l"),
    ],
)
def test_a_refusal_leads_to_what_is_missing_or_wrong(
    auth: dict[str, Any], headers: dict[str, str], sentence: str
) -> None:
    assert refusal(auth, headers).startswith(sentence)


def test_a_wrong_token_in_the_body_is_told_from_a_missing_one() -> None:
    auth = {"kind": "body_token", "token": SECRET, "field": "token"}
    assert refusal(auth, {}, body={"token": "a-wrong-one"}).startswith("the token in the body (token) is wrong")
    assert refusal(auth, {}, body={"token": {}}).startswith("the body has no token where `field` looks for it")


@pytest.mark.parametrize(
    ("changes", "given", "sentence"),
    [
        ({}, "", "the header X-Sig is missing; send the signature in it"),
        ({}, signed(BODY).hex(), "X-Sig does not begin with sha256=; see prefix"),
        ({"prefix": ""}, f"sha256={signed(BODY).hex()}", 'X-Sig begins with sha256=; set prefix = "sha256="'),
        ({"prefix": ""}, f"t=1795427462,v1={signed(BODY).hex()}", "X-Sig holds no sha256 signature in hex; i"),
        ({}, f"sha256={b64(signed(BODY))}", 'X-Sig holds base64, expected hex; set encoding = "base64"'),
        ({"encoding": "base64"}, f"sha256={signed(BODY).hex()}", "X-Sig holds hex, expected base64; set enco"),
        ({"encoding": "base64"}, f"sha256={b64(signed(BODY))[:-1]}", "X-Sig holds base64"),
        ({}, f"sha256={signed(BODY, 'sha1').hex()}", "X-Sig has the length of sha1, expected sha256; set alg"),
        ({"algorithm": "sha1"}, f"sha256={signed(BODY).hex()}", "X-Sig has the length of sha256, expected sh"),
        ({}, f"sha256={b64(signed(BODY, 'sha512'))}", 'X-Sig holds base64, expected hex; set encoding = "bas'),
        ({}, "sha256=cb3c5e", "X-Sig holds no sha256 signature in hex"),
        ({}, f"sha256={signed(b'other').hex()}", "the signature in X-Sig is wrong; compare secret, key_encod"),
        ({"signed": "{url}{body}"}, f"sha256={signed(BODY).hex()}", "the signature in X-Sig is wrong; compar"),
        ({"signed": "{header:X-Id}.{body}"}, f"sha256={signed(BODY).hex()}", "the header X-Id is missing, wh"),
    ],
)
def test_a_signature_of_another_form_is_named(changes: dict[str, Any], given: str, sentence: str) -> None:
    assert refusal(HMAC | changes, {"x-sig": given} if given else {}).startswith(sentence)


@pytest.mark.parametrize(
    ("time", "unit", "sentence"),
    [
        ("1795426862", "s", "X-Time is 600 s behind this host's clock, more than the 300 s of tolerance_s; s"),
        ("1795428062", "s", "X-Time is 600 s ahead of this host's clock, more than the 300 s of tolerance_s;"),
        ("1795426862000", "ms", "X-Time is 600 s behind this host's clock, more than the 300 s of tolerance_"),
        ("1795431062", "s", "X-Time is 3,600 s ahead of this host's clock, like a local time that was taken"),
        ("1795407662", "s", "X-Time is 19,800 s behind this host's clock, like a local time that was taken f"),
        ("1795427462000", "s", 'X-Time looks like milliseconds, expected seconds; set timestamp_unit = "ms"'),
        ("1795426862000", "s", 'X-Time looks like milliseconds, expected seconds; set timestamp_unit = "ms"'),
        ("1795427462", "ms", 'X-Time looks like seconds, expected milliseconds; set timestamp_unit = "s"'),
        ("1795427462000000", "s", "X-Time looks like microseconds, expected seconds; send one of seconds and"),
        ("1795427462000000000", "ms", "X-Time looks like nanoseconds, expected milliseconds; send one of"),
        ("2026-11-23T09:51:02Z", "s", "X-Time is a written-out date; expected unix seconds"),
        ("20261123T095102Z", "s", "X-Time is a written-out date; expected unix seconds"),
        ("Mon, 23 Nov 2026 09:51:02 GMT", "ms", "X-Time is a written-out date; expected unix milliseconds"),
        ("soon", "s", "X-Time is not a number; expected unix seconds"),
        ("-5", "s", "X-Time is not a number; expected unix seconds"),
        ("1e9", "s", "X-Time is not a number; expected unix seconds"),
        ("1_795_427_462", "s", "X-Time is not a number; expected unix seconds"),
        ("0", "s", "X-Time is more than a year off in any unit; send the unix time in seconds"),
        ("9" * 20, "s", "X-Time is more than a year off in any unit; send the unix time in seconds"),
    ],
)
def test_a_signed_time_that_is_not_recent_is_told_by_clock_or_unit(time: str, unit: str, sentence: str) -> None:
    assert refusal(TIMED | {"timestamp_unit": unit}, timed(time)).startswith(sentence)


def test_the_signature_comes_before_the_time() -> None:
    wrong = refusal(TIMED, timed("1795426862", secret="another"))
    assert wrong.startswith("the signature in X-Sig is wrong")
    assert "; also, X-Time is 600 s behind" in wrong
    assert "also" not in refusal(TIMED, timed("1795427462", secret="another"))


def test_a_missing_time_is_named_whether_it_is_signed_or_not() -> None:
    missing = "the header X-Time is missing, which is part of what is signed"
    assert refusal(TIMED, {"x-sig": timed("1")["x-sig"]}) == missing
    apart = HMAC | {"timestamp_header": "X-Time"}
    assert refusal(apart, {"x-sig": f"sha256={signed(BODY).hex()}"}).startswith("X-Time is missing; send the unix")


@pytest.mark.parametrize("time", ["1795427462", "1795427462.25", " 1795427300", "1795427762"])
def test_a_recent_time_passes(time: str) -> None:
    assert proves(TIMED, timed(time), at=NOW)
