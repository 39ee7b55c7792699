"""Takes whatever is sent to it: the CRM's end of webhooks, and a collector of traces."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(ThreadingHTTPServer):
    """
    Answers every POST with 200 and keeps what it brought.

    Args:
        context: By TLS with this, or by plain HTTP.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Taker)
        self.bodies: list[bytes] = []
        self._context = context

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"{'https' if self._context else 'http'}://localhost:{self.server_port}"

    @property
    def text(self) -> str:
        """Everything that it was brought."""
        return b"\n".join(list(self.bodies)).decode(errors="replace")

    def finish_request(self, request, client_address) -> None:  # type: ignore[no-untyped-def]  # as the base class
        """Answer one connection; the handshake is made here, in the connection's own thread."""
        try:
            request.settimeout(10)
            if self._context is not None:
                request.getpeername()  # fails for a client that is gone, whose socket wrap_socket would leave open
                request = self._context.wrap_socket(request, server_side=True)
            super().finish_request(request, client_address)
        except OSError:
            pass  # whoever sent it was killed, or cut off
        finally:
            request.close()  # the base class closes the one without TLS alone

    @contextmanager
    def running(self) -> Iterator["Receiver"]:
        """Serve for the length of the block."""
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="receiver")
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class _Taker(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.bodies.append(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass
