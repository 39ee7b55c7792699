"""Releasing: fair, urgent first, never early, no more than can soon be claimed, the message in one step."""

import json

import pytest

from tests.conftest import pbx_settings
from tests.integration.clock import StepClock
from tests.integration.hopper.stage import MESSAGE, Stage, eventually, in_s
from worker.jobs import JobState


def place(stage: Stage, job_id: str) -> None:
    stage.finish(job_id, "n", stage.go(job_id, "n"))


def fail(stage: Stage, job_id: str) -> None:
    stage.finish(job_id, "n", stage.go(job_id, "n"), JobState.FAILED)


def park(stage: Stage, job_id: str) -> None:
    stage.go(job_id, "n")
    stage.hopper.park(job_id, "n", delay_s=3600)


def cancel(stage: Stage, job_id: str) -> None:
    stage.hopper.cancel(job_id)


def expire(stage: Stage, job_id: str) -> None:
    stage.hopper.client.hset(stage.hopper.keys.job(job_id), "expires_at", "1")
    stage.claim(job_id)


ENDS = [place, fail, park, cancel, expire]


def turns_until(stage: Stage, lone: str, end: object, **release: int) -> int:
    """Bring one job after the other to *end*; return how many turns pass until *lone* has its own."""
    for turn in range(1, 100):
        (job_id,) = stage.release(1, **release)
        if job_id == lone:
            return turn
        end(stage, job_id)  # type: ignore[operator]
    raise AssertionError("never")


# --- the message -------------------------------------------------------------------------------------------


def test_state_and_message_change_in_one_step_with_the_id_put_in(stage: Stage) -> None:
    job_id = stage.put()
    count, _ = stage.hopper.release(stage.queue, MESSAGE, most=5, most_released=5, lookahead_s=0.1)

    (text,) = stage.hopper.client.lrange(stage.queue, 0, -1)
    message = json.loads(text)
    assert count == 1
    assert (message["id"], message["body"]) == (job_id, f'[["{job_id}"], {{}}]')
    assert message["tag"].startswith(f"{job_id}.")
    assert stage.state(job_id) == "released"


def test_a_job_released_again_gets_another_delivery_tag(stage: Stage) -> None:
    job_id = stage.put()
    tags = set()
    for _ in range(2):
        stage.hopper.release(stage.queue, MESSAGE, most=5, most_released=5, lookahead_s=0.1)
        tags.add(json.loads(stage.hopper.client.rpop(stage.queue))["tag"])
        stage.hopper.hand_back(job_id)

    assert len(tags) == 2


def test_messages_are_taken_in_the_order_of_their_release(stage: Stage) -> None:
    first = stage.put("1002", priority="normal")
    second = stage.put("1001", priority="bulk")

    assert stage.release() == [first, second]


# --- fair between PBXs -------------------------------------------------------------------------------------


def test_a_lane_of_2000_never_delays_a_lane_of_one_on_another_pbx(stage: Stage) -> None:
    stage.open_pbx("branch")
    stage.put_each([str(1000 + i) for i in range(2000)])
    lone = stage.put("1", pbx="branch")

    assert lone in stage.release(2)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_each_pbx_has_its_turn_although_there_is_room_for_one_job(stage: Stage, end: object) -> None:
    stage.open_pbx("branch")
    stage.put_each(["1000"] * 10)
    lone = stage.put("1", pbx="branch")

    assert turns_until(stage, lone, end, most_released=1) <= 2


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_urgent_jobs_of_one_pbx_do_not_starve_another_pbx(stage: Stage, end: object) -> None:
    stage.open_pbx("branch")
    stage.put_each(["1000"] * 10, priority="urgent")
    lone = stage.put("1", pbx="branch")

    assert turns_until(stage, lone, end, most_released=1) <= 2


def test_many_pbxs_share_one_round_evenly(stage: Stage) -> None:
    names = [f"p{i}" for i in range(20)]
    for name in names:
        stage.open_pbx(name, logged_in=False)
        stage.put_each([str(1000 + i) for i in range(10)], pbx=name)

    pbxs = [stage.hopper.record(job_id)["pbx"] for job_id in stage.release(60)]

    assert {pbxs.count(name) for name in names} == {3}


# --- fair between extensions -------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
@pytest.mark.parametrize("lone_extid", ["0", "9999"])
def test_a_long_lane_never_delays_a_lane_of_one_however_its_calls_end(
    stage: Stage, end: object, lone_extid: str
) -> None:
    stage.put_each(["1000"] * 10)
    lone = stage.put(lone_extid)

    assert turns_until(stage, lone, end) <= 2


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_extensions_take_turns(stage: Stage, end: object) -> None:
    stage.put_each(["1", "2", "3"] * 3)
    extids = []
    for _ in range(9):
        (job_id,) = stage.release(1)
        extids.append(stage.hopper.record(job_id)["extid"])
        end(stage, job_id)  # type: ignore[operator]

    assert [set(extids[turn : turn + 3]) for turn in (0, 3, 6)] == [{"1", "2", "3"}] * 3


def test_a_busy_extension_does_not_block_the_next_one(stage: Stage) -> None:
    stage.open_pbx(open_call_s=60)
    busy, _ = stage.claimed("1000")
    waiting, other = stage.put("1000"), stage.put("1001")

    assert stage.release() == [other]
    assert stage.state(waiting) == "waiting"
    assert stage.state(busy) == "claimed"


def test_one_extension_gets_one_job_at_a_time_in_order_of_arrival(stage: Stage) -> None:
    job_ids = stage.put_each(["1000"] * 4)

    served = []
    for _ in job_ids:
        (job_id,) = stage.release()
        place(stage, job_id)
        served.append(job_id)

    assert served == job_ids


# --- priorities --------------------------------------------------------------------------------------------


def test_urgent_before_normal_before_bulk_within_a_lane(stage: Stage) -> None:
    bulk, normal, urgent = (stage.put(priority=priority) for priority in ("bulk", "normal", "urgent"))

    served = []
    for _ in range(3):
        (job_id,) = stage.release()
        place(stage, job_id)
        served.append(job_id)

    assert served == [urgent, normal, bulk]


def test_urgent_before_normal_before_bulk_between_lanes(stage: Stage) -> None:
    bulk = stage.put("1001", priority="bulk")
    normal = stage.put("1002", priority="normal")
    urgent = stage.put("1003", priority="urgent")

    assert stage.release() == [urgent, normal, bulk]


def test_an_urgent_job_behind_many_normal_ones_goes_next(stage: Stage) -> None:
    stage.put_each([str(1000 + i) for i in range(500)])
    stage.release(10)
    urgent = stage.put("1400", priority="urgent")

    assert stage.release(1) == [urgent]


def test_a_lane_goes_by_its_first_job_again_when_the_urgent_one_is_withdrawn(stage: Stage) -> None:
    stage.put("1001", priority="bulk")
    urgent = stage.put("1001", priority="urgent")
    normal = stage.put("1002", priority="normal")
    stage.hopper.cancel(urgent)

    assert stage.release(1) == [normal]


# --- when --------------------------------------------------------------------------------------------------


def test_due_jobs_come_in_the_order_of_arrival_and_never_early(stage: Stage) -> None:
    later, now = stage.put(not_before=in_s(0.1)), stage.put()

    assert stage.release() == [now]
    place(stage, now)
    (job_id,) = eventually(stage.release)
    record = stage.hopper.record(job_id)
    assert job_id == later
    assert stage.hopper.now() >= float(record["not_before"])


def test_many_jobs_due_at_once_all_come(stage: Stage) -> None:
    soon = in_s(0.1)
    job_ids = stage.put_each([str(1000 + i) for i in range(300)], not_before=soon)
    released: list[str] = []

    assert eventually(lambda: (released.extend(stage.release(1000)), len(released) == 300)[1])
    assert sorted(released) == sorted(job_ids)


def test_an_expired_job_is_ended_instead_of_released(stage: Stage, clock: StepClock) -> None:
    gone, other = stage.put("1001", expires_at=in_s(1)), stage.put("1001")
    clock.advance(2)

    assert stage.release() == [other]
    assert stage.state(gone) == "expired"
    assert stage.sweep() == [gone], "its result is to be delivered"


def test_with_nothing_to_do_the_pacer_sleeps_until_woken(stage: Stage) -> None:
    assert stage.release() == []
    assert stage.sleep_s is None


def test_the_pacer_is_told_when_the_next_permit_is_near(stage: Stage) -> None:
    stage.open_pbx(calls_per_second=2, burst=1)
    first, second = stage.put("1001"), stage.put("1002")

    assert stage.release() == [first]
    assert stage.sleep_s is not None
    assert 0.3 < stage.sleep_s <= 0.5, "half a second to the permit, less the time to get ready"
    stage.go(first, "n")
    assert eventually(stage.release) == [second]


# --- how many ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most_released", [1, 3, 10])
def test_never_more_than_the_most_released_are_out(stage: Stage, most_released: int) -> None:
    stage.put_each([str(1000 + i) for i in range(30)])

    out = [job_id for _ in range(3) for job_id in stage.release(most_released=most_released)]
    assert len(out) == most_released
    stage.go(out[0], "n")
    assert len(stage.release(most_released=most_released)) == 1


def test_a_pacer_out_of_room_is_woken_at_half_of_it(stage: Stage) -> None:
    stage.put_each([str(1000 + i) for i in range(10)])
    out = stage.release(most_released=4)
    assert stage.sleep_s is None
    stage.hopper.client.delete(stage.hopper.keys.wake)

    stage.go(out[0], "n")
    assert stage.hopper.client.llen(stage.hopper.keys.wake) == 0
    stage.go(out[1], "n")
    assert stage.hopper.client.llen(stage.hopper.keys.wake) == 1


def test_never_more_are_released_than_lines_are_free(stage: Stage) -> None:
    stage.open_pbx(max_open_calls=3, open_call_s=60)
    stage.put_each([str(1000 + i) for i in range(10)])

    out = stage.release()
    assert len(out) == 3
    for job_id in out[:2]:
        place(stage, job_id)
    assert stage.release() == []
    fail(stage, out[2])
    assert len(stage.release()) == 1


# --- PBXs that take nothing --------------------------------------------------------------------------------


def test_a_paused_pbx_releases_nothing_and_holds_up_nobody(stage: Stage) -> None:
    stage.open_pbx("branch")
    stage.hopper.pause("hq")
    waiting, other = stage.put(), stage.put(pbx="branch")

    assert stage.release() == [other]
    assert stage.sleep_s is None
    stage.hopper.resume("hq")
    assert stage.release() == [waiting]


def test_the_kill_switch_stops_every_pbx(stage: Stage) -> None:
    stage.open_pbx("branch")
    job_ids = [stage.put(), stage.put(pbx="branch", priority="urgent")]
    stage.hopper.pause()

    assert stage.release() == []
    stage.hopper.pause("branch")
    stage.hopper.resume()
    assert stage.release() == job_ids[:1]
    stage.hopper.resume("branch")
    assert stage.release() == job_ids[1:]


def test_a_pbx_whose_breaker_is_open_waits_its_time_and_holds_up_nobody(stage: Stage) -> None:
    stage.open_pbx("branch")
    stage.unreachable(base_s=0.1)
    waiting, other = stage.put(), stage.put(pbx="branch")

    assert stage.release() == [other]
    assert stage.sleep_s is not None
    assert stage.sleep_s <= 0.1
    assert eventually(stage.release) == [waiting]


def test_jobs_of_an_unknown_pbx_wait_for_a_worker_that_knows_it(stage: Stage) -> None:
    waiting, other = stage.put(pbx="new"), stage.put()

    assert stage.release() == [other]
    stage.hopper.client.delete(stage.hopper.keys.wake)
    stage.hopper.register("new", pbx_settings())
    assert stage.hopper.client.llen(stage.hopper.keys.wake) == 1
    assert stage.release() == [waiting]


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ({"max_open_calls": 1, "open_call_s": 3600}, {"max_open_calls": 8, "open_call_s": 3600}),
        ({"calls_per_second": 0.01, "burst": 1}, {"calls_per_second": 100, "burst": 1}),
    ],
    ids=["lines", "permits"],
)
def test_wider_limits_act_at_once(stage: Stage, narrow: dict[str, object], wide: dict[str, object]) -> None:
    stage.open_pbx(**narrow)
    stage.claimed("1001")
    waiting = stage.put("1002")
    assert stage.release() == []
    assert stage.sleep_s is not None
    assert stage.sleep_s > 60

    stage.open_pbx(**wide)

    assert eventually_within(stage, 1.0) == [waiting]


def eventually_within(stage: Stage, seconds: float) -> list[str]:
    end = stage.hopper.now() + seconds
    while not (released := stage.release()) and stage.hopper.now() < end:
        pass
    return released


def test_narrower_limits_act_at_once(stage: Stage) -> None:
    stage.put_each([str(1000 + i) for i in range(10)])
    stage.open_pbx(max_open_calls=2)

    assert len(stage.release()) == 2


def test_a_line_given_back_wakes_a_sleeping_pacer(stage: Stage) -> None:
    job_id, claim = stage.claimed()
    stage.hopper.client.delete(stage.hopper.keys.wake)

    stage.finish(job_id, "n1", claim, JobState.FAILED)

    assert stage.hopper.client.llen(stage.hopper.keys.wake) == 1


def test_a_call_over_sooner_than_the_pacer_was_told_wakes_it(stage: Stage) -> None:
    # open_call_s and extension_rest_s are 0: the extension is free the moment the call is placed.
    first, second = stage.put_each(["1001", "1001"])
    assert stage.release() == [first]
    claim = stage.go(first, "n")
    assert stage.release() == []
    assert stage.sleep_s is not None
    assert stage.sleep_s > 10
    stage.hopper.client.delete(stage.hopper.keys.wake)

    stage.finish(first, "n", claim)

    assert stage.release() == [second]
    assert stage.hopper.client.llen(stage.hopper.keys.wake) == 1, "it would sleep on for up to a second"
