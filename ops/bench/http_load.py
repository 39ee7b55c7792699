"""A load of HTTP requests on loopback, from a process of its own so that it does not share Python's lock."""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a load: requests per second answered with 202, and latencies in ms."""

    rate: float
    median_ms: float
    p99_ms: float


def run(url: str, authorization: str, *, seconds: float, connections: int, rate: float | None = None) -> Load:
    """
    POST dial jobs for some seconds.

    Args:
        url: Of the route.
        authorization: The header.
        seconds: How long.
        connections: Kept open, one request at a time on each.
        rate: Requests per second at even distances, each timed from when it was due; None sends as fast as answers
            come.

    Raises:
        RuntimeError: If a request was answered by anything but 202.
    """
    asked = {
        "url": url,
        "authorization": authorization,
        "seconds": seconds,
        "connections": connections,
        "rate": rate,
    }
    command = [sys.executable, "-m", "ops.bench.http_load", json.dumps(asked)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return Load(**json.loads(done.stdout))


class _Client:
    def __init__(self, url: str, authorization: str, connections: int) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self._head = f"POST {parts.path} HTTP/1.1\r\nhost: bench\r\nauthorization: {authorization}\r\n"
        self._connections = connections
        self._sent = 0
        self._taken: list[float] = []

    async def load(self, *, seconds: float, rate: float | None) -> Load:
        begun = time.perf_counter()
        until = begun + seconds
        await asyncio.gather(*(self._one(begun, until, rate) for _ in range(self._connections)))
        taken = sorted(self._taken)
        per_s = len(taken) / (time.perf_counter() - begun)
        return Load(per_s, 1000 * statistics.median(taken), 1000 * taken[int(0.99 * len(taken))])

    async def _one(self, begun: float, until: float, rate: float | None) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        while True:
            number = self._sent
            self._sent += 1
            due = begun + number / rate if rate else time.perf_counter()
            if due >= until:
                break
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            writer.write(self._request(number))
            await _answer(reader)
            self._taken.append(time.perf_counter() - due)
        writer.close()

    def _request(self, number: int) -> bytes:
        body = json.dumps(
            {"extid": str(1000 + number % 200), "outto": "0205550100", "metadata": {"lead": str(number)}}
        )
        return f"{self._head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 202 " not in head[:20]:
        raise RuntimeError(head.split(b"\r\n")[0].decode())
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    await reader.readexactly(int(lengths[0].partition(b":")[2]))


def _main() -> None:
    asked = json.loads(sys.argv[1])
    client = _Client(asked["url"], asked["authorization"], asked["connections"])
    load = asyncio.run(client.load(seconds=asked["seconds"], rate=asked["rate"]))
    print(json.dumps({"rate": load.rate, "median_ms": load.median_ms, "p99_ms": load.p99_ms}))


if __name__ == "__main__":
    _main()
