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

# A request that is there in time is sent with the connection's first breath, so a second is long enough for it.
IMPATIENT = Patience(head_s=1, idle_s=0.3, rest_s=1, quiet_s=0.3, unread_s=0.5, rest_bytes=2**20)
# Waits for all that may come, and only for the rest of what was refused not for long.
PATIENT = Patience(head_s=600, idle_s=600, rest_s=1, quiet_s=0.3, unread_s=600, connections=10)
GENEROUS_S = 60.0
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def hello(_request: Request) -> Response:
    return Response("hello")


async def body_soon(request: Request) -> Response:
    return await _body(request, within_s=0.2)


async def body_late(request: Request) -> Response:
    return await _body(request, within_s=GENEROUS_S)


async def _body(request: Request, *, within_s: float) -> Response:
    try:
        await read_body(request, most=1000, within_s=within_s)
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

    def __init__(self, settings: ApiSettings, patience: Patience) -> None:
        posts = [Route("/soon", body_soon, methods=["POST"]), Route("/late", body_late, methods=["POST"])]
        app = Starlette(routes=[Route("/", hello), *posts, Route("/much", much)])
        self.server = Server(app, settings, let_go=lambda: None, connection=within(patience))
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
        return socket.create_connection(("127.0.0.1", self.port), timeout=GENEROUS_S)


@pytest.fixture(scope="module")
def impatient() -> Iterator[Serving]:
    with Serving(ApiSettings(port=0), IMPATIENT).running() as serving:
        yield serving


@pytest.fixture(scope="module")
def patient() -> Iterator[Serving]:
    with Serving(ApiSettings(port=0), PATIENT).running() as serving:
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
    (b"POST /soon HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", b"HTTP/1.1 408"),
    (b"POST /soon HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{", b"HTTP/1.1 408"),
    (b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", b"HTTP/1.1 404"),
]


def test_who_stops_half_way_is_given_up(impatient: Serving) -> None:
    slow = []
    for sent, _ in HALF_WAY:
        slow.append(impatient.connect())
        slow[-1].sendall(sent)
    with impatient.connect() as other:
        other.sendall(GET)
        assert other.recv(1000).startswith(b"HTTP/1.1 200")
    for connection, (_, status) in zip(slow, HALF_WAY, strict=True):
        with connection:
            assert all_of(connection)[: len(status) or 1] == status


def test_who_never_reads_an_answer_is_cut_off(impatient: Serving) -> None:
    with impatient.connect() as deaf:
        deaf.sendall(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
        # Seen from the client's end: at the server's, the connection may be gone before the first look.
        with pytest.raises(ConnectionError):
            eventually(lambda: deaf.send(b"x") and None)


def test_a_body_without_end_is_read_so_far_and_no_further(impatient: Serving) -> None:
    with impatient.connect() as endless, pytest.raises(ConnectionError):
        endless.sendall(
            b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" + bytes(50_000_000)
        )


def test_too_many_connections_are_told_so(patient: Serving) -> None:
    waiting = [patient.connect() for _ in range(10)]
    eventually(lambda: patient.open_connections == 10)
    with patient.connect() as one_more:
        answer = all_of(one_more)
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 2\r\n" in answer
    for connection in waiting:
        connection.close()
    eventually(lambda: patient.open_connections == 0)
    with patient.connect() as again:
        again.sendall(GET)
        assert again.recv(1000).startswith(b"HTTP/1.1 200")


def test_an_upgrade_is_not_followed_and_the_body_is_read(impatient: Serving) -> None:
    h2c = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
    post = b"POST /late HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n" + h2c + b"\r\n"
    for pieces in ((post, b"body"), (post + b"body",), (post + b"bo", b"dy"), (post + b"body" + GET,)):
        with impatient.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                connection.sendall(piece)
            assert all_of(connection).startswith(b"HTTP/1.1 200 OK")
    with impatient.connect() as connection:
        connection.sendall(GET[:-2] + h2c + b"\r\n" + post + b"body")
        assert all_of(connection).count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("target", [b"/", b"/nothing"])
def test_a_tunnel_is_refused_with_an_answer(patient: Serving, target: bytes) -> None:
    for rest in (b"", GET, b"\x16\x03\x01\x02\x00\x01"):
        with patient.connect() as connection:
            connection.sendall(b"CONNECT " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n" + rest)
            answer = all_of(connection)
            assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 405"))
            assert answer.count(b"HTTP/1.1 ") == 1


def test_it_is_the_same_over_tls(tmp_path: Path) -> None:
    certificate = keep_certificate(tmp_path, host="127.0.0.1")
    trusting = ssl.create_default_context(cafile=str(certificate.cert_file))
    settings = ApiSettings(port=0, tls_cert=certificate.cert_file, tls_key=certificate.key_file)
    with Serving(settings, IMPATIENT).running() as serving:
        for sent, status in ((GET, b"200"), (b"GET / HT", b"408")):
            with trusting.wrap_socket(serving.connect(), server_hostname="127.0.0.1") as connection:
                connection.sendall(sent)
                assert all_of(connection).startswith(b"HTTP/1.1 " + status)
