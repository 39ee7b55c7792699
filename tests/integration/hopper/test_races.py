"""Races: many callers at once on the real server, each with a connection of its own."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from ops.embedded_redis import EmbeddedRedis
from tests.integration.clock import StepClock
from tests.integration.hopper.stage import MESSAGE, Stage, eventually, job
from worker.hopper import Back, Claim, Finished, Go, Hopper, NotYours, Parked, Receipt, connect
from worker.jobs import JobState

T = TypeVar("T")


@pytest.fixture
def race(
    redis_server: EmbeddedRedis, namespace: str, clock: StepClock
) -> Callable[[int, Callable[[Hopper, int], T]], list[T]]:
    """Run one step in so many threads at once, each with a hopper and a connection of its own."""

    def run(callers: int, step: Callable[[Hopper, int], T]) -> list[T]:
        start = threading.Barrier(callers)

        def caller(number: int) -> T:
            with connect(redis_server.url) as client:
                client.ping()
                mine = Hopper(client, namespace=namespace, retain_s=600)
                start.wait()
                return step(mine, number)

        with clock.running(), ThreadPoolExecutor(callers) as threads:
            return list(threads.map(caller, range(callers)))

    return run


Race = Callable[[int, Callable[[Hopper, int], object]], list[object]]


def claim_each(job_ids: list[str]) -> Callable[[Hopper, int], Claim]:
    def step(hopper: Hopper, number: int) -> Claim:
        return hopper.claim(job_ids[number], f"n{number}", slot_wait_s=0)

    return step


def test_100_claims_against_5_lines_get_exactly_5(quick: Stage, race: Race) -> None:
    job_ids = quick.put_each([str(1000 + i) for i in range(100)])
    assert len(quick.release()) == 100
    # The lines reserved at the release run out, so that the claims alone decide.
    keys = quick.hopper.keys
    eventually(lambda: quick.hopper.client.zcount(keys.lines("hq"), quick.hopper.now(), "+inf") == 0)
    quick.open_pbx(max_open_calls=5, open_call_s=60)

    claims = race(100, claim_each(job_ids))

    assert [type(claim) for claim in claims].count(Go) == 5
    assert [type(claim) for claim in claims].count(Back) == 95
    assert quick.hopper.view("hq").open_calls == 5


def test_100_pacers_and_workers_against_5_lines_get_exactly_5(stage: Stage, race: Race) -> None:
    stage.open_pbx(max_open_calls=5, open_call_s=60)
    stage.put_each([str(1000 + i) for i in range(300)])

    def step(hopper: Hopper, number: int) -> int:
        granted = 0
        for turn in range(3):
            hopper.release(
                stage.queue,
                "@ID@",
                most=3,
                most_released=1000,
                lookahead_s=0.1,
            )
            while message := hopper.client.rpop(stage.queue):
                claim = hopper.claim(message[:36], f"{number}.{turn}", slot_wait_s=0)
                granted += isinstance(claim, Go)
        return granted

    assert sum(race(100, step)) == 5  # type: ignore[arg-type]


def test_a_line_given_back_goes_to_exactly_one_of_many(stage: Stage, race: Race) -> None:
    stage.open_pbx(max_open_calls=1, open_call_s=60)
    stage.put_each([str(1000 + i) for i in range(50)])
    (first,) = stage.release()
    stage.finish(first, "n", stage.go(first, "n"), JobState.FAILED)

    def step(hopper: Hopper, number: int) -> int:
        return hopper.release(stage.queue, MESSAGE, most=5, most_released=100, lookahead_s=0.1)[0]

    assert sum(race(50, step)) == 1  # type: ignore[arg-type]


def test_50_claims_of_one_job_get_exactly_one(stage: Stage, race: Race) -> None:
    job_id = stage.put()
    stage.release()

    claims = race(50, claim_each([job_id] * 50))

    assert claims.count(NotYours("claimed")) == 49
    assert [claim.attempts for claim in claims if isinstance(claim, Go)] == [1]


def test_one_claim_repeated_by_50_connections_counts_once(stage: Stage, race: Race) -> None:
    job_id = stage.put()
    stage.release()

    claims = race(50, lambda hopper, _: hopper.claim(job_id, "the same", slot_wait_s=0))

    assert {claim.attempts for claim in claims if isinstance(claim, Go)} == {1}
    assert len([claim for claim in claims if isinstance(claim, Go)]) == 50


def test_50_puts_of_one_key_make_one_job(stage: Stage, race: Race) -> None:
    receipts = race(50, lambda hopper, _: hopper.put(job(key="lead-7")))

    assert [receipt.is_new for receipt in receipts if isinstance(receipt, Receipt)].count(True) == 1
    assert stage.hopper.view("hq").waiting == 1


def test_cancel_and_claim_at_once_never_both_win(stage: Stage, race: Race) -> None:
    for number in range(10):
        job_id = stage.put(str(1000 + number))
        stage.release()

        def step(hopper: Hopper, caller: int, job_id: str = job_id) -> object:
            return hopper.cancel(job_id)[0] if caller % 2 else hopper.claim(job_id, "n", slot_wait_s=0)

        answers = race(6, step)
        won = any(isinstance(answer, Go) for answer in answers)
        assert ("cancelled" in answers) is not won
        assert stage.state(job_id) == ("claimed" if won else "cancelled")


def test_ends_told_at_once_leave_one_end(stage: Stage, race: Race) -> None:
    for number in range(5):
        job_id, claim = stage.claimed(str(1000 + number), nonce="n")

        def step(hopper: Hopper, caller: int, job_id: str = job_id, claim: Go = claim) -> object:
            if caller % 3 == 0:
                return hopper.park(job_id, "n", delay_s=60)
            state = JobState.PLACED if caller % 3 == 1 else JobState.FAILED
            return hopper.finish(job_id, "n", state, claim)

        answers = race(6, step)
        told = {answer.result.state for answer in answers if isinstance(answer, Finished)}
        assert len(told) + any(isinstance(answer, Parked) for answer in answers) == 1, answers


def test_of_20_sweepers_one_sweeps(stage: Stage, race: Race) -> None:
    swept = race(20, lambda hopper, _: hopper.sweep(interval_s=60, undelivered_s=0, dead_errno="", dead_error=""))
    assert swept.count(None) == 19


def test_no_second_ever_sees_more_claims_than_the_limit(
    stage: Stage, redis_server: EmbeddedRedis, clock: StepClock
) -> None:
    """20 a second: no more than 20 in any sliding second, with a burst of 3 no more than 22; and hardly fewer."""
    claims, bursts = 50, {"single": 1, "burst": 3}
    job_ids = {}
    for name, burst in bursts.items():
        stage.open_pbx(name, calls_per_second=20, burst=burst)
        job_ids[name] = stage.put_each([str(1000 + i) for i in range(claims)], pbx=name)
    while stage.release(1000, lookahead_s=1000):
        pass

    def caller(mine: list[str]) -> None:
        with connect(redis_server.url) as client:
            hopper = Hopper(client, namespace=stage.hopper.keys.namespace, retain_s=600)
            for job_id in mine:
                while not isinstance(hopper.claim(job_id, uuid.uuid4().hex, slot_wait_s=1000), Go):
                    clock.advance(0.0005)

    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(caller, ids[number::4]) for ids in job_ids.values() for number in range(4)]
        for each in running:
            each.result()

    for name, burst in bursts.items():
        times = sorted(float(stage.hopper.record(job_id)["claimed_at"]) for job_id in job_ids[name])
        assert busiest_second(times) <= 20 + burst - 1, name
        assert times[-1] - times[0] >= (claims - burst) / 20
        assert times[-1] - times[0] <= (claims - burst) / 20 / 0.8, "the limit is used"


def busiest_second(times: list[float]) -> int:
    """The most *times* that lie within one second, its end left out."""
    return max(sum(begin <= other < begin + 1 for other in times) for begin in times)
