"""Workers that live and hear nothing: `check` says so, and their supervisor starts them anew."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ops.children import child, children_of, is_running
from ops.embedded_redis import EmbeddedRedis
from ops.installation import eventually
from ops.tcp_proxy import TcpProxy
from worker.heartbeat import check

# The supervisor reaches Redis by the first settings, its processes by the second.
SUPERVISOR = """
import sys
from worker import logs
from worker.settings import Settings
from worker.supervisor import Supervisor
from worker.watchdog import Watchdog
logs.set_up("info")
watchdog = Watchdog.on(Settings.load(sys.argv[1]))
Supervisor(sys.argv[2], processes=2, concurrency=1, stop_grace_s=0.1, watchdog=watchdog).run()
"""
# Signs are a second old when they are written, and two when they are read; a busy machine adds some seconds.
DEAF_AFTER_S = 8


@dataclass
class Host:
    """A supervisor with two processes, whose way to Redis is a proxy."""

    pid: int
    folder: Path
    log: Path
    proxy: TcpProxy

    def wrong(self, *, ready: bool = False) -> str:
        """Return what `check` says, nothing if it is content."""
        return check(str(self.folder), ready=ready) or ""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("heartbeat")
    with EmbeddedRedis(folder / "redis") as server:
        port = urlsplit(server.url).port
        assert port is not None
        with TcpProxy("127.0.0.1", port) as proxy:
            beats = folder / "run"
            for name, url in (("near", server.url), ("far", server.url.replace(f":{port}/", f":{proxy.port}/"))):
                lines = [f'redis_url = "{url}"', "[worker]", f'heartbeat_dir = "{beats}"']
                (folder / f"{name}.toml").write_text("\n".join([*lines, f"deaf_after_s = {DEAF_AFTER_S}"]))
            command = [sys.executable, "-c", SUPERVISOR, str(folder / "near.toml"), str(folder / "far.toml")]
            log = folder / "log"
            with log.open("w") as file, child(command, stdout=file, stderr=file) as supervisor:
                started = Host(supervisor.pid, beats, log, proxy)
                eventually(lambda: started.folder.exists() and not started.wrong(ready=True))
                yield started
            assert list(beats.glob("*.beat")) == []


def test_a_redis_that_refuses_is_no_fault_of_the_workers(host: Host) -> None:
    workers = children_of(host.pid)
    host.proxy.refuse()
    host.proxy.cut()
    assert "Redis is away" in eventually(lambda: host.wrong(ready=True))
    assert host.wrong() == ""
    host.proxy.pass_on()
    eventually(lambda: not host.wrong(ready=True))
    assert children_of(host.pid) == workers


def test_processes_that_are_frozen_or_behind_a_half_open_path_are_found_and_started_anew(host: Host) -> None:
    workers = children_of(host.pid)
    os.kill(workers[0], signal.SIGSTOP)
    # New connections are taken too, and never answered.
    host.proxy.swallow_all()
    eventually(host.wrong)
    eventually(lambda: not any(is_running(pid) for pid in workers))
    host.proxy.pass_on()
    eventually(lambda: not host.wrong(ready=True))
    # A last line may be under way.
    lines = [json.loads(line) for line in host.log.read_text().splitlines() if line.endswith("}")]
    deaf = [line for line in lines if line["event"] == "worker_deaf"]
    reasons = {line["worker"].partition(".")[0]: line["reason"] for line in deaf}
    # Its consumer may have been silent for a while before it was frozen, and is then what shows first.
    assert re.match("has written nothing for|its consumer has made no progress for", reasons["dialer1"])
    assert "has made no progress for" in reasons["dialer2"]
