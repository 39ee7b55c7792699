"""A reserved port is a server's of ours, and of nobody else, whether it runs or not."""

import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ops.ports import reserve_port


def test_a_server_may_come_and_go_on_a_reserved_port() -> None:
    port = reserve_port()
    for _ in range(2):
        with HTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler):
            socket.create_connection(("127.0.0.1", port), timeout=10).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=10)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems reserve no ports")
def test_a_reserved_port_is_not_to_be_had_by_others() -> None:
    port = reserve_port()
    with socket.socket() as other, pytest.raises(OSError, match="Address already in use"):
        other.bind(("127.0.0.1", port))


def test_two_reserved_ports_differ() -> None:
    ports = [reserve_port() for _ in range(50)]
    assert len(set(ports)) == len(ports)
