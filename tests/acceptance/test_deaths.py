"""Workers that stop, die and freeze; a Redis that dies: nothing lost, nothing rung twice."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.children import children_of, frozen, is_running
from ops.embedded_redis import EmbeddedRedis
from ops.installation import GENEROUS_S, PATIENT, Installation, eventually, installation
from ops.pbx_simulator import rung_twice
from worker.jobs import DialJob, JobState

OPTIONS = ("--extensions", "1000-1099", "--ring-s", "0.02", "--talk-s", "0.05", "--log-level", "warning")
# Short, so that what a death leaves behind is cleaned up within the test.
QUICK = {"attempt_deadline_s": 3, "claim_lease_s": 3.5, "claim_dead_s": 4, "release_ttl_s": 3}


@pytest.fixture
def site(tmp_path: Path, namespace: str) -> Iterator[Installation]:
    with (
        EmbeddedRedis(tmp_path / "redis") as server,
        installation(tmp_path, server, namespace, hq=OPTIONS) as site,
    ):
        site.write_settings(sections={"limits": QUICK})
        yield site


def put(site: Installation, count: int) -> list[str]:
    jobs = [DialJob(extid=str(1000 + n % 100), outto=f"02055501{n:03d}", pbx="hq") for n in range(count)]
    return [receipt.id for receipt in site.hopper.put_many(jobs) if not isinstance(receipt, Exception)]


def states(site: Installation, jobs: list[str]) -> Counter[JobState]:
    return Counter(result.state for result in site.hopper.results(jobs))


def assert_kept(site: Installation, jobs: list[str]) -> None:
    eventually(lambda: all(state.is_final for state in states(site, jobs)))
    # Results before rings: a worker that thaws may still place the call of a job that was unknown in its absence.
    results = list(site.hopper.results(jobs))
    rings = site.pbxs["hq"].rings()
    assert rung_twice(rings) == {}
    placed = {result.callid for result in results if result.state is JobState.PLACED}
    assert placed <= {ring.callid for ring in rings}
    assert len(results) == len(jobs)


def test_sigterm_lets_calls_end_and_hands_the_rest_back(site: Installation) -> None:
    jobs = put(site, 200)
    with site.workers(processes=2, concurrency=8) as supervisor:
        eventually(lambda: states(site, jobs)[JobState.PLACED] > 20)
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(timeout=GENEROUS_S) == 0
    left = states(site, jobs)
    assert set(left) <= {JobState.PLACED, JobState.WAITING, JobState.RELEASED}
    assert left[JobState.RELEASED] <= 32
    with site.workers(processes=1):
        assert_kept(site, jobs)
    assert states(site, jobs) == {JobState.PLACED: len(jobs)}


def test_a_killed_worker_is_replaced_and_its_jobs_come_to_an_end(site: Installation) -> None:
    jobs = put(site, 300)
    with site.workers(processes=2, concurrency=8) as supervisor:
        for wanted in (40, 120):
            eventually(lambda wanted=wanted: states(site, jobs)[JobState.PLACED] > wanted)
            os.kill(children_of(supervisor.pid)[0], signal.SIGKILL)
        assert_kept(site, jobs)
    assert states(site, jobs)[JobState.UNKNOWN] <= 16
    unknown = [result for result in site.hopper.results(jobs) if result.state is JobState.UNKNOWN]
    assert {result.errno for result in unknown} <= {"worker_lost", "reply_lost"}


def test_a_killed_supervisor_takes_its_workers_with_it(site: Installation) -> None:
    jobs = put(site, 100)
    with site.workers(processes=2, concurrency=4) as supervisor:
        eventually(lambda: states(site, jobs)[JobState.PLACED] > 5)
        workers = children_of(supervisor.pid)
        supervisor.kill()
        eventually(lambda: not any(is_running(pid) for pid in workers))
    with site.workers():
        assert_kept(site, jobs)


def test_a_frozen_worker_rings_nobody_twice_when_it_thaws(site: Installation) -> None:
    jobs = put(site, 200)
    with site.workers(processes=2, concurrency=8) as supervisor:
        eventually(lambda: states(site, jobs)[JobState.PLACED] > 20)
        with frozen(children_of(supervisor.pid)[0]):
            eventually(lambda: sum(states(site, jobs)[s] for s in (JobState.PLACED, JobState.UNKNOWN)) == 200)
        assert_kept(site, jobs)
    assert rung_twice(site.pbxs["hq"].rings()) == {}


def test_redis_killed_and_restarted_loses_nothing(site: Installation) -> None:
    jobs = put(site, 300)
    with site.workers(processes=2, concurrency=8):
        eventually(lambda: states(site, jobs)[JobState.PLACED] > 40)
        site.server.end_process(kill=True)
        site.server.start()
        assert_kept(site, jobs)
        eventually(lambda: not site.hopper.client.exists(f"{site.namespace}:outbox"))
        celery = site.plain_celery()
        for result in site.hopper.results(jobs):
            if result.state is JobState.PLACED:
                assert celery.AsyncResult(result.job_id).get(timeout=GENEROUS_S) == result.plain()


def test_a_duplicate_message_is_not_a_second_call(site: Installation) -> None:
    app = site.plain_celery()
    jobs = put(site, 60)
    with site.workers(processes=2, concurrency=8):
        for job in jobs * 3:
            app.send_task("worker.tasks.dial", (job,), task_id=job, queue=f"{site.namespace}.dial")
        assert_kept(site, jobs)
    assert len(site.pbxs["hq"].rings()) == len(jobs)
    assert states(site, jobs) == {JobState.PLACED: len(jobs)}


def test_the_calls_of_a_killed_worker_are_found_running(tmp_path: Path, namespace: str) -> None:
    """With the settings as they come: nobody waits for the claims to die, for their supervisor saw the death."""
    options = ("--extensions", "1000-1099", "--ring-s", "0.1", "--talk-s", "60", "--log-level", "warning")
    with (
        EmbeddedRedis(tmp_path / "redis") as server,
        installation(tmp_path, server, namespace, hq=options) as site,
    ):
        site.write_settings(open_call_s=60, **PATIENT)
        # Their phones ring, and the replies come long after the worker's death.
        site.pbxs["hq"].fault(kind="delay", delay_s=600, times=4)
        jobs = put(site, 4)
        with site.workers(processes=1, concurrency=4) as supervisor:
            eventually(lambda: len(site.pbxs["hq"].rings()) == 4)
            os.kill(children_of(supervisor.pid)[0], signal.SIGKILL)
            results = [site.end_of(job) for job in jobs]

        assert rung_twice(site.pbxs["hq"].rings()) == {}
        assert {(result.state, result.callid) for result in results} == {(JobState.PLACED, None)}
        assert all(result.outboundid for result in results)
        reasons = [[moment.reason for moment in site.hopper.timeline(job)] for job in jobs]
        assert all("worker_lost" in told for told in reasons)


def test_a_second_signal_ends_the_workers_at_once_and_their_calls_are_looked_for(site: Installation) -> None:
    # The calls of the first signal are waited for until the second one comes, also if it takes a while.
    limits = {"attempt_deadline_s": 11, "claim_lease_s": 11.5, "claim_dead_s": 12, "release_ttl_s": 3}
    site.write_settings(sections={"limits": limits}, read_timeout_s=8, connect_timeout_s=2)
    pbx = site.pbxs["hq"]
    pbx.fault(kind="hang", ring=True, times=4)
    jobs = put(site, 4)
    with site.workers(processes=1, concurrency=4) as supervisor:
        eventually(lambda: len(pbx.rings()) == 4)
        supervisor.send_signal(signal.SIGTERM)
        eventually(lambda: site.hopper.workers_alive() == {})  # the first signal has reached its process
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(timeout=GENEROUS_S) == 0
        assert "second signal" in site.worker_log.read_text()
    with site.workers(processes=1):
        assert_kept(site, jobs)
    assert len(pbx.rings()) == 4


def test_a_rolling_restart_under_load_loses_and_repeats_nothing(site: Installation) -> None:
    jobs = put(site, 400)
    with site.workers(processes=1, concurrency=8) as first:
        eventually(lambda: states(site, jobs)[JobState.PLACED] > 40)
        with site.workers(processes=1, concurrency=8) as second:
            first.send_signal(signal.SIGTERM)
            assert first.wait(timeout=GENEROUS_S) == 0
            with site.workers(processes=1, concurrency=8):
                second.send_signal(signal.SIGTERM)
                assert second.wait(timeout=GENEROUS_S) == 0
                assert_kept(site, jobs)
    assert states(site, jobs) == {JobState.PLACED: len(jobs)}
