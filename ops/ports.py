"""Loopback ports that are chosen before anybody listens on them."""

import socket
import sys
from pathlib import Path


def reserve_port() -> int:
    """
    Return a loopback port that no other process is given while this one lives.

    A server may listen on it, stop and listen again; meanwhile connections to it are refused.

    Returns:
        A port that a socket of ours is bound to without listening. Linux then gives it to nobody who asks for
        any port, to listen on or to connect from, but to every server that names it and sets SO_REUSEADDR, as
        all of ours do. On other systems the port was free a moment ago, and no more is certain.

    Source: socket(7) on SO_REUSEADDR; seen on Linux 6.18 with a range of 64 ports.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    port = int(held.getsockname()[1])
    if sys.platform == "linux":
        held.detach()  # closed by the end of the process, and not before
    else:
        held.close()
    return port


def connections_to(port: int) -> int:
    """Return how many connections to a port, of all processes of this host, are established; Linux only."""
    # See proc_net_tcp(5): the third column is the remote address, and 01 in the fourth means established.
    rows = (row.split() for row in Path("/proc/self/net/tcp").read_text(encoding="ascii").splitlines()[1:])
    return sum(row[2].endswith(f":{port:04X}") and row[3] == "01" for row in rows)
