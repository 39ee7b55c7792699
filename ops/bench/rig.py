"""What every benchmark needs: a server, an instant PBX and workers, started here and stopped here."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ops.children import child
from ops.embedded_redis import EmbeddedRedis
from worker.hopper import Hopper
from worker.settings import Settings

PROCESSES, SLOTS = 2, 16


def wait_until(true: Callable[[], bool], *, within_s: float, what: str) -> None:
    """Poll until *true*; a benchmark that hangs says what it waited for."""
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {within_s:.0f} s for {what}")
        time.sleep(0.02)


class Rig:
    """One server, one instant PBX, and settings that name them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.server = stack.enter_context(EmbeddedRedis(folder / "redis"))
        self._times = folder / "posts"
        self._stack = stack
        self._pbx = stack.enter_context(
            child([sys.executable, "-m", "ops.bench.instant_pbx", str(self._times)], stdout=subprocess.PIPE)
        )
        assert self._pbx.stdout is not None
        self.pbx_url = f"http://127.0.0.1:{int(self._pbx.stdout.readline())}"

    def settings(self, **pbx: float) -> Settings:
        """Write and load settings with one PBX, `hq`, without limits but those given."""
        limits = {"calls_per_second": 1000, "burst": 1000, "max_open_calls": 100000, "open_call_s": 0}
        limits |= {"extension_rest_s": 0} | pbx
        lines = [
            f'redis_url = "{self.server.url}"',
            f'result_backend = "{self.server.url_of_database(1)}"',
            "[pbx.hq]",
            'api = "yeastar-s-v1.0"',
            f'base_url = "{self.pbx_url}"',
            'username = "api"',
            'password = "bench"',
            *(f"{name} = {value}" for name, value in limits.items()),
        ]
        self.config = self.folder / "outdial.toml"
        self.config.write_text("\n".join(lines))
        return Settings.load(self.config)

    @contextmanager
    def workers(self, processes: int = PROCESSES, slots: int = SLOTS) -> Iterator[None]:
        """Run outdial workers for the settings written last."""
        command = [sys.executable, "-m", "worker", "--config", str(self.config), "worker"]
        command += ["--processes", str(processes), "--concurrency", str(slots)]
        with (self.folder / "worker.log").open("w") as log, child(command, stdout=log, stderr=log):
            yield

    @contextmanager
    def plain_workers(self, *, events: bool, processes: int = PROCESSES, slots: int = SLOTS) -> Iterator[None]:
        """Run plain Celery workers: same pool, same processes."""
        command = [sys.executable, "-m", "celery", "-A", "ops.bench.plain_celery", "worker", "-P", "threads"]
        command += ["-c", str(slots), "--without-gossip", "--without-mingle", "-l", "WARNING"]
        command += ["-E"] if events else []
        with ExitStack() as stack, (self.folder / "plain.log").open("w") as log:
            for number in range(processes):
                one = [*command, "-n", f"plain{number}@bench"]
                stack.enter_context(child(one, env=self.plain_environment(), stdout=log, stderr=log))
            yield

    def plain_environment(self) -> dict[str, str]:
        """Return the environment `ops.bench.plain_celery` reads."""
        return os.environ | {
            "BENCH_BROKER": self.server.url_of_database(2),
            "BENCH_RESULTS": self.server.url_of_database(3),
            "BENCH_PBX": self.pbx_url,
        }

    def posts(self) -> list[float]:
        """Stop the PBX and return the unix times of all dial POSTs."""
        self._pbx.send_signal(signal.SIGTERM)
        self._pbx.wait(timeout=10)
        return [float(line) for line in self._times.read_text().split()]


@contextmanager
def rig() -> Iterator[Rig]:
    """Set up a rig in a temporary folder and take it down."""
    with tempfile.TemporaryDirectory(prefix="outdial-bench-") as folder, ExitStack() as stack:
        yield Rig(Path(folder), stack)


def ended(hopper: Hopper) -> int:
    """Return how many jobs have ended."""
    return int(hopper.client.zcard(hopper.keys.ended))
