"""The health check of what serves HTTP, against real servers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ops.docker import probe
from ops.ports import reserve_port


@contextmanager
def answering(status: int) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" and self.headers["Host"] else 404)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/readyz"
        server.shutdown()
        thread.join()


def test_who_answers_200_is_well() -> None:
    with answering(200) as url:
        assert probe.main([url]) == 0


def test_who_answers_anything_else_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(503) as url:
        assert probe.main([url]) == 1
    assert capsys.readouterr().err == "answered 503\n"


def test_who_does_not_listen_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.main([f"http://127.0.0.1:{reserve_port()}/"]) == 1
    assert capsys.readouterr().err.startswith("no answer: ")
