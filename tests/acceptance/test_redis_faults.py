"""Redis freezes, fills, empties, becomes a replica, refuses the log-in or may evict: no call begins meanwhile."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from ops.children import children_of, frozen
from ops.embedded_redis import EmbeddedRedis
from ops.installation import Installation, eventually, installation, log_lines
from ops.pbx_simulator import rung_twice
from ops.ports import reserve_port
from tests.acceptance.test_broker import told as told_by
from tests.acceptance.test_deaths import OPTIONS, QUICK, put, states
from worker.jobs import JobState

RATE = 60
# A timeline counts whole milliseconds, so a moment may seem to lie before what came first.
_ROUNDED_S = 0.001


@pytest.fixture
def site(tmp_path: Path, namespace: str) -> Iterator[Installation]:
    with (
        EmbeddedRedis(tmp_path / "redis") as server,
        installation(tmp_path, server, namespace, hq=OPTIONS) as site,
    ):
        site.write_settings(sections={"limits": QUICK}, calls_per_second=RATE, burst=1)
        yield site


def rings(site: Installation) -> int:
    return len(site.pbxs["hq"].rings())


class Load:
    """Workers at work, and what must hold when a fault has come and gone."""

    def __init__(self, site: Installation, jobs: list[str], workers: "subprocess.Popen[str]") -> None:
        self.site = site
        self.jobs = jobs
        self.workers = workers
        self._fault: tuple[float, float] | None = None

    @contextmanager
    def fault(self) -> Iterator[None]:
        """Begin the fault before, end it after; nothing rings in between but what was on its way."""
        began = time.time()
        yield
        self._fault = (began, time.time())

    def claimed_in_the_fault(self) -> list[str]:
        """Return the jobs that got leave to ring between the fault's beginning and its end."""
        if self._fault is None:
            return []
        began, ended = self._fault
        return [
            job
            for job, life in self.site.hopper.timelines(self.jobs).items()
            if any(
                moment.state == "claimed" and began + _ROUNDED_S < moment.at < ended - _ROUNDED_S
                for moment in life
            )
        ]

    def ends_well(self, *, unknown: int = 0, deaths: int = 0) -> None:
        eventually(lambda: all(state.is_final for state in states(self.site, self.jobs)))
        assert self.claimed_in_the_fault() == []
        assert rung_twice(self.site.pbxs["hq"].rings()) == {}
        ended = states(self.site, self.jobs)
        assert ended[JobState.UNKNOWN] <= unknown, ended
        assert sum(ended[state] for state in (JobState.PLACED, JobState.UNKNOWN)) == len(self.jobs)
        assert sum(line["event"] == "worker_died" for line in log_lines(self.site.worker_log)) <= deaths
        eventually(lambda: not self.site.hopper.client.exists(f"{self.site.namespace}:outbox"))


@pytest.fixture
def load(site: Installation) -> Iterator[Load]:
    jobs = put(site, 200)
    with site.workers(processes=2, concurrency=8) as workers:
        eventually(lambda: rings(site) > 40)
        yield Load(site, jobs, workers)


@pytest.fixture
def admin(site: Installation) -> Iterator[redis.Redis]:
    """A connection from before the fault."""
    with redis.Redis.from_url(site.server.url) as client:
        client.ping()
        yield client


def worker_log(site: Installation) -> str:
    return site.worker_log.read_text()


def test_a_frozen_redis(load: Load, site: Installation) -> None:
    with frozen(site.server.pid), load.fault():
        eventually(lambda: told_by(site, "redis_away", "pacer"))
    load.ends_well(unknown=16)


def test_a_full_redis(load: Load, site: Installation, admin: redis.Redis) -> None:
    admin.config_set("maxmemory", 1)
    with load.fault():
        eventually(lambda: "raise maxmemory" in worker_log(site))
        admin.client_kill_filter(_type="normal", skipme=True)
        eventually(lambda: told_by(site, "redis_away", "consumer"))  # Celery starts again on a full server
    admin.config_set("maxmemory", 0)
    load.ends_well()
    assert worker_log(site).count("raise maxmemory") <= 10


def test_a_redis_turned_replica(load: Load, site: Installation, admin: redis.Redis) -> None:
    admin.replicaof("127.0.0.1", reserve_port())
    with load.fault():
        eventually(lambda: "wait for the fail-over to end" in worker_log(site))
        admin.client_kill_filter(_type="normal", skipme=True)
        eventually(lambda: told_by(site, "redis_away", "consumer"))
    admin.replicaof("NO", "ONE")
    load.ends_well()


def test_a_password_changed_and_changed_back(load: Load, site: Installation, admin: redis.Redis) -> None:
    right = admin.config_get("requirepass")["requirepass"]
    admin.config_set("requirepass", "another-secret")
    admin.client_kill_filter(_type="normal", skipme=True)
    with load.fault():
        eventually(lambda: "check user name and password in redis_url" in worker_log(site))
    admin.config_set("requirepass", right)
    load.ends_well()
    for secret in ("another-secret", right):
        assert secret not in worker_log(site)


def test_a_worker_that_dies_while_the_password_is_wrong_comes_back(
    load: Load, site: Installation, admin: redis.Redis
) -> None:
    right = admin.config_get("requirepass")["requirepass"]
    admin.config_set("requirepass", "another-secret")
    admin.client_kill_filter(_type="normal", skipme=True)
    os.kill(children_of(load.workers.pid)[0], signal.SIGKILL)
    eventually(lambda: "Redis refused the login" in site.worker_log.read_text())
    assert load.workers.poll() is None, "the supervisor does not give up for it"
    admin.config_set("requirepass", right)
    load.ends_well(unknown=8, deaths=10)


def test_scripts_forgotten_all_the_time(load: Load, site: Installation, admin: redis.Redis) -> None:
    done = threading.Event()

    def forget() -> None:
        while not done.wait(0.005):
            admin.script_flush()

    thread = threading.Thread(target=forget)
    thread.start()
    try:
        load.ends_well()
    finally:
        done.set()
        thread.join()


def refused(site: Installation) -> str:
    command = [*site.outdial_command(), "worker", "--processes", "1"]
    ended = subprocess.run(command, capture_output=True, text=True, env=site.environment, check=False)
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_a_redis_that_comes_back_empty(site: Installation, admin: redis.Redis) -> None:
    with site.workers(processes=2, concurrency=8):
        eventually(lambda: admin.hlen(f"{site.namespace}:settings") == 2)
        admin.flushall()  # of the server that this test started
        jobs = put(site, 20)
        eventually(lambda: states(site, jobs)[JobState.PLACED] == len(jobs))
        assert rings(site) == len(jobs)
        eventually(lambda: worker_log(site).count("redis_came_back_empty") == 2)


def test_an_eviction_policy_that_would_lose_jobs(site: Installation, admin: redis.Redis) -> None:
    def held_until() -> float:
        return float(admin.hget(f"{site.namespace}:guard", "held_until") or 0)  # type: ignore[arg-type]

    with site.workers(processes=2, concurrency=8) as workers:
        admin.config_set("maxmemory-policy", "allkeys-lru")
        eventually(lambda: worker_log(site).count("calls_held") == 2)
        load, before = Load(site, put(site, 20), workers), held_until()
        with load.fault():
            eventually(lambda: held_until() > before)
        assert rings(site) == 0
        admin.config_set("maxmemory-policy", "noeviction")
        load.ends_well()
        eventually(lambda: "calls_go_on" in worker_log(site))


def test_a_worker_does_not_start_with_a_wrong_password(site: Installation) -> None:
    right = site.server.url.split(":")[2].split("@")[0]
    site.config.write_text(site.config.read_text().replace(right, "wrong-secret"))
    sentence = refused(site)
    assert "redis_url: Redis refused the login; check user name and password in redis_url" in sentence
    assert "wrong-secret" not in sentence


def test_a_worker_does_not_start_where_jobs_may_be_thrown_away(site: Installation, admin: redis.Redis) -> None:
    admin.config_set("maxmemory-policy", "allkeys-lru")
    assert "maxmemory-policy is allkeys-lru); set maxmemory-policy noeviction" in refused(site)
