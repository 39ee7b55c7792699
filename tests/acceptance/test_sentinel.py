"""A primary that dies under load, a replica that falls behind: nothing is lost, and nothing rings twice."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from ops.children import frozen
from ops.installation import GENEROUS_S, Installation, eventually, installation
from ops.pbx_simulator import rung_twice
from ops.redis_group import RedisGroup
from worker.app import build_app
from worker.errors import CallOutcomeUnknown
from worker.jobs import DialJob, JobState
from worker.redis_address import RedisAddress

# A busy machine takes several times as long.
pytestmark = pytest.mark.timeout(400)
OPTIONS = ("--extensions", "1000-1099", "--ring-s", "0.02", "--talk-s", "0.05", "--log-level", "warning")
# Lost claims and messages are recovered soon; on a busy machine the PBX may be slow to reply.
QUICK = ("[limits]", "attempt_deadline_s = 12", "claim_lease_s = 12.5", "claim_dead_s = 13", "release_ttl_s = 3")
CAREFUL = ("[replication]", "wait_replicas = 1", "wait_s = 0.3")
SLOTS = 16
PATIENCE_S = 120


@pytest.fixture
def group(tmp_path: Path) -> Iterator[RedisGroup]:
    with RedisGroup(tmp_path / "redis") as group:
        yield group


@pytest.fixture
def site(group: RedisGroup, tmp_path: Path, namespace: str) -> Iterator[Installation]:
    with installation(tmp_path, group, namespace, hq=OPTIONS) as site:
        site.write_settings(calls_per_second=60, burst=1, read_timeout_s=8, connect_timeout_s=3)
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


def final(site: Installation, jobs: list[str]) -> int:
    return sum(count for state, count in states(site, jobs).items() if state.is_final)


def is_over(site: Installation, jobs: list[str]) -> bool:
    """Whether every job has ended and its result was delivered; False while the primary changes."""
    with suppress(redis.ConnectionError):
        outbox = f"{site.namespace}:outbox"
        return final(site, jobs) == len(jobs) and not site.hopper.client.exists(outbox)
    return False


def by_celery(site: Installation, jobs: Iterable[str]) -> list[object]:
    """Return results as Celery itself reads them through the sentinels; one that is missing is a time-out."""
    app = build_app(site.settings)
    try:
        return [app.AsyncResult(job).get(timeout=GENEROUS_S, propagate=False) for job in jobs]
    finally:
        app.backend.result_consumer.stop()
        app.backend.client.close()
        app.close()


def nothing_is_lost(site: Installation, group: RedisGroup, jobs: list[str], *, fail_overs: int = 1) -> None:
    """Hold rings, records and results against each other."""
    assert rung_twice(site.pbxs["hq"].rings()) == {}
    results = list(site.hopper.results(jobs))
    ended = Counter(result.state for result in results)
    assert set(ended) <= {JobState.PLACED, JobState.UNKNOWN}
    # No more than were under way at a fail-over.
    assert ended[JobState.UNKNOWN] <= fail_overs * SLOTS
    stored = by_celery(site, jobs)
    for result, kept in zip(results, stored, strict=True):
        is_placed = result.state is JobState.PLACED
        assert kept == result.plain() if is_placed else isinstance(kept, CallOutcomeUnknown), result.job_id
    logged = site.worker_log.read_text()
    address = RedisAddress.parse(group.url)
    for never in ("worker_died", address.password, address.sentinel_password):
        assert str(never) not in logged


@pytest.mark.parametrize("more", [(), CAREFUL], ids=["at once", "replicated"])
def test_a_fail_over_under_load(site: Installation, group: RedisGroup, more: tuple[str, ...]) -> None:
    configure(site, *more)
    jobs = put(site, 300)
    eventually(lambda: group.replica() and site.hopper.client.execute_command("WAIT", 1, 1000) == 1)
    with site.workers(processes=2, concurrency=SLOTS // 2):
        eventually(lambda: rings(site) > 60, within_s=PATIENCE_S)
        if not more:
            group.bring_in_step()  # without wait_replicas, a fail-over may forget what the replica has not got
        old, died_at = group.primary(), time.time()
        group.fail_over()
        promoted_s = time.time() - died_at
        old.start()  # as the replica it will be; with wait_replicas nobody dials before
        eventually(lambda: any(ring.t > died_at + 1 for ring in site.pbxs["hq"].rings()), within_s=PATIENCE_S)
        dialing_s = min(ring.t for ring in site.pbxs["hq"].rings() if ring.t > died_at + 1) - died_at
        eventually(lambda: is_over(site, jobs), within_s=PATIENCE_S)
    print(f"promoted after {promoted_s:.1f} s, dialing again after {dialing_s:.1f} s")
    nothing_is_lost(site, group, jobs)


def test_a_second_fail_over_to_the_data_of_the_first_primary(site: Installation, group: RedisGroup) -> None:
    # Until the sentinels make the former primary a replica, it holds what it died with, and they may promote it.
    configure(site, *CAREFUL)
    jobs = put(site, 300)
    eventually(lambda: group.replica() and site.hopper.client.execute_command("WAIT", 1, 1000) == 1)
    with site.workers(processes=2, concurrency=SLOTS // 2):
        eventually(lambda: rings(site) > 60, within_s=PATIENCE_S)
        first = group.primary()
        group.fail_over()
        first.start()
        assert group.fail_back() is first
        # The workers stay connected to the other one until it becomes a replica.
        eventually(group.is_whole, within_s=PATIENCE_S)
        eventually(lambda: is_over(site, jobs), within_s=PATIENCE_S)
    nothing_is_lost(site, group, jobs, fail_overs=2)


def test_nobody_dials_while_the_replica_is_silent(site: Installation, group: RedisGroup) -> None:
    configure(site, *CAREFUL)
    replica = group.replica()
    with site.workers(processes=1, concurrency=8):
        first = put(site, 5)
        eventually(lambda: states(site, first)[JobState.PLACED] == 5)
        with frozen(replica.pid):
            before = rings(site)
            jobs = put(site, 40, first=5)
            eventually(lambda: "replicas_missing" in site.worker_log.read_text())
            eventually(lambda: any("errno" in site.hopper.record(job) for job in jobs))
            assert rings(site) == before
            assert final(site, jobs) == 0
        eventually(lambda: states(site, jobs)[JobState.PLACED] == len(jobs))
    assert {result.attempts for result in site.hopper.results(jobs)} == {1}
    assert rung_twice(site.pbxs["hq"].rings()) == {}


def test_the_doctor_counts_replicas(site: Installation, group: RedisGroup) -> None:
    configure(site, "[replication]", "wait_replicas = 2")
    found = site.outdial("doctor").stdout
    assert "1 replicas are connected and wait_replicas is 2: nobody dials" in found
    assert f"sentinel://127.0.0.1:{group.sentinel_ports[0]}" in found
    site.config.write_text(site.config.read_text().replace(group.url, group.replica().url))
    assert "this Redis is a replica and takes no jobs" in site.outdial("doctor").stdout
