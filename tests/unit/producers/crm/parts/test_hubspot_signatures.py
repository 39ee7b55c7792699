"""HubSpot's signatures, by the examples of its documentation and of its own client libraries."""

import base64
import hmac
from hashlib import sha256

import pytest

from producers.crm.base import Delivery, NotAuthentic
from producers.crm.parts.hubspot_signatures import check_signature

SECRET = b"yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
URL = "https://www.example.com/webhook_uri"
CREATION = (
    b'[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,"subscriptionType":'
    b'"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM","changeFlag":"NEW","appId":54321}]'
)
V1 = "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de"
V2_GET = "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e"
V2_POST = "9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900"
V3_BODY = b"{'example_field':'example_value'}"
V3 = "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y="
V3_AT_MS = 1693657560000


def delivery(
    headers: dict[str, str], body: bytes = b"", *, url: str = URL, method: str = "POST", at: float = 0
) -> Delivery:
    return Delivery(method=method, url=url, headers=headers, body=body, received_at=at)


def v2(signature: str, body: bytes, *, method: str = "POST", version: str = "v2", url: str = URL) -> Delivery:
    headers = {"x-hubspot-signature": signature, "x-hubspot-signature-version": version}
    return delivery(headers, body, method=method, url=url)


def v3(
    signature: str = V3, body: bytes = V3_BODY, *, at_ms: int | str = V3_AT_MS, later_s: float = 1, url: str = URL
) -> Delivery:
    headers = {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": str(at_ms)}
    return delivery(headers, body, url=url, at=V3_AT_MS / 1000 + later_s)


@pytest.mark.parametrize(
    "signed",
    [
        v2(V2_GET, b"", method="GET"),
        v2(V2_POST, b'{"example_field":"example_value"}'),
        v2(V2_POST.upper(), b'{"example_field":"example_value"}'),
        v3(),
        v3(
            "RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw=",
            at_ms=1700000300000,
            later_s=(1700000300000 - V3_AT_MS) / 1e3,
        ),
    ],
    ids=["v2-get", "v2-post", "v2-capitals", "v3", "v3-later"],
)
def test_published_examples_are_authentic(signed: Delivery) -> None:
    check_signature(signed, SECRET, require_v3=False)


@pytest.mark.parametrize(
    ("forged", "why"),
    [
        (v2(V1, CREATION, version="v1"), "version 1"),
        (v2(V1, CREATION), "is wrong"),
        (v2(V2_POST, b'{"example_field":"another_value"}'), "is wrong"),
        (v2(V2_POST, b'{"example_field":"example_value"}', url=URL + "/"), "is wrong"),
        (v2("", b"{}"), "is missing"),
        (v2("é", b"{}"), "is wrong"),
        (v3(body=b"{}"), "is wrong"),
        (v3(url="http://www.example.com/webhook_uri"), "is wrong"),
        (v3(at_ms=V3_AT_MS + 1), "is wrong"),
        (v3("é"), "is wrong"),
        (v3(at_ms=""), "is missing"),
        (v3(at_ms="1693657560000 "), None),
        (v3(at_ms="soon"), "no number"),
        (v3(later_s=300.1), "5 minutes"),
        (v3(later_s=-300.1), "5 minutes"),
    ],
)
def test_anything_else_is_not(forged: Delivery, why: str | None) -> None:
    if why is None:
        check_signature(forged, SECRET, require_v3=True)
        return
    with pytest.raises(NotAuthentic, match=why):
        check_signature(forged, SECRET, require_v3=False)


def test_a_wrong_version_3_is_not_made_good_by_a_right_version_2() -> None:
    good = v2(V2_POST, b'{"example_field":"example_value"}')
    both = {**good.headers, **v3().headers}
    with pytest.raises(NotAuthentic):
        check_signature(delivery(both, good.body, at=V3_AT_MS / 1000), SECRET, require_v3=False)


def test_version_2_is_refused_where_3_is_demanded() -> None:
    with pytest.raises(NotAuthentic, match="require_v3"):
        check_signature(v2(V2_GET, b"", method="GET"), SECRET, require_v3=True)


@pytest.mark.parametrize(
    ("received", "signed"),
    [
        ("/h?a=%3A%2f%3F%40%21%24%27%28%29%2A%2C%3B", "/h?a=:/?@!$'()*,;"),
        ("/h?a=b%20c%26d%3De", "/h?a=b%20c%26d%3De"),
        ("/h?a=%28b%29", "/h?a=%28b%29"),
    ],
    ids=["unescaped", "others-stay", "as-received"],
)
def test_the_url_counts_with_and_without_its_escapes(received: str, signed: str) -> None:
    base, at_ms = "https://outdial.example", str(V3_AT_MS)
    text = f"POST{base}{signed}{{}}{at_ms}".encode()
    signature = base64.b64encode(hmac.digest(SECRET, text, "sha256")).decode()
    check_signature(v3(signature, b"{}", url=base + received), SECRET, require_v3=True)
    digest = sha256(SECRET + f"POST{base}{signed}{{}}".encode()).hexdigest()
    check_signature(v2(digest, b"{}", url=base + received), SECRET, require_v3=False)
