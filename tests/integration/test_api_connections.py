"""Slow, silent and deaf clients of a real server: each is given up, and harms nobody else."""

import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ops.installation import eventually
from ops.pbx_simulator.certificate import keep_certificate
from producers.api.bodies import read_body
from producers.api.connections import within
from producers.api.patience import Patience
from producers.api.problems import Problem
from producers.api.server import Server
from worker.settings import ApiSettings

PATIENCE = Patience(head_s=0.3, idle_s=0.3, rest_s=1, quiet_s=0.3, unread_s=0.5, connections=10, rest_bytes=2**20)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def hello(_request: Request) -> Response:
    return Response("hello")


async def body(request: Request) -> Response:
    try:
        await read_body(request, most=1000, within_s=0.2)
    except Problem as problem:
        return problem.response()
    return Response("read")


async def much(_request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(10_000):
            yield bytes(2**16)

    return StreamingResponse(parts())


class Serving:
    """A server in a thread of this process."""

    def __init__(self, settings: ApiSettings) -> None:
        app = Starlette(routes=[Route("/", hello), Route("/", body, methods=["POST"]), Route("/much", much)])
        self.server = Server(app, settings, let_go=lambda: None, connection=within(PATIENCE))
        self._thread = threading.Thread(target=self.server.run)

    @contextmanager
    def running(self) -> Iterator["Serving"]:
        self._thread.start()
        try:
            eventually(lambda: self.server.started)
            self.port = self.server.servers[0].sockets[0].getsockname()[1]
            yield self
        finally:
            self.server.should_exit = True
            self._thread.join()

    @property
    def open_connections(self) -> int:
        return len(self.server.server_state.connections)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


@pytest.fixture(scope="module")
def serving() -> Iterator[Serving]:
    with Serving(ApiSettings(port=0)).running() as serving:
        yield serving


def all_of(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


HALF_WAY = [
    (b"GET / HTTP/1.1\r\nHost: x\r\nX-A", b"HTTP/1.1 408"),
    (b"", b""),
    (b"\r\n\r\n", b""),
    (GET, b"HTTP/1.1 200"),
    (GET + b"GET / HT", b"HTTP/1.1 200"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", b"HTTP/1.1 408"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{", b"HTTP/1.1 408"),
    (b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", b"HTTP/1.1 404"),
]


def test_who_stops_half_way_is_given_up(serving: Serving) -> None:
    slow = [serving.connect() for _ in HALF_WAY]
    for connection, (sent, _) in zip(slow, HALF_WAY, strict=True):
        connection.sendall(sent)
    with serving.connect() as other:
        other.sendall(GET)
        assert other.recv(1000).startswith(b"HTTP/1.1 200")
    for connection, (_, status) in zip(slow, HALF_WAY, strict=True):
        with connection:
            assert all_of(connection)[: len(status) or 1] == status


def test_who_never_reads_an_answer_is_cut_off(serving: Serving) -> None:
    with serving.connect() as deaf:
        deaf.sendall(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: serving.open_connections == 1)
        eventually(lambda: serving.open_connections == 0)


def test_a_body_without_end_is_read_so_far_and_no_further(serving: Serving) -> None:
    with serving.connect() as endless, pytest.raises(ConnectionError):
        endless.sendall(
            b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" + bytes(50_000_000)
        )


def test_too_many_connections_are_told_so(serving: Serving) -> None:
    waiting = [serving.connect() for _ in range(10)]
    eventually(lambda: serving.open_connections == 10)
    with serving.connect() as one_more:
        answer = all_of(one_more)
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 2\r\n" in answer
    for connection in waiting:
        connection.close()
    eventually(lambda: serving.open_connections == 0)
    with serving.connect() as again:
        again.sendall(GET)
        assert again.recv(1000).startswith(b"HTTP/1.1 200")


def test_an_upgrade_is_not_followed_and_the_body_is_read(serving: Serving) -> None:
    h2c = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n" + h2c + b"\r\n"
    for pieces in ((post, b"body"), (post + b"body",), (post + b"bo", b"dy"), (post + b"body" + GET,)):
        with serving.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                connection.sendall(piece)
            assert all_of(connection).startswith(b"HTTP/1.1 200 OK")
    with serving.connect() as connection:
        connection.sendall(GET[:-2] + h2c + b"\r\n" + post + b"body")
        assert all_of(connection).count(b"HTTP/1.1 200 OK") == 2


def test_it_is_the_same_over_tls(tmp_path: Path) -> None:
    certificate = keep_certificate(tmp_path, host="127.0.0.1")
    trusting = ssl.create_default_context(cafile=str(certificate.cert_file))
    settings = ApiSettings(port=0, tls_cert=certificate.cert_file, tls_key=certificate.key_file)
    with Serving(settings).running() as serving:
        for sent, status in ((GET, b"200"), (b"GET / HT", b"408")):
            with trusting.wrap_socket(serving.connect(), server_hostname="127.0.0.1") as connection:
                connection.sendall(sent)
                assert all_of(connection).startswith(b"HTTP/1.1 " + status)
