"""The cheapest PBX there can be: answers any POST at once with Success, a token and a fresh callid."""

import asyncio
import signal
import sys
import time
from pathlib import Path


class InstantPbx(asyncio.Protocol):
    """One connection; requests come whole, as `requests` sends them, and are told apart by their length."""

    posts: list[float]
    transport: asyncio.Transport

    def __init__(self, posts: list[float]) -> None:
        self.posts = posts
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each complete request in what has come so far."""
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            head = self._waiting[:end].lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0]) if b"content-length:" in head else 0
            if len(self._waiting) < end + 4 + length:
                return
            self._waiting = self._waiting[end + 4 + length :]
            if b"dial_outbound" in head:
                self.posts.append(time.time())
            body = b'{"status":"Success","token":"0123456789abcdef","callid":"1700000000.%d"}' % len(self.posts)
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (len(body), body)
            )


async def serve(times: Path) -> None:
    """Serve on a free loopback port, told on stdout, until SIGTERM; then write the times of all dial POSTs."""
    posts: list[float] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: InstantPbx(posts), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, posts.clear)
    await stop.wait()
    times.write_text("\n".join(f"{post:.6f}" for post in posts))


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
