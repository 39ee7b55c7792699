"""Pages of other origins can do what the settings allow, by real preflights and in a real browser."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page

from ops.embedded_redis import EmbeddedRedis
from ops.installation import GENEROUS_S
from ops.ports import reserve_port
from tests.acceptance.browsing import running_browser
from tests.acceptance.intake import Intake, intake
from worker.hopper import JobFilter

JOBS = "/v1/dial-jobs"
LISTED = "https://crm.example.com"
TOKEN = "made-up-token-of-the-url"
SOURCES = f"""
[source.open]
kind = "generic"
extension = "1001"
auth = {{ kind = "none" }}
map = {{ outto = "phone" }}
[source.secret]
kind = "generic"
extension = "1001"
auth = {{ kind = "url_token", token = "{TOKEN}" }}
map = {{ outto = "phone" }}
"""


class _Blank(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>A page of another origin</title>")

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def served_page() -> Iterator[str]:
    """Serve a page on a port of its own, and return its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Blank) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def origins() -> Iterator[tuple[str, str]]:
    """The origin that the settings list, and another."""
    with served_page() as listed, served_page() as other:
        yield listed, other


@pytest.fixture(scope="module")
def served(
    redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory, origins: tuple[str, str]
) -> Iterator[Intake]:
    settings = f'[api]\ncors_origins = ["{LISTED}", "{origins[0]}"]\n', SOURCES
    with intake(tmp_path_factory.mktemp("cors"), redis_server.url, "cors", settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


def made(served: Intake) -> int:
    return len(served.dialer.hopper.find(JobFilter(), most=50)[0])


def send(url: str, method: str, path: str, **headers: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return session.request(method, url + path, headers=named, timeout=GENEROUS_S)


def preflight(
    url: str, path: str, origin: str = LISTED, headers: str = "authorization, content-type"
) -> requests.Response:
    asked = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": headers}
    return send(url, "OPTIONS", path, Origin=origin, **asked)


def test_a_preflight_is_answered_to_a_listed_origin_without_a_key_and_without_redis(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    nowhere = f"redis://127.0.0.1:{reserve_port()}/0"
    settings = (f'[api]\ncors_origins = ["{LISTED}"]\n',)
    with intake(tmp_path_factory.mktemp("away"), nowhere, "away", settings=settings) as running:
        answer = preflight(running.served.url, JOBS, headers="authorization, content-type, idempotency-key")
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == LISTED
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    "origin",
    ["https://other.example", "https://crm.example.com.evil.example", "http://crm.example.com", "null", "*"],
)
def test_another_origin_is_let_read_nothing(served: Intake, origin: str) -> None:
    client = served.client()
    assert preflight(served.served.url, JOBS, origin).status_code == 400
    for answer in (preflight(served.served.url, JOBS, origin), client.get(JOBS, headers={"Origin": origin})):
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_what_no_route_wants_is_not_allowed_ahead(served: Intake) -> None:
    assert preflight(served.served.url, JOBS, headers="x-http-method-override").status_code == 400
    assert (
        send(served.served.url, "OPTIONS", JOBS, Origin=LISTED, Access_Control_Request_Method="DELETE").status_code
        == 400
    )


def test_answers_to_a_listed_origin_can_be_read_with_their_headers_and_errors_too(served: Intake) -> None:
    client = served.client()
    created = client.post(JOBS, json={"extid": "1002", "outto": "2025550143"}, headers={"Origin": LISTED})
    assert (created.status_code, created.headers["Access-Control-Allow-Origin"]) == (202, LISTED)
    exposed = created.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"Location", "Link", "Retry-After", "RateLimit", "RateLimit-Policy", "Idempotency-Replayed"} == set(
        exposed
    )
    refused = send(served.served.url, "GET", JOBS, Origin=LISTED)
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, LISTED)


def test_only_the_interface_has_it(served: Intake) -> None:
    for path in (
        "/hooks/open",
        f"/hooks/secret/{TOKEN}",
        "/",
        "/docs",
        "/openapi.json",
        "/healthz",
        "/static/page.js",
    ):
        for answer in (preflight(served.served.url, path), send(served.served.url, "GET", path, Origin=LISTED)):
            assert not [name for name in answer.headers if name.lower().startswith("access-control")], path


def test_without_the_setting_no_origin_is_let_in(
    redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with intake(tmp_path_factory.mktemp("off"), redis_server.url, "off") as running:
        assert preflight(running.served.url, JOBS).status_code == 401
        answer = running.client().get(JOBS, headers={"Origin": LISTED})
        assert (answer.status_code, "Access-Control-Allow-Origin" in answer.headers) == (200, False)


# --- in a browser ----------------------------------------------------------------------------------------------

POST = """async ([url, options]) => {
  try {
    const answer = await fetch(url, options);
    return [answer.type, answer.status, answer.headers.get('Location'), answer.headers.get('RateLimit')];
  } catch (error) {
    return [error.name];
  }
}"""


@contextmanager
def page_of(browser: Browser, origin: str) -> Iterator[Page]:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(origin)
        yield page


def by_page(page: Page, url: str, **options: Any) -> list[Any]:
    return list(page.evaluate(POST, [url, options]))


def test_a_page_of_a_listed_origin_hands_in_a_job_and_another_cannot(
    browser: Browser, served: Intake, origins: tuple[str, str]
) -> None:
    headers = {"Authorization": f"Bearer {served.client().key}", "Content-Type": "application/json"}
    body = '{"extid": "1003", "outto": "2025550143"}'
    request = {"method": "POST", "headers": headers, "body": body}
    before = made(served)
    with page_of(browser, origins[0]) as page:
        kind, status, location, quota = by_page(page, served.served.url + JOBS, **request)
    assert (kind, status, location[: len(JOBS)]) == ("cors", 202, JOBS)
    assert quota.startswith('"default";r=')
    assert made(served) == before + 1
    with page_of(browser, origins[1]) as page:
        assert by_page(page, served.served.url + JOBS, **request) == ["TypeError"]
        # Without a preflight there is no key, and a form or a text is no JSON.
        simple = {"method": "POST", "mode": "no-cors", "body": body}
        assert by_page(page, served.served.url + JOBS, **simple)[0] == "opaque"
    assert made(served) == before + 1


def test_a_page_of_anybody_can_fire_a_hook_only_with_its_token(
    browser: Browser, served: Intake, origins: tuple[str, str]
) -> None:
    before, hooks = made(served), f"{served.served.url}/hooks"
    simple = {"method": "POST", "mode": "no-cors", "body": '{"phone": "2025550144"}'}
    for origin in origins:
        with page_of(browser, origin) as page:
            for address in ("open", "secret", "secret/guessed"):
                assert by_page(page, f"{hooks}/{address}", **simple)[0] == "opaque"
            by_page(page, f"{hooks}/secret/{TOKEN}?phone=2025550145", mode="no-cors")
            page.evaluate("url => { new Image().src = url }", f"{hooks}/open?phone=2025550145")
            page.evaluate("url => navigator.sendBeacon(url, 'phone=2025550145')", f"{hooks}/open")
            page.goto(f"{hooks}/secret/{TOKEN}?phone=2025550145")
    assert made(served) == before
    with page_of(browser, origins[1]) as page:
        assert by_page(page, f"{hooks}/secret/{TOKEN}", **simple)[0] == "opaque"
    assert made(served) == before + 1
