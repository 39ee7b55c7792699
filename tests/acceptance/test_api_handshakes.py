"""A CRM that asks whether an address is a hook's gets its answer over HTTP, and nothing is dialed or stored."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from ops.embedded_redis import EmbeddedRedis
from ops.installation import GENEROUS_S, eventually
from tests.acceptance.intake import Intake, intake, problem_of
from worker.hopper import JobFilter

TOKEN, SECRET = "made-up-token-of-the-url", "made-up-signing-secret"
SOURCES = f"""
[source.monday]
kind = "generic"
preset = "monday"
extension = "1001"
auth = {{ token = "{TOKEN}" }}
[source.intercom]
kind = "generic"
preset = "intercom"
extension = "1001"
auth = {{ secret = "{SECRET}" }}
[source.meta]
kind = "generic"
extension = "1001"
auth = {{ kind = "hmac", secret = "{SECRET}", header = "X-Hub-Signature-256", prefix = "sha256=" }}
handshake = {{ like = "hub", auth = {{ token = "{TOKEN}" }} }}
map = {{ outto = "phone" }}
[source.events]
kind = "generic"
extension = "1001"
auth = {{ kind = "url_token", token = "{TOKEN}" }}
handshake = {{ like = "cloudevents" }}
map = {{ outto = "phone" }}
[source.slack]
kind = "generic"
extension = "1001"
map = {{ outto = "phone" }}
handshake = {{ like = "challenge" }}
[source.slack.auth]
kind = "hmac"
secret = "{SECRET}"
header = "X-Slack-Signature"
prefix = "v0="
signed = "v0:{{timestamp}}:{{body}}"
timestamp_header = "X-Slack-Request-Timestamp"
[source.plain]
kind = "generic"
extension = "1001"
auth = {{ kind = "bearer", token = "{TOKEN}" }}
map = {{ outto = "phone" }}
"""
HUB = "/hooks/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="


@pytest.fixture(scope="module")
def served(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    with intake(tmp_path_factory.mktemp("shakes"), redis_server.url, "shakes", settings=(SOURCES,)) as running:
        yield running


@pytest.fixture(autouse=True)
def no_job_is_made(served: Intake) -> Iterator[None]:
    """By none of these."""
    yield
    assert served.dialer.hopper.find(JobFilter(), most=10)[0] == []


def send(served: Intake, method: str, path: str, **options: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, served.served.url + path, timeout=GENEROUS_S, **options)


def is_logged(served: Intake, event: str, **fields: str) -> bool:
    """Wait for a line of the log in which each of these fields has this text: it comes after the answer."""

    def lines() -> list[dict[str, Any]]:
        whole = [line for line in served.log.read_text().splitlines(keepends=True) if line.endswith("}\n")]
        found = [line for line in map(json.loads, whole) if line["event"] == event]
        return [line for line in found if all(text in line.get(name, "") for name, text in fields.items())]

    return bool(eventually(lines))


def test_a_challenge_of_the_body_is_echoed_to_who_knows_the_token(served: Intake) -> None:
    answer = send(served, "POST", f"/hooks/monday/{TOKEN}", json={"challenge": "3eZbrw1aBm2r"})
    assert (answer.status_code, answer.json()) == (200, {"challenge": "3eZbrw1aBm2r"})
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert is_logged(served, "handshake_answered", source="monday")
    refused = send(served, "POST", "/hooks/monday/another", json={"challenge": "3eZbrw1aBm2r"})
    assert refused.status_code == 401
    assert "3eZbrw1aBm2r" not in refused.text


def test_a_look_by_head_is_answered_and_makes_nothing_else_possible(served: Intake) -> None:
    assert send(served, "HEAD", "/hooks/intercom?phone=2025550143").status_code == 200
    refused = send(served, "GET", "/hooks/intercom?phone=2025550143")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")


def test_a_get_with_the_agreed_token_is_answered_as_text(served: Intake) -> None:
    answer = send(served, "GET", HUB + TOKEN)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert send(served, "GET", HUB + "another").status_code == 401
    assert send(served, "GET", "/hooks/meta?phone=2025550143").status_code == 405
    assert send(served, "HEAD", HUB + TOKEN).status_code == 405


def test_no_markup_is_answered_as_a_page(served: Intake) -> None:
    page = "<script>alert(1)</script>"
    answer = send(
        served, "GET", f"/hooks/meta?hub.mode=subscribe&hub.verify_token={TOKEN}", params={"hub.challenge": page}
    )
    assert (answer.text, answer.headers["Content-Type"]) == (page, "text/plain; charset=utf-8")
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_options_is_answered_to_cloudevents_and_to_no_browser(served: Intake) -> None:
    path = f"/hooks/events/{TOKEN}"
    answer = send(served, "OPTIONS", path, headers={"WebHook-Request-Origin": "events.example"})
    assert (answer.status_code, answer.headers["WebHook-Allowed-Origin"]) == (200, "events.example")
    preflight = {"Origin": "https://x.example", "Access-Control-Request-Method": "POST"}
    refused = send(served, "OPTIONS", path, headers=preflight)
    assert refused.status_code == 405
    assert not [name for name in refused.headers if name.lower().startswith("access-control")]


def signed(body: str, *, at: float) -> dict[str, str]:
    message = f"v0:{at:.0f}:{body}".encode()
    signature = hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": f"{at:.0f}", "X-Slack-Signature": f"v0={signature}"}


def test_a_signed_challenge_is_checked_like_a_delivery_and_a_wrong_clock_is_named(served: Intake) -> None:
    body = json.dumps({"type": "url_verification", "token": "t", "challenge": "abc"})
    now = time.time()
    assert send(served, "POST", "/hooks/slack", data=body, headers=signed(body, at=now)).json() == {
        "challenge": "abc"
    }
    late = send(served, "POST", "/hooks/slack", data=body, headers=signed(body, at=now - 600))
    assert late.status_code == 401
    assert "X-Slack-Request-Timestamp is 60" in problem_of(late)["detail"]
    assert is_logged(served, "request", why="set both clocks by NTP")
    assert send(served, "POST", "/hooks/slack", data=body).status_code == 401


def test_a_challenge_that_nothing_answers_is_said_to_be_one_and_is_no_job(served: Intake) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = send(served, "POST", "/hooks/plain", json={"challenge": "abc"}, headers=headers)
    assert answer.status_code == 400
    assert 'add [source.plain.handshake], like = "challenge"' in problem_of(answer)["detail"]
    assert is_logged(served, "request", why='source.plain.handshake], like = "challenge"')
    shown = send(served, "GET", "/hooks/plain?hub.mode=subscribe&hub.challenge=1", headers=headers)
    assert (shown.status_code, "handshake" in shown.text) == (405, False)
    assert is_logged(served, "request", why='source.plain.handshake], like = "hub"')
