"""Looking, waiting, being told: views, ended jobs, heartbeats, wake calls, a server that forgot its scripts."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from tests.conftest import pbx_settings
from tests.integration.clock import StepClock
from tests.integration.hopper.stage import GENEROUS_S, Stage, eventually, in_s, job
from worker.hopper import Hopper, LaneView, connect
from worker.hopper.wake import WakeCall
from worker.jobs import JobState

# Longer than any test may take: what ends a wait of this length is not its time.
FOR_EVER_S = 3600.0

# --- views -------------------------------------------------------------------------------------------------


def test_a_pbx_at_a_glance(stage: Stage) -> None:
    stage.open_pbx(open_call_s=60)
    stage.claimed("1001")
    stage.put_each(["1001", "1001", "1002", "1003"])
    stage.put("1004", not_before=in_s(60))
    stage.release(1)

    view = stage.hopper.view("hq")

    assert (view.waiting, view.later, view.released, view.open_calls) == (3, 1, 1, 1)
    assert (view.paused, view.barred_s, view.barred_reason) == (False, 0, "")
    assert [(lane.extid, lane.waiting) for lane in view.lanes] == [("1001", 2), ("1003", 1)]
    assert view.lanes[0].busy_s > 60
    assert view.lanes[1] == LaneView("1003", 1, 0.0)


def test_a_pbx_nobody_knows_is_empty(stage: Stage) -> None:
    view = stage.hopper.view("nobody")
    assert (view.waiting, view.later, view.released, view.open_calls, view.lanes) == (0, 0, 0, 0, ())


def test_results_leave_out_what_never_was(stage: Stage) -> None:
    job_id = stage.put()
    assert [result.job_id for result in stage.hopper.results(["nobody", job_id])] == [job_id]
    assert stage.hopper.result("nobody") is None
    assert stage.hopper.record("nobody") == {}


def test_the_jobs_that_ended_last_come_first(stage: Stage) -> None:
    first, second, third = (stage.put() for _ in range(3))
    for job_id in (second, first):
        stage.hopper.cancel(job_id)

    assert stage.hopper.ended_last(10) == [first, second]
    assert stage.hopper.ended_last(1) == [first]
    assert stage.hopper.ended_last(10, since=stage.score("ended", second) or 0) == [first]
    assert third not in stage.hopper.ended_last(10)


def test_a_result_tells_no_telephone_number(stage: Stage) -> None:
    job_id, claim = stage.claimed(outto="5550123")
    result = stage.finish(job_id, "n1", claim)
    assert result is not None
    assert "5550123" not in str(result.plain())


# --- ended since -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [1, 3, 500])
def test_ended_jobs_come_oldest_first_each_once(stage: Stage, page: int) -> None:
    job_ids = stage.put_each([str(1000 + i) for i in range(7)])
    for job_id in job_ids:
        stage.hopper.cancel(job_id)

    assert [result.job_id for result in stage.hopper.ended_since(0, page=page)] == job_ids


@pytest.mark.parametrize("page", [1, 2, 3, 500])
def test_jobs_that_ended_in_the_same_microsecond_all_come(stage: Stage, clock: StepClock, page: int) -> None:
    job_ids = stage.put_each([str(1000 + i) for i in range(7)], expires_at=in_s(1))
    clock.advance(2)
    stage.sweep()

    ended = [result.job_id for result in stage.hopper.ended_since(0, page=page)]
    assert sorted(ended) == sorted(job_ids)


def test_only_jobs_ended_since_then_come(stage: Stage) -> None:
    before, after = stage.put_each(["1001", "1002"])
    stage.hopper.cancel(before)
    since = stage.hopper.now()
    stage.hopper.cancel(after)
    at = stage.score("ended", after)
    assert at is not None

    assert [result.job_id for result in stage.hopper.ended_since(since)] == [after]
    assert [result.job_id for result in stage.hopper.ended_since(at)] == [after], "the time itself included"
    assert list(stage.hopper.ended_since(at + 0.001)) == []


def test_an_end_while_one_reads_comes_too(stage: Stage) -> None:
    first, second = stage.put_each(["1001", "1002"])
    stage.hopper.cancel(first)
    reading = stage.hopper.ended_since(0)
    assert next(reading).job_id == first

    stage.hopper.cancel(second)
    assert next(reading).job_id == second


# --- waiting for an end ------------------------------------------------------------------------------------


def test_the_end_of_a_job_ends_the_wait(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    get_message = redis.client.PubSub.get_message

    def without_looking_again(channel: Any, timeout: float) -> Any:
        assert timeout <= 1, "the record is looked at each second"
        return get_message(channel, timeout=None)

    # The wait ends by the message alone: without it, no look at the record would follow.
    monkeypatch.setattr(redis.client.PubSub, "get_message", without_looking_again)
    job_id, claim = stage.claimed()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(stage.hopper.wait_for_end, job_id, FOR_EVER_S)
        channel = stage.hopper.keys.end(job_id)
        assert eventually(lambda: dict(stage.hopper.client.pubsub_numsub(channel))[channel] == 1)
        result = stage.finish(job_id, "n1", claim)

        assert waiting.result() == result


@pytest.mark.parametrize("timeout_s", [0, 0.05])
def test_a_wait_that_is_over_says_what_is_known(stage: Stage, timeout_s: float) -> None:
    result = stage.hopper.wait_for_end(stage.put(), timeout_s)
    assert result is not None
    assert result.state is JobState.WAITING


def test_an_end_long_ago_needs_no_wait(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(redis.client.PubSub, "get_message")
    job_id = stage.put()
    stage.hopper.cancel(job_id)

    result = stage.hopper.wait_for_end(job_id, FOR_EVER_S)

    assert result is not None
    assert result.state is JobState.CANCELLED


def test_nobody_waits_for_a_job_that_never_was(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(redis.client.PubSub, "get_message")
    assert stage.hopper.wait_for_end("nobody", FOR_EVER_S) is None


# --- heartbeats --------------------------------------------------------------------------------------------


def test_the_slots_of_all_living_workers_are_known(hopper: Hopper) -> None:
    assert hopper.heartbeat("a@host-1", slots=16, ttl_s=60).slots == 16
    assert hopper.heartbeat("b@host|2", slots=8, ttl_s=60).slots == 24
    assert hopper.heartbeat("a@host-1", slots=4, ttl_s=60).slots == 12
    assert hopper.workers_alive() == {"a@host-1": 4, "b@host|2": 8}
    assert hopper.heartbeat("a@host-1", slots=0, ttl_s=60).slots == 8


def test_a_worker_that_says_nothing_any_more_is_forgotten(hopper: Hopper) -> None:
    hopper.heartbeat("dead", slots=16, ttl_s=0.02)
    assert eventually(lambda: hopper.workers_alive() == {})
    assert hopper.heartbeat("alive", slots=1, ttl_s=60).slots == 1
    assert hopper.client.hlen(hopper.keys.workers) == 1


# --- wake calls --------------------------------------------------------------------------------------------


def patient_call(stage: Stage) -> WakeCall:
    """A wake call that the server leaves unanswered until there is something to tell."""
    return WakeCall(stage.hopper.client, stage.hopper.keys.wake, call_s=FOR_EVER_S, overdue_s=2 * FOR_EVER_S)


def sleepers_on(stage: Stage) -> list[dict[str, str]]:
    """The server's clients that wait for something to come into a list."""
    return [client for client in stage.hopper.client.client_list() if client["cmd"] == "blpop"]


def test_a_sleeper_is_woken_by_a_put(stage: Stage) -> None:
    stage.hopper.client.delete(stage.hopper.keys.wake)
    call = patient_call(stage)
    with ThreadPoolExecutor(1) as threads:
        sleeping = threads.submit(call.wait, FOR_EVER_S)
        stage.put()
        sleeping.result()
    call.close()


def test_a_sleeper_wakes_by_itself_when_its_time_has_come(stage: Stage) -> None:
    stage.hopper.client.delete(stage.hopper.keys.wake)
    call = patient_call(stage)
    for _ in range(3):
        began = time.monotonic()
        call.wait(0.05)
        assert time.monotonic() - began >= 0.045
    call.close()


def test_a_wake_up_between_two_sleeps_is_not_lost(stage: Stage) -> None:
    stage.hopper.client.delete(stage.hopper.keys.wake)
    call = patient_call(stage)
    call.wait(0.001)
    stage.put()
    assert eventually(lambda: not stage.hopper.client.exists(stage.hopper.keys.wake))  # it is on its way

    call.wait(FOR_EVER_S)
    call.close()


def test_a_closed_sleeper_can_sleep_again_and_takes_no_wake_up_with_it(stage: Stage) -> None:
    stage.hopper.client.delete(stage.hopper.keys.wake)
    call = stage.hopper.wake_call()
    call.wait(0.001)
    call.close()
    call.close()
    assert eventually(lambda: not sleepers_on(stage))

    stage.put()
    assert stage.hopper.client.llen(stage.hopper.keys.wake) == 1
    call.wait(GENEROUS_S)
    assert stage.hopper.client.llen(stage.hopper.keys.wake) == 0
    call.close()


def test_a_broken_connection_is_said_once_and_mended(stage: Stage) -> None:
    stage.hopper.client.delete(stage.hopper.keys.wake)
    call = stage.hopper.wake_call()
    call.wait(0.001)
    # The sleepers of the tests before may take a moment to go.
    [sleeper] = eventually(lambda: len(sleepers := sleepers_on(stage)) == 1 and sleepers)
    stage.hopper.client.client_kill_filter(_id=sleeper["id"])

    with pytest.raises(redis.RedisError):
        call.wait(GENEROUS_S)
    stage.put()
    call.wait(GENEROUS_S)
    call.close()


# --- a server that forgot ----------------------------------------------------------------------------------


def test_every_step_survives_a_server_that_forgot_its_scripts(stage: Stage) -> None:
    def forget() -> Hopper:
        stage.hopper.client.script_flush()
        return stage.hopper

    for number in range(2):  # the second time the scripts had been loaded before
        job_id = stage.put(key=f"k{number}")
        assert forget().pause("hq")
        assert forget().resume("hq")
        forget()
        assert stage.release() == [job_id]
        forget()
        stage.go(job_id, "n")
        assert forget().park(job_id, "n", delay_s=0)
        forget()
        stage.release()
        assert forget().hand_back(job_id)
        stage.release()
        claim = stage.go(job_id, "m")
        forget()
        result = stage.finish(job_id, "m", claim)
        assert result is not None
        assert forget().cancel(job_id) == ("too_late", "placed")
        forget()
        assert stage.sweep() == [job_id]
        forget().delivered([result])
        assert stage.sweep() == []
        forget().register("hq", pbx_settings())
        assert forget().heartbeat("w", slots=1, ttl_s=60).slots == 1


def test_many_threads_share_one_hopper_while_the_server_forgets(stage: Stage) -> None:
    stop = threading.Event()

    def forget() -> None:
        while not stop.wait(0.002):
            stage.hopper.client.script_flush()

    def put(number: int) -> bool:
        return stage.hopper.put(job(str(1000 + number % 10), key=f"row-{number}")).is_new

    with ThreadPoolExecutor(9) as threads:
        forgetting = threads.submit(forget)
        try:
            new = list(threads.map(put, range(200)))
        finally:
            stop.set()
        forgetting.result()

    assert new == [True] * 200
    assert stage.hopper.view("hq").waiting == 200


def test_a_client_repeats_nothing_by_itself(redis_server: object) -> None:
    with connect(redis_server.url) as client:  # type: ignore[attr-defined]
        assert client.get_retry().get_retries() == 0
