"""A primary that dies under load, a replica that falls behind: workers go on, and nothing rings twice."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.installation import Installation, eventually, installation
from ops.pbx_simulator import rung_twice
from ops.redis_group import RedisGroup
from worker.app import build_app
from worker.jobs import DialJob, JobState
from worker.redis_address import RedisAddress

OPTIONS = ("--extensions", "1000-1099", "--ring-s", "0.02", "--talk-s", "0.05", "--log-level", "warning")
QUICK = ("[limits]", "attempt_deadline_s = 4", "claim_lease_s = 4.5", "claim_dead_s = 5", "release_ttl_s = 3")
CAREFUL = ("[replication]", "wait_replicas = 1", "wait_s = 0.3")


@pytest.fixture
def group(tmp_path: Path) -> Iterator[RedisGroup]:
    with RedisGroup(tmp_path / "redis") as group:
        yield group


@pytest.fixture
def site(group: RedisGroup, tmp_path: Path, namespace: str) -> Iterator[Installation]:
    with installation(tmp_path, group, namespace, hq=OPTIONS) as site:
        site.write_settings(calls_per_second=60, burst=1)
        yield site


def configure(site: Installation, *more: str) -> None:
    lines = site.config.read_text().splitlines()
    site.config.write_text("\n".join([*lines, *QUICK, *more]))


def put(site: Installation, count: int, *, first: int = 0) -> list[str]:
    numbers = range(first, first + count)
    jobs = [DialJob(extid=str(1000 + n % 100), outto=f"02055501{n:03d}", pbx="hq") for n in numbers]
    return [receipt.id for receipt in site.hopper.put_many(jobs) if not isinstance(receipt, Exception)]


def states(site: Installation, jobs: list[str]) -> Counter[JobState]:
    return Counter(result.state for result in site.hopper.results(jobs))


def rings(site: Installation) -> int:
    return len(site.pbxs["hq"].rings())


@pytest.mark.parametrize("more", [(), CAREFUL], ids=["at once", "replicated"])
def test_a_fail_over_under_load(site: Installation, group: RedisGroup, more: tuple[str, ...]) -> None:
    configure(site, *more)
    jobs = put(site, 300)
    eventually(lambda: group.replica() and site.hopper.client.execute_command("WAIT", 1, 1000) == 1)
    with site.workers(processes=2, concurrency=8):
        eventually(lambda: rings(site) > 60)
        old = group.primary()
        old.end_process(kill=True)
        died_at = time.time()
        eventually(lambda: group.primary() is not old)
        promoted_s = time.time() - died_at
        old.start()  # as the replica it will be; with wait_replicas nobody dials before
        eventually(lambda: any(ring.t > died_at + 1 for ring in site.pbxs["hq"].rings()), within_s=40)
        dialing_s = min(ring.t for ring in site.pbxs["hq"].rings() if ring.t > died_at + 1) - died_at
        eventually(lambda: finals(site, jobs) == len(jobs), within_s=60)
        # What was on its way to the results backend when the primary died, a sweep brings again.
        eventually(lambda: not site.hopper.client.exists(f"{site.namespace}:outbox"))
    print(f"promoted after {promoted_s:.1f} s, dialing again after {dialing_s:.1f} s")

    assert rung_twice(site.pbxs["hq"].rings()) == {}
    ended = states(site, jobs)
    assert set(ended) <= {JobState.PLACED, JobState.UNKNOWN}
    assert ended[JobState.UNKNOWN] <= 16
    told = site.worker_log.read_text()
    address = RedisAddress.parse(group.url)
    for never in ("worker_died", address.password, address.sentinel_password):
        assert str(never) not in told
    placed = [result for result in site.hopper.results(jobs) if result.state is JobState.PLACED]
    app = build_app(site.settings)
    # Read back through sentinels by Celery itself.
    stored = [app.AsyncResult(result.job_id).get(timeout=10) for result in placed[::20]]
    assert stored == [result.plain() for result in placed[::20]]
    app.backend.result_consumer.stop()
    app.backend.client.close()
    app.close()


def finals(site: Installation, jobs: list[str]) -> int:
    return sum(count for state, count in states(site, jobs).items() if state.is_final)


def test_nobody_dials_while_the_replica_is_silent(site: Installation, group: RedisGroup) -> None:
    configure(site, *CAREFUL)
    replica = group.replica()
    with site.workers(processes=1, concurrency=8):
        first = put(site, 5)
        eventually(lambda: states(site, first)[JobState.PLACED] == 5)
        os.kill(replica.pid, signal.SIGSTOP)
        try:
            before = rings(site)
            jobs = put(site, 40, first=5)
            eventually(lambda: "replicas_missing" in site.worker_log.read_text())
            eventually(lambda: any("errno" in site.hopper.record(job) for job in jobs))
            assert rings(site) == before
            assert finals(site, jobs) == 0
        finally:
            os.kill(replica.pid, signal.SIGCONT)
        eventually(lambda: states(site, jobs)[JobState.PLACED] == len(jobs), within_s=30)
    assert {result.attempts for result in site.hopper.results(jobs)} == {1}
    assert rung_twice(site.pbxs["hq"].rings()) == {}


def test_the_doctor_counts_replicas(site: Installation, group: RedisGroup) -> None:
    configure(site, "[replication]", "wait_replicas = 2")
    found = site.outdial("doctor").stdout
    assert "1 replicas are connected and wait_replicas is 2: nobody dials" in found
    assert f"sentinel://127.0.0.1:{group.sentinel_ports[0]}" in found
    site.config.write_text(site.config.read_text().replace(group.url, group.replica().url))
    assert "this Redis is a replica and takes no jobs" in site.outdial("doctor").stdout
