"""Connections to PBXs are kept within bounds, and a process that may open no more files blames no PBX."""

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ops.installation import eventually
from ops.ports import connections_to
from tests.conftest import pbx_settings
from worker.errors import OutOfFiles
from worker.pbx.kept import MOST_PBXS
from worker.pbx.transport import Transport

DIAL = "v1.0.0/extension/dial_outbound"
REPLY = b'{"status": "Success", "callid": "1795487410.5"}'


class _Answering(BaseHTTPRequestHandler):
    """Answers every dial, and keeps its connection open."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(REPLY)))
        self.end_headers()
        self.wfile.write(REPLY)

    def log_message(self, *_args: object) -> None:
        """Stay silent."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answering) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def transport_to(port: int, host: str = "127.0.0.1") -> Transport:
    return Transport(pbx_settings(base_url=f"http://{host}:{port}"))


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open no more files for the length of the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(file.name) for file in Path("/proc/self/fd").iterdir())
    taken: list[int] = []

    def take_all() -> None:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))

    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 2, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            take_all()
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_connections_to_many_pbxs_are_bounded_and_closed_when_they_lie_idle(port: int) -> None:
    transports = [transport_to(port) for _ in range(MOST_PBXS + 40)]
    for transport in transports:
        transport.post(DIAL, {"extid": "1002"})
        assert connections_to(port) <= MOST_PBXS + 1
    eventually(lambda: connections_to(port) == 0)
    assert transports[0].post(DIAL, {"extid": "1002"})["status"] == "Success"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_process_that_may_open_no_more_files_blames_no_pbx(port: int, host: str) -> None:
    transport = transport_to(port, host)
    with no_more_files(), pytest.raises(OutOfFiles, match="ulimit -n"):
        transport.post(DIAL, {"extid": "1002"})
    assert transport.post(DIAL, {"extid": "1002"})["status"] == "Success"
