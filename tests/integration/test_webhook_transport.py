"""One call to an endpoint, over real HTTPS: where it may go, how long it may take, what it leaves in texts."""

import socket
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from ops.ports import reserve_port
from tests.integration.endpoints import LOOPBACK, TOKEN, Answer, Endpoint, Serve, always, drip, endpoint, hang
from tests.integration.interim_replies import ENDLESS, FINAL, SKIPPED, interim, replying
from worker.webhooks import Call
from worker.webhooks.endpoints import Route
from worker.webhooks.transport import NoReply, Reply, Transport


def route_to(served: Endpoint, **changes: object) -> Route:
    values: dict[str, object] = {"allow_networks": LOOPBACK, "ca_file": served.ca_file}
    return Route.model_validate(values | changes)


def call_to(url: str) -> Call:
    return Call("POST", url, {"Authorization": "Bearer s3cret", "host": "evil", "Content-Length": "7"}, b'{"a":1}')


def loopback(_host: str, _port: int, _within_s: float) -> Sequence[str]:
    return ["127.0.0.1"]


def send(served: Endpoint, *, transport: Transport | None = None, url: str = "", **changes: object) -> object:
    return (transport or Transport()).send(call_to(url or served.url), route_to(served, **changes))


def test_a_call_arrives_whole_at_the_checked_address(serve: Serve) -> None:
    served = serve(always(204))

    assert send(served) == Reply(204)
    [request] = served.requests
    assert (request.method, request.path, request.body) == ("POST", f"/hook?token={TOKEN}", b'{"a":1}')
    assert request.headers["host"] == f"localhost:{served.port}"
    assert request.headers["content-length"] == "7"


def test_an_address_of_our_own_network_is_refused_unless_allowed(serve: Serve) -> None:
    served = serve(always(200))

    refused = send(served, allow_networks=[])

    assert isinstance(refused, NoReply)
    assert "not public" in refused.error
    assert served.requests == []


@pytest.mark.parametrize("also", ["10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_one_address_that_is_not_public_spoils_the_name(serve: Serve, also: str) -> None:
    served = serve(always(200))
    transport = Transport(resolve=lambda *_: ["127.0.0.1", also])

    assert isinstance(send(served, transport=transport), NoReply)
    assert served.requests == []


def test_a_name_that_changes_its_address_is_asked_once(serve: Serve) -> None:
    served = serve(always(200))
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    transport = Transport(resolve=lambda *_: next(answers))

    assert send(served, transport=transport) == Reply(200)
    assert isinstance(send(served, transport=transport), NoReply)
    assert len(served.requests) == 1


def test_the_certificate_has_to_prove_the_name_and_not_the_address(serve: Serve) -> None:
    served = serve(always(200))
    url = served.url.replace("localhost", "crm.example.com")

    wrong = send(served, transport=Transport(resolve=loopback), url=url)

    assert isinstance(wrong, NoReply)
    assert wrong.error.startswith("its TLS certificate is not for the host name in its address; ")
    assert served.requests == []
    assert isinstance(send(served, ca_file=None), NoReply)
    assert send(served, url=served.url.replace("localhost", "127.0.0.1")) == Reply(200)


def test_a_redirect_is_not_followed(serve: Serve) -> None:
    inner = serve(always(200))
    outer = serve(always(307, Location=inner.url))

    assert send(outer) == Reply(307)
    assert inner.requests == []


def test_no_proxy_of_the_environment_is_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve(always(200))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert send(served) == Reply(200)


@pytest.mark.parametrize(
    "answer",
    [hang, drip(b"HTTP/1.1 200 OK\r\nX: "), drip(b"HTTP/1.1 2"), drip(b"")],
    ids=["hang", "header", "status", "nothing"],
)
def test_an_answer_that_does_not_come_is_not_waited_for(serve: Serve, answer: Answer) -> None:
    served = serve(answer)

    assert send(served, timeout_s=0.15) == NoReply("it did not answer within 0.15 s")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
    ],
    ids=["long", "endless", "chunked"],
)
def test_a_status_counts_whatever_becomes_of_the_rest(
    serve: Serve, head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.webhooks.transport._REST_S", 0.1)
    served = serve(drip(head))

    assert send(served) == Reply(200)


def test_a_tls_handshake_that_does_not_come_is_not_waited_for(serve: Serve) -> None:
    served = serve(always(200))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        heard = send(served, url=f"https://localhost:{port}/", timeout_s=0.15)

    assert isinstance(heard, NoReply)
    assert heard.error.startswith("it did not answer the TLS handshake in time; ")


def test_a_name_that_nobody_resolves_is_not_waited_for(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served, go_on = serve(always(200)), threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: go_on.wait(30) and [])

    heard = send(served, timeout_s=0.15)

    go_on.set()
    assert isinstance(heard, NoReply)
    assert "within 0.15 s" in heard.error or "not resolved in time" in heard.error


def test_where_nobody_listens_or_no_name_is_known_it_says_so(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(always(200))
    refused = send(served, url=f"https://127.0.0.1:{reserve_port()}/")

    def not_known(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    # What a name server says, and how soon, is not ours to test.
    monkeypatch.setattr(socket, "getaddrinfo", not_known)
    unknown = send(served, url="https://nobody.invalid/")

    assert refused == NoReply("connection refused; check its port, and whether the server runs")
    assert isinstance(unknown, NoReply)
    assert unknown.error == "its name is not known"


def test_of_several_addresses_the_first_that_answers_is_taken(serve: Serve) -> None:
    served = serve(always(200))
    transport = Transport(resolve=lambda *_: ["127.0.0.2", "127.0.0.1"])

    assert send(served, transport=transport) == Reply(200)


@pytest.mark.parametrize(
    ("answer", "status"),
    [(always(429, Retry_After="120"), Reply(429, "120")), (always(410), Reply(410)), (always(500), Reply(500))],
)
def test_what_came_back_is_told(serve: Serve, answer: Answer, status: Reply) -> None:
    assert send(serve(answer)) == status


@pytest.mark.parametrize(
    "garbage", [b"hello\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200]
)
def test_an_answer_that_is_no_http_is_no_success(serve: Serve, garbage: bytes) -> None:
    def answer(handler: object, _request: object) -> None:
        handler.wfile.write(garbage)  # type: ignore[attr-defined]
        handler.close_connection = True  # type: ignore[attr-defined]

    heard = send(serve(answer))

    assert heard == NoReply("the connection broke before its answer was there")


@pytest.mark.parametrize(
    ("url", "ports", "goes"),
    [
        ("https://{host}/", (), False),
        ("https://{host}/", (0,), True),
        ("http://{host}/", None, False),
        ("ftp://{host}/", None, False),
        ("https://user@{host}/", None, False),
        ("https:///", None, False),
    ],
)
def test_a_call_goes_only_where_its_url_may_lead(
    serve: Serve, url: str, ports: tuple[int, ...] | None, goes: bool
) -> None:
    served = serve(always(200))
    allowed = ports and tuple(port or served.port for port in ports)
    written = url.format(host=f"localhost:{served.port}")

    heard = Transport().send(call_to(written), route_to(served), ports=allowed)

    assert isinstance(heard, Reply) is goes
    assert len(served.requests) == goes


def in_plain(port: int) -> object:
    route = Route.model_validate({"allow_networks": LOOPBACK, "allow_http": True})
    return Transport().send(call_to(f"http://127.0.0.1:{port}/"), route)


@pytest.mark.parametrize("before", list(SKIPPED.values()), ids=list(SKIPPED))
def test_interim_answers_are_skipped(before: bytes) -> None:
    with replying(before + FINAL) as server:
        assert in_plain(server.port) == Reply(200)


@pytest.mark.parametrize(
    "cut", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"]
)
def test_an_answer_whose_headers_are_cut_off_is_none(cut: bytes) -> None:
    with replying(cut) as server:
        assert isinstance(in_plain(server.port), NoReply)


def test_a_refusal_after_an_interim_answer_is_a_refusal() -> None:
    refusal = b"HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
    with replying(interim(103, b"Retry-After: 9\r\n") + refusal) as server:
        assert in_plain(server.port) == Reply(429, "7")


@pytest.mark.parametrize("answer", list(ENDLESS.values()), ids=list(ENDLESS))
def test_interim_answers_without_end_are_no_answer(answer: bytes) -> None:
    with replying(answer + FINAL) as server:
        assert in_plain(server.port) == NoReply(
            "it sent interim answers (HTTP 1xx) without end, and no final one; see the server's log"
        )


def test_interim_answers_that_drip_in_are_not_waited_for(serve: Serve) -> None:
    served = serve(drip(interim(103) + b"HTTP/1.1 103 Early Hints\r\nX: "))
    assert send(served, timeout_s=0.15) == NoReply("it did not answer within 0.15 s")


def test_plain_http_goes_where_it_is_allowed() -> None:
    with endpoint(None, always(200)) as served:
        route = Route.model_validate({"allow_networks": LOOPBACK, "allow_http": True})
        assert Transport().send(call_to(served.url), route) == Reply(200)
        assert isinstance(Transport().send(call_to(served.url), Route(allow_networks=LOOPBACK)), NoReply)  # type: ignore[arg-type]


def test_no_text_holds_what_was_sent(serve: Serve, tmp_path: Path) -> None:
    served = serve(always(200))
    bad = Call("POST", served.url, {"X-Key": "s3cret\r\nX: y"}, b"")

    heard = Transport().send(bad, route_to(served))

    assert isinstance(heard, NoReply)
    assert "s3cret" not in heard.error
    assert "headers" in heard.error
    assert "s3cret" not in repr(bad)
    assert TOKEN not in repr(bad)
