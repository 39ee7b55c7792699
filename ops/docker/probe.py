"""
`python -P -m ops.docker.probe URL`: whether a server in the same container answers 200; for health checks.

A socket and no HTTP library, so that a look every few seconds costs some 25 ms of CPU and not 150.
"""

import socket
import sys
from urllib.parse import urlsplit

_WITHIN_S = 4.0


def status_of(url: str) -> int:
    """
    Return the status that a GET is answered with.

    Args:
        url: `http://HOST:PORT/PATH`; https takes any certificate, for it is one's own server that is asked.

    Raises:
        OSError: If nobody answers within 4 s.
        ValueError: If what answers speaks no HTTP.
    """
    address = urlsplit(url)
    port = address.port or (443 if address.scheme == "https" else 80)
    with socket.create_connection((address.hostname or "", port), _WITHIN_S) as plain:
        connection = _wrapped(plain) if address.scheme == "https" else plain
        connection.sendall(
            f"GET {address.path or '/'} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode()
        )
        protocol, _, rest = connection.makefile("rb").readline(1024).partition(b" ")
    if not protocol.startswith(b"HTTP/"):
        raise ValueError(f"{url} does not speak HTTP")
    return int(rest[:3])


def _wrapped(plain: socket.socket) -> socket.socket:
    import ssl  # noqa: PLC0415  where it is needed only

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain)


def main(arguments: list[str]) -> int:
    """Return 0 if the server named by the one argument answers 200, else 1 with a sentence on stderr."""
    try:
        status = status_of(*arguments)
    except (OSError, ValueError, TypeError) as failed:
        print(f"no answer: {failed}", file=sys.stderr)  # noqa: T201  the engine keeps it with the state
        return 1
    if status != 200:
        print(f"answered {status}", file=sys.stderr)  # noqa: T201
    return int(status != 200)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
