"""CRM endpoints on loopback, over real HTTPS, that do whatever a test wants."""

import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from ops.pbx_simulator.certificate import Certificate

# The secret in an endpoint's address: long enough to be searched for.
TOKEN = "t0ken-of-an-endpoint"


@dataclass
class Request:
    """One request as it came; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Endpoint:
    """
    A server and what it was sent.

    `answer` is asked for a status and headers for each request, or writes to the socket itself and returns None.
    """

    url: str
    certificate: Certificate | None
    answer: Callable[["_Handler", Request], tuple[int, dict[str, str]] | None]
    requests: list[Request] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1].split("/")[0])

    @property
    def ca_file(self) -> Path:
        assert self.certificate is not None
        return self.certificate.cert_file


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (OSError, ValueError):  # the client went away
            self.close_connection = True

    def do_POST(self) -> None:
        endpoint: Endpoint = self.server.endpoint  # type: ignore[attr-defined]  # of the server below
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, self.path, {n.lower(): v for n, v in self.headers.items()}, body)
        endpoint.requests.append(request)
        answer = endpoint.answer(self, request)
        if answer is not None:
            status, headers = answer
            self.send_response(status)
            for name, value in ({"Content-Length": "0"} | headers).items():
                self.send_header(name, value)
            self.end_headers()

    def do_PUT(self) -> None:
        self.do_POST()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    request_queue_size = 64
    context: ssl.SSLContext | None = None

    def finish_request(self, request: object, client_address: object) -> None:
        try:
            if self.context is not None:
                request.settimeout(60)  # type: ignore[attr-defined]  # a socket
                request = self.context.wrap_socket(request, server_side=True)  # type: ignore[arg-type]
            super().finish_request(request, client_address)  # type: ignore[arg-type]
        except (OSError, ValueError):
            pass  # a client that did not like the certificate, or went away
        finally:
            request.close()  # type: ignore[attr-defined]


Answer = Callable[[_Handler, Request], tuple[int, dict[str, str]] | None]


def always(status: int, **headers: str) -> Answer:
    return lambda _handler, _request: (status, {name.replace("_", "-"): value for name, value in headers.items()})


def in_turn(*statuses: int) -> Answer:
    """Answer with these, and with the last of them for ever."""
    left = list(statuses)
    return lambda _handler, _request: (left.pop(0) if len(left) > 1 else left[0], {})


def hang(handler: _Handler, _request: Request) -> None:
    endpoint: Endpoint = handler.server.endpoint  # type: ignore[attr-defined]
    endpoint.ended.wait(60)
    handler.close_connection = True


def drip(head: bytes) -> Answer:
    """Send *head*, and then a byte at a time for ever."""

    def answer(handler: _Handler, _request: Request) -> None:
        endpoint: Endpoint = handler.server.endpoint  # type: ignore[attr-defined]
        handler.wfile.write(head)
        while not endpoint.ended.wait(0.02):
            handler.wfile.write(b"x")
        handler.close_connection = True

    return answer


@contextmanager
def endpoint(certificate: Certificate | None, answer: Answer) -> Iterator[Endpoint]:
    """Serve on a free port for the length of the block; without a certificate by plain HTTP."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        scheme = "https" if certificate else "http"
        url = f"{scheme}://localhost:{server.server_address[1]}/hook?token={TOKEN}"
        served = Endpoint(url, certificate, answer)
        server.endpoint = served  # type: ignore[attr-defined]
        server.context = certificate.server_context() if certificate else None
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            served.ended.set()
            server.shutdown()
            thread.join()


Serve = Callable[[Answer], Endpoint]
LOOPBACK = ["127.0.0.0/8", "::1/128"]
