"""Only the methods that a source names bring deliveries; no other request makes a phone ring."""

import json
from collections.abc import Iterator
from http.client import HTTPResponse
from itertools import count

import pytest

from ops.embedded_redis import EmbeddedRedis
from tests.acceptance.intake import JOB, Intake, intake, problem_of
from worker.hopper import JobFilter

TOKEN = "made-up-token-of-the-url"
SOURCES = f"""
[source.post]
kind = "generic"
extension = "1001"
auth = {{ kind = "url_token", token = "{TOKEN}" }}
map = {{ outto = "phone" }}
[source.open]
kind = "generic"
extension = "1001"
auth = {{ kind = "none" }}
map = {{ outto = "phone" }}
[source.link]
kind = "generic"
methods = ["POST", "GET"]
extension = "1001"
auth = {{ kind = "url_token", token = "{TOKEN}" }}
map = {{ outto = "phone" }}
[source.rest]
kind = "generic"
methods = ["PUT", "PATCH"]
extension = "1001"
auth = {{ kind = "bearer", token = "{TOKEN}" }}
map = {{ outto = "phone" }}
"""
JOBS = "/v1/dial-jobs"
# Some of those that the parser knows, of WebDAV and UPnP too.
NEVER = ("HEAD", "OPTIONS", "TRACE", "CONNECT", "DELETE", "PROPFIND", "REPORT", "SUBSCRIBE", "QUERY", "PURGE")
BODILESS = ("HEAD", "TRACE", "CONNECT")
PREFLIGHT = ("Origin: https://x.example", "Access-Control-Request-Method: POST")
OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-Method", "_method")
_numbers = count(100)


@pytest.fixture(scope="module")
def served(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    with intake(tmp_path_factory.mktemp("methods"), redis_server.url, "methods", settings=(SOURCES,)) as running:
        yield running


def a_body() -> bytes:
    """A delivery that came never before."""
    return json.dumps({"phone": f"2025550{next(_numbers)}"}).encode()


def send(served: Intake, method: str, target: str, *headers: str, body: bytes = b"") -> HTTPResponse:
    """Send one request with its URL as it is, and a proof for every source in its headers."""
    lines = [f"{method} {target} HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}", *headers]
    lines += [f"Content-Length: {len(body)}"] if body else []
    raw = "\r\n".join([*lines, "", ""]).encode() + body
    with served.connection() as connection:
        connection.sendall(raw)
        response = HTTPResponse(connection, method=method)
        response.begin()
        response.text = response.read().decode()  # type: ignore[attr-defined]
        return response


def made(served: Intake) -> int:
    """Return how many jobs there are, refused ones too."""
    return len(served.dialer.hopper.find(JobFilter(), most=200)[0])


@pytest.mark.parametrize("source", ["post", "open", "link", "rest"])
@pytest.mark.parametrize("method", NEVER)
def test_a_method_that_no_source_can_name_makes_no_job(served: Intake, method: str, source: str) -> None:
    before, query = made(served), f"phone=2025550{next(_numbers)}"
    for target in (f"/hooks/{source}/{TOKEN}?{query}", f"/hooks/{source}?{query}"):
        for more in ((), (f"{OVERRIDES[0]}: POST",), PREFLIGHT):
            answer = send(served, method, target, *more, body=b"" if method in BODILESS else a_body())
            assert answer.status == 405
            assert "access-control-allow-origin" not in answer.headers
    assert made(served) == before


@pytest.mark.parametrize(
    ("source", "allow"), [("post", "POST"), ("open", "POST"), ("link", "GET, POST"), ("rest", "PATCH, PUT")]
)
def test_allow_names_the_methods_of_the_source(served: Intake, source: str, allow: str) -> None:
    answer = send(served, "DELETE", f"/hooks/{source}/{TOKEN}")
    assert (answer.status, answer.headers["Allow"]) == (405, allow)
    assert allow in problem_of(answer)["detail"]


def test_a_delivery_comes_by_the_methods_of_its_source_alone(served: Intake) -> None:
    for source in ("post", "open", "link", "rest"):
        methods = {"link": {"POST", "GET"}, "rest": {"PUT", "PATCH"}}.get(source, {"POST"})
        for method in ("POST", "PUT", "PATCH", "GET"):
            before = made(served)
            path = f"/hooks/{source}/{TOKEN}?phone=2025550{next(_numbers)}"
            answer = send(served, method, path, body=b"" if method == "GET" else a_body())
            assert answer.status == (200 if method in methods else 405), (source, method)
            assert made(served) == before + (method in methods), (source, method)


@pytest.mark.parametrize("header", OVERRIDES)
def test_no_header_turns_a_get_into_a_post_or_a_post_into_another(served: Intake, header: str) -> None:
    before, query = made(served), f"phone=2025550{next(_numbers)}"
    assert send(served, "GET", f"/hooks/post/{TOKEN}?_method=POST&{query}", f"{header}: POST").status == 405
    assert made(served) == before
    target = f"/hooks/post/{TOKEN}?_method=HEAD"
    assert send(served, "POST", target, f"{header}: HEAD", body=a_body()).status == 200
    assert made(served) == before + 1


@pytest.mark.parametrize("mark", ["Sec-Purpose: prefetch;prerender", "Purpose: prefetch", "X-Moz: prefetch"])
def test_a_browser_that_fetches_ahead_makes_no_job_even_where_get_may(served: Intake, mark: str) -> None:
    before, target = made(served), f"/hooks/link/{TOKEN}?phone=2025550{next(_numbers)}"
    assert send(served, "GET", target, mark).status == 403
    assert made(served) == before
    assert send(served, "GET", target, "Sec-Fetch-Mode: navigate").status == 200


def test_a_405_shows_no_more_of_a_name_than_a_401_does(served: Intake) -> None:
    known, unknown = (send(served, "HEAD", f"/hooks/{name}/x?phone=1") for name in ("post", "nothing"))
    assert (known.status, known.headers["Allow"]) == (unknown.status, unknown.headers["Allow"]) == (405, "POST")
    answers = [send(served, "DELETE", f"/hooks/{name}/x") for name in ("post", "nothing")]
    assert answers[0].text == answers[1].text  # type: ignore[attr-defined]
    assert send(served, "POST", "/hooks/post/x", body=b"{}").status == 401
    assert send(served, "POST", "/hooks/nothing/x", body=b"{}").status == 404


def test_a_405_is_answered_before_the_body_has_come(served: Intake) -> None:
    with served.connection() as connection:
        connection.sendall(b"DELETE /hooks/post HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        response = HTTPResponse(connection, method="DELETE")
        response.begin()
        assert response.status == 405


def test_a_method_in_small_letters_or_of_nobody_is_no_request(served: Intake) -> None:
    before = made(served)
    for method in ("post", "get", "FOO", "POSTS"):
        assert send(served, method, f"/hooks/open?phone=2025550{next(_numbers)}", body=b"{}").status == 400
    assert made(served) == before


def test_a_look_at_the_interface_changes_nothing(served: Intake) -> None:
    client = served.client()
    href = client.hand_in().headers["Location"]
    before = served.dialer.hopper.find(JobFilter(), most=200)[0]
    for method in ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "DELETE"):
        for path in (JOBS, f"{JOBS}:batch", f"{href}:cancel", f"{href}:resolve", "/v1/pbxs:pause"):
            answer = client.send(method, path, json=JOB if method in ("PUT", "PATCH") else None)
            is_list = path == JOBS and method in ("GET", "HEAD")
            assert answer.status_code == (200 if is_list else 405), (method, path)
    assert served.dialer.hopper.find(JobFilter(), most=200)[0] == before
    assert client.get("/v1/pbxs").json()["everything_paused"] is False
