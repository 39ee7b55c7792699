"""Handshakes are answered as the settings describe, to those who prove where they come from, and make no job."""

import base64
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.crm.base import Adapter, BadPayload, Delivery, NotAuthentic
from producers.crm.parts.handshakes import LONGEST_CHALLENGE
from producers.crm.parts.known_handshakes import KNOWN
from producers.crm.registry import adapter
from tests.unit.producers.crm.deliveries import adapter_of, delivery_of, handshakes
from worker.errors import ConfigurationError

SECRET, TOKEN = "made-up-secret", "made-up-token"
BEARER = {"kind": "bearer", "token": TOKEN}
PROOF = {"authorization": f"Bearer {TOKEN}"}


def source(handshake: dict[str, Any] | None, **block: Any) -> Adapter:
    some = {} if handshake is None else {"handshake": handshake}
    fixed = {"kind": "generic", "auth": BEARER, "map": {"outto": "phone"}}
    return adapter("crm", {**fixed, **some, **block})


def asked(method: str = "POST", query: str = "", body: Any = None, **headers: str) -> Delivery:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return Delivery(method, f"https://outdial.example/hooks/crm{query}", PROOF | named, raw)


def digest(text: str) -> bytes:
    return hmac.digest(SECRET.encode(), text.encode(), "sha256")


HUB = "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=made-up-token"
VALIDATION = [{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "5A-b"}}]
# A known handshake, what the settings add, how it is asked for, and the body and headers of its answer.
CASES: list[tuple[str, dict[str, Any], Delivery, str, dict[str, str]]] = [
    ("challenge", {}, asked(body={"challenge": "abc"}), '{"challenge": "abc"}', {}),
    ("challenge", {}, asked(body={"challenge": 123}), '{"challenge": 123}', {}),
    (
        "challenge",
        {},
        asked(body={"token": "t", "challenge": "3eZb", "type": "url_verification"}),
        '{"challenge": "3eZb"}',
        {},
    ),
    ("hook-secret", {}, asked(x_hook_secret="b537207f20"), "", {"X-Hook-Secret": "b537207f20"}),
    ("hook-secret", {}, asked(body={}, x_hook_secret="b537207f20"), "", {"X-Hook-Secret": "b537207f20"}),
    ("hub", {"auth": {"token": TOKEN}}, asked("GET", HUB), "1158201444", {}),
    ("validation-token", {}, asked(query="?validationToken=Testing%3a+a%2bb"), "Testing: a+b", {}),
    ("event-grid", {}, asked(body=VALIDATION), '{"validationResponse": "5A-b"}', {}),
    (
        "cloudevents",
        {},
        asked("OPTIONS", webhook_request_origin="eventgrid.example"),
        "",
        {"WebHook-Allowed-Origin": "eventgrid.example", "WebHook-Allowed-Rate": "*"},
    ),
    (
        "zoom",
        {"secret": SECRET},
        asked(body={"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZ"}}),
        json.dumps({"plainToken": "qgg8vlvZ", "encryptedToken": digest("qgg8vlvZ").hex()}),
        {},
    ),
    (
        "crc",
        {"secret": SECRET},
        asked("GET", "?crc_token=abc123"),
        json.dumps({"response_token": "sha256=" + base64.b64encode(digest("abc123")).decode()}),
        {},
    ),
    ("alive", {}, asked("GET"), "", {}),
    ("alive", {}, asked("HEAD"), "", {}),
]


@pytest.mark.parametrize(("like", "more", "request_", "body", "headers"), CASES, ids=lambda case: str(case)[:20])
def test_a_known_handshake_is_answered(
    like: str, more: dict[str, Any], request_: Delivery, body: str, headers: dict[str, str]
) -> None:
    answer = source({"like": like, **more}).handshake(request_)
    assert answer is not None
    assert (answer.status, answer.body.decode()) == (200, body)
    assert headers.items() <= answer.headers.items()
    assert answer.media_type == ("application/json" if body[:1] == "{" else "text/plain; charset=utf-8")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_every_known_handshake_is_tried() -> None:
    assert {case[0] for case in CASES} == set(KNOWN)


@pytest.mark.parametrize("file", handshakes(), ids=lambda file: file.parent.name)
def test_a_preset_answers_the_handshake_of_its_crm(file: Path) -> None:
    delivery = delivery_of(file)
    answer = adapter_of(file).handshake(delivery)
    assert answer is not None
    challenge = delivery.headers.get("x-hook-secret") or delivery.body.decode()
    assert challenge in (answer.body.decode(), *answer.headers.values())


def test_a_delivery_is_no_handshake_though_it_has_a_field_of_that_name() -> None:
    crm = source({"like": "challenge"})
    for body in (
        {"challenge": "abc", "phone": "2025550143"},
        {"phone": "2025550143"},
        [],
        "abc",
        {"challenge": ""},
    ):
        assert crm.handshake(asked(body=body)) is None
    assert crm.handshake(asked("PUT", body={"challenge": "abc"})) is None
    assert crm.handshake(asked(body={"challenge": "a" * 20_000})) is None
    (wish,) = crm.read(asked(body={"challenge": "abc", "phone": "2025550143"}))
    assert wish.outto == "2025550143"


def test_a_handshake_of_ones_own_is_described_by_where_the_challenge_is_and_what_is_answered() -> None:
    own = {
        "when": "header('X-Topic') == 'verify'",
        "challenge": "header('X-Front-Challenge')",
        "body": {"challenge": "{{ challenge }}", "ok": True},
        "headers": {"X-Answer": "v1 {{ challenge }}"},
    }
    answer = source(own).handshake(asked(body={"a": 1}, x_front_challenge="f-1", x_topic="verify"))
    assert answer is not None
    assert json.loads(answer.body) == {"challenge": "f-1", "ok": True}
    assert answer.headers["X-Answer"] == "v1 f-1"
    assert source(own).handshake(asked(body={"a": 1}, x_front_challenge="f-1", x_topic="other")) is None


# --- who may ask -----------------------------------------------------------------------------------------------


def test_the_proof_of_the_source_is_asked_for_unless_the_handshake_has_its_own() -> None:
    request = asked(body={"challenge": "abc"}, authorization="Bearer other")
    with pytest.raises(NotAuthentic, match=r"see handshake\.auth"):
        source({"like": "challenge"}).handshake(request)
    assert source({"like": "challenge"}).handshake(request, checked=False) is not None
    assert source({"like": "challenge", "auth": {"kind": "none"}}).handshake(request) is not None
    with pytest.raises(NotAuthentic) as refused:
        source({"like": "hub", "auth": {"token": "another-token"}}).handshake(asked("GET", HUB))
    assert TOKEN not in str(refused.value)


def test_a_challenge_is_signed_for_nobody_without_proof_and_never_in_the_form_of_a_delivery() -> None:
    zoom = {"like": "zoom", "secret": SECRET}
    for handshake, auth in ((zoom | {"auth": {"kind": "none"}}, BEARER), (zoom, {"kind": "none"})):
        with pytest.raises(ConfigurationError, match=r"handshake\.auth: must not be none"):
            source(handshake, auth=auth)
    for body in ('{"phone":"1"}', "<a/>", "phone=2025550143", "a b", "a" * 129, "v0:1:x", "é"):
        request = asked(body={"event": "endpoint.url_validation", "payload": {"plainToken": body}})
        with pytest.raises(BadPayload, match="challenge: cannot be signed"):
            source(zoom).handshake(request)


# --- what is echoed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "challenge", ["a\r\nSet-Cookie: x=1", "a\nb", "a\x00", "é", " a", "a" * (LONGEST_CHALLENGE + 1)]
)
def test_no_challenge_splits_a_header(challenge: str) -> None:
    own = {"challenge": "challenge", "headers": {"X-Answer": "{{ challenge }}"}}
    with pytest.raises(BadPayload, match=r"^challenge: "):
        source(own).handshake(asked(body={"challenge": challenge}))


@given(challenge=st.text(min_size=1, max_size=1100) | st.integers())
def test_whatever_is_echoed_is_short_printable_and_the_same(challenge: Any) -> None:
    for answered in ("{{ challenge }}", {"c": "{{ challenge }}"}):
        crm = source({"challenge": "challenge", "body": answered})
        try:
            answer = crm.handshake(asked(body={"challenge": challenge}))
        except BadPayload:
            assert len(str(challenge)) > LONGEST_CHALLENGE or not str(challenge).isprintable()
            continue
        assert answer is not None
        echo = answer.body.decode() if isinstance(answered, str) else json.loads(answer.body)["c"]
        assert echo == (str(challenge) if isinstance(answered, str) else challenge)
        assert answer.media_type in ("application/json", "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("handshake", "sentence"),
    [
        ({"like": "slack"}, "like: 'slack' is unknown; choose one of challenge, hook-secret, hub"),
        ({"like": "hub"}, "auth.token: is missing"),
        ({"like": "zoom"}, "secret: is missing; give the one that the answer is signed by"),
        ({}, "when: is missing; without it every POST is one, and none would dial"),
        ({"challenge": "c"}, "body: is missing; say how to answer"),
        ({"body": "x"}, "challenge: is missing; say where in the request it is"),
        ({"challenge": "c", "body": 5}, "body: is invalid; expected a text or a table"),
        ({"challenge": "c[", "body": "x"}, "challenge: 'c[' is no JMESPath expression"),
        (
            {"challenge": "c", "headers": {"Set-Cookie": "{{ challenge }}"}},
            "headers: Set-Cookie is invalid; expected",
        ),
        ({"challenge": "c", "headers": {"content-type": "x"}}, "headers: content-type is invalid"),
        ({"challenge": "c", "headers": {"X-Accel-Redirect": "x"}}, "headers: X-Accel-Redirect is invalid"),
        (
            {"challenge": "c", "headers": {"Access-Control-Allow-Origin": "x"}},
            "headers: Access-Control-Allow-Origin is",
        ),
        ({"challenge": "c", "headers": {"X Y": "x"}}, "headers"),
        ({"methods": ["DELETE"]}, "methods.0: must be 'POST', 'PUT', 'PATCH', 'GET', 'HEAD' or 'OPTIONS'"),
        ({"like": "alive", "auth": {"kind": "berer"}}, "auth.kind: 'berer' is none; choose one of"),
        ({"like": "alive", "auth": {"token": "t"}}, "auth: has no kind"),
        ({"like": "alive", "status": 204}, "status: is not a setting"),
    ],
)
def test_a_handshake_that_cannot_work_is_refused_at_start(handshake: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        source(handshake)
    assert wrong.value.problems[0].startswith(f"source.crm.handshake.{sentence}")


def test_a_get_that_dials_is_never_taken_for_a_look() -> None:
    with pytest.raises(ConfigurationError, match="without it every GET is one, and none would dial"):
        source({"like": "alive"}, methods=["POST", "GET"])
    source({"like": "alive", "methods": ["HEAD"]}, methods=["POST", "GET"])
    source({"like": "hub", "auth": {"token": TOKEN}}, methods=["POST", "GET"])


# --- challenges that nothing in the settings answers ------------------------------------------------------------

UNANSWERED = [(case[0], case[2]) for case in CASES if case[0] != "alive"]
UNANSWERED += [("challenge", asked(body={"challenge": "abc", "webhookId": 4509506114742148}))]


@pytest.mark.parametrize(("like", "request_"), UNANSWERED, ids=lambda case: str(case)[:20])
@pytest.mark.parametrize("block", [{}, {"format": "json"}, {"split": "people"}, {"when": "dial"}])
def test_a_challenge_without_a_handshake_in_the_settings_is_no_refused_job(
    block: dict[str, Any], like: str, request_: Delivery
) -> None:
    crm = source(None, **block)
    assert crm.handshake(request_) is None
    with pytest.raises(BadPayload) as unanswered:
        crm.read(request_)
    assert f'add [source.crm.handshake], like = "{like}"' in str(unanswered.value)


def test_a_challenge_of_another_kind_than_that_of_the_settings_is_named() -> None:
    crm = source({"like": "hook-secret"})
    assert "see [source.crm.handshake]" in (crm.handshake_hint(asked(body={"challenge": "a"})) or "")


def test_a_delivery_with_a_number_is_never_taken_for_a_challenge() -> None:
    crm = source(None)
    for body in ({"challenge": "abc", "phone": "2025550143"}, {"phone": "2025550143"}):
        assert len(crm.read(asked(body=body, x_hook_secret="sent-with-every-delivery"))) == 1
    (refused,) = crm.read(asked(body={"name": "Ada", "challenge": None}))
    assert refused.outto == ""
