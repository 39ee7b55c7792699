"""Sweeping and delivering: what the dead left behind comes to an end, and no result is forgotten."""

import pytest
import redis

from tests.integration.clock import StepClock
from tests.integration.hopper.stage import QUICK, Stage, eventually, in_s
from worker.hopper import Hopper
from worker.jobs import JobState

# --- what the dead left ------------------------------------------------------------------------------------


def test_a_job_whose_message_was_lost_is_released_again(quick: Stage) -> None:
    quick.open_pbx(max_open_calls=1)
    job_id = quick.put()
    quick.release()  # and the message is lost

    assert eventually(lambda: quick.sweep() == [] and quick.state(job_id) == "waiting")
    assert quick.hopper.client.llen(quick.hopper.keys.wake) == 1
    assert quick.release() == [job_id]
    assert quick.go(job_id, "n").attempts == 1


def test_a_job_just_released_is_left_alone(stage: Stage) -> None:
    job_id = stage.put()
    stage.release()
    before = stage.snapshot()

    assert stage.sweep() == []
    assert stage.snapshot() == before
    stage.go(job_id, "n")


def test_a_dead_claim_is_in_doubt_and_is_not_rung_again(quick: Stage) -> None:
    quick.open_pbx(open_call_s=60)
    job_id, _ = quick.claimed()

    assert eventually(lambda: quick.sweep() == [] and quick.is_in_doubt(job_id))

    result = quick.hopper.result(job_id)
    assert result is not None
    assert (result.state, result.errno, result.error) == ("claimed", "worker_lost", "the worker vanished")
    assert quick.hopper.view("hq").in_doubt == 1
    assert quick.release() == []
    assert quick.score("lines:hq", job_id) is not None, "the call may be open"
    assert quick.score("exts:hq", "1001") is not None


def test_a_live_claim_is_left_alone(stage: Stage) -> None:
    stage.claimed()
    before = stage.snapshot()

    assert stage.sweep() == []
    assert stage.snapshot() == before


@pytest.mark.parametrize("held_up_by", ["pause", "kill switch", "breaker", "unknown pbx", "not before"])
def test_jobs_expire_although_nothing_is_released(stage: Stage, clock: StepClock, held_up_by: str) -> None:
    fields: dict[str, object] = {}
    match held_up_by:
        case "pause":
            stage.hopper.pause("hq")
        case "kill switch":
            stage.hopper.pause()
        case "breaker":
            stage.unreachable()
        case "unknown pbx":
            fields = {"pbx": "unknown"}
        case _:
            fields = {"not_before": in_s(0.5)}
    job_id = stage.put(**({"expires_at": in_s(1)} | fields))
    clock.advance(2)

    assert stage.sweep() == [job_id]
    assert stage.state(job_id) == "expired"


def test_a_released_job_that_expired_gives_back_what_it_held(stage: Stage) -> None:
    stage.open_pbx(max_open_calls=1)
    job_id, following = stage.put("1001", expires_at=in_s(0.05)), stage.put("1001")
    assert stage.release() == [job_id]

    assert eventually(stage.sweep) == [job_id]
    assert stage.release() == [following]


def test_a_claimed_job_never_expires(stage: Stage, clock: StepClock) -> None:
    job_id, claim = stage.claimed(expires_at=in_s(60))
    clock.advance(61)

    assert stage.sweep() == []
    assert stage.finish(job_id, "n1", claim) is not None


def test_more_than_one_sweep_can_take_is_taken_by_the_next(stage: Stage, clock: StepClock) -> None:
    job_ids = stage.put_each([str(1000 + i) for i in range(25)], expires_at=in_s(1))
    clock.advance(2)

    for _ in range(3):
        stage.sweep(most=10)

    assert {stage.state(job_id) for job_id in job_ids} == {"expired"}


# --- one at a time -----------------------------------------------------------------------------------------


def test_one_sweeps_for_all_within_the_interval(stage: Stage) -> None:
    def sweep() -> list[str] | None:
        return stage.hopper.sweep(interval_s=60, undelivered_s=0, dead_errno="", dead_error="")

    assert sweep() == []
    assert sweep() is None
    assert 59_000 < stage.hopper.client.pttl(f"{stage.hopper.keys.namespace}:sweeping") <= 60_000


def test_the_next_sweep_comes_after_the_interval_whoever_died(stage: Stage) -> None:
    def sweep() -> bool:
        return stage.hopper.sweep(interval_s=0.05, undelivered_s=0, dead_errno="", dead_error="") is not None

    assert sweep()
    assert eventually(sweep)


# --- results not yet delivered -----------------------------------------------------------------------------


def test_a_result_comes_from_each_sweep_until_it_is_delivered(stage: Stage) -> None:
    job_id, claim = stage.claimed()
    result = stage.finish(job_id, "n1", claim)
    assert result is not None

    assert stage.sweep() == [job_id]
    assert stage.sweep() == [job_id]
    stage.hopper.delivered([result])
    assert stage.sweep() == []


def test_a_fresh_result_is_left_to_its_own_deliverer(stage: Stage) -> None:
    stage.finish(*stage_claim(stage))

    assert stage.sweep(undelivered_s=60) == []
    assert len(stage.sweep(undelivered_s=0)) == 1


def stage_claim(stage: Stage) -> tuple[str, str, object]:
    job_id, claim = stage.claimed()
    return job_id, "n1", claim


def test_a_result_as_read_from_the_record_counts_as_delivered_too(stage: Stage) -> None:
    stage.hopper.cancel(stage.put())
    (job_id,) = stage.sweep()

    stage.hopper.delivered(stage.hopper.results([job_id]))

    assert stage.sweep() == []


def test_a_newer_end_stays_when_the_older_one_was_delivered(quick: Stage) -> None:
    job_id, claim = quick.unknown()
    older = quick.hopper.result(job_id)
    newer = quick.finish(job_id, "n1", claim)
    assert older is not None
    assert newer is not None

    quick.hopper.delivered([older])
    assert quick.sweep() == [job_id]
    quick.hopper.delivered([newer])
    quick.hopper.delivered([newer])
    assert quick.sweep() == []


def test_each_end_of_a_job_is_taken_off_by_one_step_however_often_it_is_said(quick: Stage) -> None:
    job_id, claim = quick.unknown()
    older = quick.hopper.result(job_id)
    newer = quick.finish(job_id, "n1", claim)
    assert older is not None
    assert newer is not None

    assert quick.hopper.delivered([older]).taken == ()
    assert quick.hopper.delivered([newer, newer]).taken == (newer,)
    assert quick.hopper.delivered([newer]).taken == ()


def test_delivering_nothing_and_strangers_is_harmless(stage: Stage) -> None:
    job_id, claim = stage.claimed()
    result = stage.finish(job_id, "n1", claim)
    assert result is not None

    stage.hopper.delivered([])
    stage.hopper.delivered([result.model_copy(update={"job_id": "stranger"})])
    assert stage.sweep() == [job_id]


def test_results_nobody_took_go_with_their_records(
    client: "redis.Redis", namespace: str, clock: StepClock
) -> None:
    # Without this, ids without records fill every sweep's page for ever, and newer results are never offered.
    forgetful = Stage(Hopper(client, namespace=namespace, retain_s=600, limits=QUICK), queue=f"{namespace}.dial")
    forgetful.open_pbx()
    old = forgetful.put_each(["1001", "1002"])
    for job_id in old:
        forgetful.hopper.cancel(job_id)
        # Redis expires records by its own clock, which the test does not move.
        client.delete(forgetful.hopper.keys.job(job_id))
    clock.advance(601)
    fresh = forgetful.put("1003")
    forgetful.hopper.cancel(fresh)

    forgetful.sweep(most=2)
    assert forgetful.sweep(most=2) == [fresh]


def test_the_list_of_ended_jobs_forgets_after_the_time_to_retain(stage: Stage, clock: StepClock) -> None:
    job_id = stage.put()
    stage.hopper.cancel(job_id)
    clock.advance(599)
    stage.sweep()
    assert stage.score("ended", job_id) is not None

    clock.advance(2)
    stage.sweep()
    assert stage.score("ended", job_id) is None


# --- pause and resume --------------------------------------------------------------------------------------


def test_pausing_and_resuming_say_whether_they_changed_anything(stage: Stage) -> None:
    hopper = stage.hopper
    assert (hopper.pause("hq"), hopper.pause("hq"), hopper.pause()) == (True, False, True)
    assert hopper.paused() == {"hq", "*"}
    assert (hopper.view("hq").paused, hopper.view("other").paused) == (True, True)

    assert (bool(hopper.resume("hq")), hopper.resume("hq")) == (True, None)
    assert hopper.paused() == {"*"}
    hopper.pause("hq")
    assert (bool(hopper.resume()), hopper.resume()) == (True, None)
    assert hopper.paused() == {"hq"}, "it was paused for a reason of its own"
    assert hopper.resume("hq")
    assert hopper.paused() == set()


def test_one_pbx_resumed_under_the_kill_switch_stays_silent(stage: Stage) -> None:
    job_id = stage.put()
    stage.hopper.pause("hq")
    stage.release()
    stage.hopper.pause()
    stage.hopper.resume("hq")

    assert stage.release() == []
    stage.hopper.resume()
    assert stage.release() == [job_id]


def test_jobs_put_while_paused_go_after_the_resume_which_wakes_the_pacer(stage: Stage) -> None:
    stage.hopper.pause("hq")
    job_ids = stage.put_each(["1001", "1002"])
    assert stage.release() == []
    stage.hopper.client.delete(stage.hopper.keys.wake)

    stage.hopper.resume("hq")

    assert stage.hopper.client.llen(stage.hopper.keys.wake) == 1
    assert stage.release() == job_ids


def test_a_pause_does_not_touch_a_call_under_way(stage: Stage) -> None:
    job_id, claim = stage.claimed()
    stage.hopper.pause()

    assert stage.finish(job_id, "n1", claim) is not None
    assert stage.state(job_id) == JobState.PLACED


def test_resuming_a_pbx_that_never_was_leaves_nothing_behind(stage: Stage) -> None:
    stage.release()
    before = stage.snapshot()

    assert not stage.hopper.resume("slip-of-the-pen")
    stage.release()

    after = stage.snapshot()
    after.pop(stage.hopper.keys.wake, None)
    before.pop(stage.hopper.keys.wake, None)
    assert after == before
