"""What a server may send before its final reply, and servers that do."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.tls_servers import TlsServer, resetting, serving

BODY = b'{"status":"Success","callid":"1795487410.5"}'
FINAL = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)

KEPT = FINAL.replace(b"Connection: close\r\n", b"")


def interim(status: int, headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d Whatever\r\n%b\r\n" % (status, headers)


HINTS = b"Link: </style.css>; rel=preload; as=style\r\n"
# The final reply after these counts.
SKIPPED = {
    "100": interim(100),
    "101": interim(101, b"Upgrade: h2c\r\n"),
    "102": interim(102),
    "103": interim(103, HINTS),
    "199": interim(199),
    "several": interim(100) + interim(103, HINTS) + interim(102) + interim(100) + interim(103, HINTS),
    "a hundred": interim(102) * 100,
    "by HTTP/1.0": b"HTTP/1.0 103 Early Hints\r\n\r\n",
    "without words": b"HTTP/1.1 103\r\n\r\n",
    "long headers": interim(103, b"Link: <%b>\r\n" % (b"x" * 60_000)) * 4,
    "with a body's headers": interim(
        103, b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
    ),
    "bare newlines": b"HTTP/1.1 103 Early Hints\nLink: x\n\n",
}
# Too many or too long: a final reply after these is not read.
ENDLESS = {
    "replies": interim(102) * 101,
    "100s": interim(100) * 10_000,
    "headers": interim(103, HINTS * 10_000),
    "a line": interim(103, b"Link: <%b>\r\n" % (b"x" * 300_000)),
}


@contextmanager
def replying(reply: bytes) -> Iterator[TlsServer]:
    """Serve in plain HTTP: answer requests by these bytes, and close where they say so or nothing final."""

    def serve(plain: socket.socket, server: TlsServer) -> None:
        while request := _request_from(plain):
            server.received.append(request)
            plain.sendall(reply)
            if b"Connection: close" in reply or not reply.endswith(BODY):
                return

    with serving(serve) as server:
        yield server


@contextmanager
def answering_once_per_connection() -> Iterator[TlsServer]:
    """Keep each connection after its first request, and reset it when the second comes, which nobody reads."""

    def serve(plain: socket.socket, server: TlsServer) -> None:
        if request := _request_from(plain):
            server.received.append(request)
            plain.sendall(KEPT)
            if plain.recv(1):
                resetting(plain, server)

    with serving(serve) as server:
        yield server


def _request_from(connection: socket.socket) -> bytes:
    """Return a request with its body, which must be JSON; empty at the end of the connection."""
    received = b""
    while not received.endswith(b"}"):
        if not (chunk := connection.recv(65536)):
            return b""
        received += chunk
    return received
