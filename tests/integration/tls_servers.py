"""Servers on loopback whose TLS fails in one way each, for PBXs, endpoints and Redis alike."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Serve = Callable[[socket.socket, "TlsServer"], None]

REPLY = b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 20\r\n\r\n{"status":"Success"}'
# struct linger: on, for 0 s. Closing then sends a reset.
_RESET = b"\1\0\0\0\0\0\0\0"
_PATIENCE_S = 20.0


@dataclass
class TlsServer:
    """Where it listens, every byte of requests that it could read, and the connection that it serves now."""

    port: int
    received: list[bytes] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    live: socket.socket | None = None


def over_tls(context: ssl.SSLContext) -> Serve:
    """Answer over TLS; a handshake that fails on this side leaves the client time to read why."""

    def serve(plain: socket.socket, server: TlsServer) -> None:
        if plain.recv(1, socket.MSG_PEEK) != b"\x16":
            return  # no handshake; OpenSSL closes without a word
        try:
            with context.wrap_socket(plain, server_side=True) as secure:
                if request := secure.recv(65536):
                    server.received.append(request)
                    secure.sendall(REPLY)
                    _read_to_the_end(secure)
        except OSError:
            # The duplicate has kept the connection open: a reset would overtake the alert.
            assert server.live is not None
            _read_to_the_end(server.live)

    return serve


def in_plain(reply: bytes) -> Serve:
    """Answer every request by these bytes, without TLS."""

    def serve(plain: socket.socket, _server: TlsServer) -> None:
        plain.recv(65536)
        plain.sendall(reply)
        _read_to_the_end(plain)

    return serve


def silent(plain: socket.socket, server: TlsServer) -> None:
    """Take the connection and say nothing."""
    server.ended.wait(_PATIENCE_S)


def closing(plain: socket.socket, _server: TlsServer) -> None:
    """Read the beginning of the handshake, and close in order."""
    plain.recv(65536)


def resetting(plain: socket.socket, _server: TlsServer) -> None:
    """Read what has come, and reset the connection."""
    plain.recv(65536)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


@contextmanager
def serving(serve: Serve) -> Iterator[TlsServer]:
    """Serve on a free port for the length of the block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = TlsServer(listening.getsockname()[1])
        thread = threading.Thread(target=_accept, args=(listening, serve, server), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            for waiting in filter(None, (listening, server.live)):
                with contextlib.suppress(OSError):
                    waiting.shutdown(socket.SHUT_RDWR)  # wakes the thread
            thread.join()


def _accept(listening: socket.socket, serve: Serve, server: TlsServer) -> None:
    while True:
        try:
            plain, _ = listening.accept()
        except OSError:
            return
        # The handshake takes the handle away from the socket itself.
        with plain, plain.dup() as server.live, contextlib.suppress(OSError):
            plain.settimeout(_PATIENCE_S)
            serve(plain, server)


def _read_to_the_end(connection: socket.socket) -> None:
    connection.settimeout(_PATIENCE_S)
    with contextlib.suppress(OSError):
        while connection.recv(65536):
            pass
