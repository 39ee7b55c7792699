"""Jobs by HTTP: one at a time against FastAPI with plain Celery, at an even rate, and as a batch."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from ops.bench import http_load
from ops.bench.http_load import Load
from ops.bench.rig import Rig, rig, wait_until
from ops.children import child
from ops.ports import reserve_port
from producers import Dialer, apikeys

_SECONDS, _CONNECTIONS = 5.0, 16
_ROWS = 50_000
EVEN_RATE, WAITING = 500.0, 100_000


def single_rates() -> tuple[float, float]:
    """Return jobs/s taken by one process of the intake, and by FastAPI with plain `apply_async`."""
    with rig() as bench, _intake(bench) as (url, authorization):
        _warm_up(f"{url}/v1/dial-jobs", authorization)
        ours = http_load.run(f"{url}/v1/dial-jobs", authorization, seconds=_SECONDS, connections=_CONNECTIONS)
        with _plain(bench) as plain_url:
            _warm_up(plain_url, authorization)
            plain = http_load.run(plain_url, authorization, seconds=_SECONDS, connections=_CONNECTIONS)
        return ours.rate, plain.rate


def at_an_even_rate() -> Load:
    """Return the latencies at EVEN_RATE requests per second while WAITING jobs wait."""
    with rig() as bench, _intake(bench) as (url, authorization):
        dialer = Dialer.from_config(bench.config)
        rows = ({"extid": str(1000 + n % 2000), "outto": "0205550100"} for n in range(WAITING))
        assert sum(1 for _ in dialer.enqueue_many(rows)) == WAITING
        _warm_up(f"{url}/v1/dial-jobs", authorization)
        return http_load.run(
            f"{url}/v1/dial-jobs", authorization, seconds=2 * _SECONDS, connections=64, rate=EVEN_RATE
        )


def batch_rate() -> float:
    """Return rows/s of one CSV batch, from the request to the end of its answer."""
    with rig() as bench, _intake(bench) as (url, authorization):
        rows = (f"{1000 + n % 200},0205550{n % 10000:04d},L-{n}" for n in range(_ROWS))
        body = ("extid,outto,metadata.lead\n" + "\n".join(rows)).encode()
        headers = {"Authorization": authorization, "Content-Type": "text/csv"}
        began = time.perf_counter()
        answer = requests.post(f"{url}/v1/dial-jobs:batch", body, headers=headers, timeout=60)
        taken = time.perf_counter() - began
        summary = json.loads(answer.text.splitlines()[-1])["summary"]
        assert summary["added"] == _ROWS, summary
        return _ROWS / taken


@contextmanager
def _intake(bench: Rig) -> Iterator[tuple[str, str]]:
    settings = bench.settings()
    dialer = Dialer.from_config(bench.config)
    _, key = apikeys.create(dialer.hopper, settings, "bench", scopes=["enqueue"], requests=10_000_000)
    command = [sys.executable, "-m", "producers.cli", "--config", str(bench.config), "api", "--port", "0"]
    with (
        (bench.folder / "api.log").open("w") as log,
        child(command, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], f"Bearer {key}"


@contextmanager
def _plain(bench: Rig) -> Iterator[str]:
    port = reserve_port()
    command = [sys.executable, "-m", "uvicorn", "ops.bench.plain_intake:app", "--port", str(port)]
    command += ["--log-level", "warning", "--no-access-log"]
    with child(command, env=bench.plain_environment()):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(f"{url}/openapi.json"), within_s=20, what="the plain intake")
        yield f"{url}/dial"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):  # noqa: S310  loopback
            return True
    except OSError:
        return False


def _warm_up(url: str, authorization: str) -> None:
    http_load.run(url, authorization, seconds=0.5, connections=4)
