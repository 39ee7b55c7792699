"""Redis's clock is set while jobs are under way: nothing goes too early, and nothing waits for the step."""

import pytest

from tests.integration.clock import StepClock
from tests.integration.hopper.stage import API_KEY, Stage, in_s
from worker.hopper import Beat, Login, Wait
from worker.jobs import JobState
from worker.redis_clock import RedisClock, uptime_s

HOUR_S, DAY_S = 3600.0, 86_400.0
STEPS = [-DAY_S, -HOUR_S, -20.0, 20.0, HOUR_S, DAY_S]


def beat(stage: Stage) -> Beat:
    return stage.hopper.heartbeat("w", slots=16, ttl_s=20)


def step(stage: Stage, clock: StepClock, seconds: float) -> None:
    """Set the clock while a worker is alive, and have that worker find out."""
    compared = beat(stage).compared
    clock.advance(seconds)
    assert beat(stage).in_doubt
    assert stage.hopper.set_clock(compared, seconds) == (compared + 1, seconds)
    assert not beat(stage).in_doubt


def pass_time(stage: Stage, clock: StepClock, seconds: float) -> None:
    """Let time pass under the eyes of a worker."""
    clock.advance(seconds)
    stage.hopper.set_clock(beat(stage).compared, 0)


@pytest.mark.parametrize("seconds", STEPS)
def test_nothing_is_dialed_until_the_step_is_known(stage: Stage, clock: StepClock, seconds: float) -> None:
    released, waiting = stage.put("1001"), stage.put("1002")
    assert stage.release(most=1) == [released]
    beat(stage)
    clock.advance(seconds)

    before = stage.snapshot()
    assert isinstance(stage.claim(released), Wait)
    assert stage.release() == []
    assert stage.snapshot() == before

    stage.hopper.set_clock(beat(stage).compared, seconds)
    stage.go(released, "n")
    assert stage.release() == [waiting]


@pytest.mark.parametrize("seconds", STEPS)
def test_leases_of_calls_last_as_long_as_before(stage: Stage, clock: StepClock, seconds: float) -> None:
    stage.open_pbx(open_call_s=60, extension_rest_s=5)
    job_id, claim = stage.claimed("1001")
    stage.finish(job_id, "n1", claim)
    other = stage.put("1001")

    step(stage, clock, seconds)

    assert stage.release() == []
    assert float(stage.hopper.record(job_id)["hold"]) == stage.score("exts:hq", "1001"), "it is still its own"
    pass_time(stage, clock, 60)
    assert stage.release() == [], "the extension rests"
    pass_time(stage, clock, 5)
    assert stage.release() == [other]


@pytest.mark.parametrize("seconds", STEPS)
def test_a_job_that_comes_before_the_step_is_known_waits_for_the_call_of_its_extension(
    stage: Stage, clock: StepClock, seconds: float
) -> None:
    stage.open_pbx(open_call_s=60)
    job_id, claim = stage.claimed("1001")
    stage.finish(job_id, "n1", claim)
    compared = beat(stage).compared
    clock.advance(seconds)
    other = stage.put("1001")

    stage.hopper.set_clock(compared, seconds)

    assert stage.release() == []
    pass_time(stage, clock, 60)
    assert stage.release() == [other]


@pytest.mark.parametrize("seconds", [-DAY_S, -HOUR_S, -20.0, 20.0])
def test_a_result_of_before_the_step_is_delivered_at_once(stage: Stage, clock: StepClock, seconds: float) -> None:
    job_id = stage.put("1001")
    stage.hopper.cancel(job_id)

    step(stage, clock, seconds)

    assert stage.sweep() == [job_id]
    stage.hopper.delivered(stage.hopper.results([job_id]))
    assert stage.score("outbox", job_id) is None


@pytest.mark.parametrize("seconds", STEPS)
def test_a_worker_that_has_just_started_does_not_judge_the_clock_alone(
    stage: Stage, clock: StepClock, seconds: float
) -> None:
    stage.open_pbx(open_call_s=60)
    job_id, claim = stage.claimed("1001")
    stage.finish(job_id, "n1", claim)
    stage.put("1001")
    compared = beat(stage).compared
    clock.advance(seconds)

    at = uptime_s()
    started = stage.hopper.heartbeat("new", slots=4, ttl_s=20)
    RedisClock(stage.hopper).heard(started, asked_at=at, answered_at=at)

    assert started.has_others
    assert stage.release() == []
    assert stage.hopper.set_clock(compared, seconds) == (compared + 1, seconds)
    assert stage.release() == []


@pytest.mark.parametrize("seconds", STEPS)
def test_a_claim_is_not_taken_for_dead(stage: Stage, clock: StepClock, seconds: float) -> None:
    job_id, claim = stage.claimed("1001")
    step(stage, clock, seconds)
    assert stage.sweep() == []
    assert not stage.is_in_doubt(job_id)
    pass_time(stage, clock, 50)
    stage.sweep()
    assert stage.is_in_doubt(job_id)
    assert stage.finish(job_id, "n1", claim) is not None


@pytest.mark.parametrize("seconds", STEPS)
def test_permits_are_as_far_apart_as_before(stage: Stage, clock: StepClock, seconds: float) -> None:
    stage.open_pbx(calls_per_second=0.5, burst=1, open_call_s=0, extension_rest_s=0)
    stage.claimed("1001")
    other = stage.put("1002")
    step(stage, clock, seconds)
    assert stage.release() == []
    clock.advance(2)
    assert stage.release() == [other]


@pytest.mark.parametrize("seconds", STEPS)
def test_a_parked_job_comes_when_it_would_have(stage: Stage, clock: StepClock, seconds: float) -> None:
    job_id, _ = stage.claimed("1001")
    stage.hopper.park(job_id, "n1", delay_s=30, errno="30001")
    step(stage, clock, seconds)
    pass_time(stage, clock, 31)
    assert stage.release() == [job_id]
    assert stage.go(job_id, "n2").trying_s < DAY_S / 2 or seconds > 0


@pytest.mark.parametrize("seconds", [-DAY_S, -20.0, 20.0])
def test_a_time_that_was_given_stays_that_time(stage: Stage, clock: StepClock, seconds: float) -> None:
    job_id = stage.put("1001", not_before=in_s(40))
    due = stage.score("later:hq", job_id)
    step(stage, clock, seconds)
    assert stage.score("later:hq", job_id) == due
    pass_time(stage, clock, 41 - seconds)
    assert stage.release() == [job_id]


@pytest.mark.parametrize("seconds", STEPS)
def test_an_open_breaker_rests_as_long_as_before(stage: Stage, clock: StepClock, seconds: float) -> None:
    stage.unreachable(base_s=30)
    step(stage, clock, seconds)
    assert stage.hopper.view("hq").barred_s == pytest.approx(30, abs=1)


@pytest.mark.parametrize("seconds", STEPS)
def test_looking_goes_on_where_it_was(stage: Stage, clock: StepClock, seconds: float) -> None:
    job_id, _ = stage.doubted("1001")
    clock.advance(4)
    beat(stage)
    clock.advance(seconds)
    assert stage.look_turn() is None, "its times would be too old, or still to come"
    stage.hopper.set_clock(beat(stage).compared, seconds)

    [job] = stage.look().jobs
    assert job.id == job_id
    assert job.waited_s == pytest.approx(4, abs=2)


@pytest.mark.parametrize("seconds", STEPS)
def test_a_log_in_is_not_waited_for(stage: Stage, clock: StepClock, seconds: float) -> None:
    generation = stage.log_in()
    step(stage, clock, seconds)
    clock.advance(6)
    turn = stage.hopper.login_turn("hq", refused=generation, nonce="b", lease_s=30, spacing_s=5)
    assert turn == Login()


@pytest.mark.parametrize("seconds", [-DAY_S, -HOUR_S, HOUR_S, DAY_S])
def test_outcomes_that_came_after_the_step_keep_their_times(
    stage: Stage, clock: StepClock, seconds: float
) -> None:
    stage.open_pbx(open_call_s=60, extension_rest_s=5)
    placed, claim = stage.claimed("1001", nonce="n1")
    parked, _ = stage.claimed("1002", nonce="n2")
    compared = beat(stage).compared
    clock.advance(seconds)
    stage.finish(placed, "n1", claim)
    stage.hopper.park(parked, "n2", delay_s=0, errno="30001")

    stage.hopper.set_clock(compared, seconds)

    lease = stage.score("exts:hq", "1001")
    assert lease is not None
    assert lease - clock.now() == pytest.approx(65, abs=1)
    assert float(stage.hopper.record(placed)["hold"]) == lease
    assert stage.release() == [parked]


@pytest.mark.parametrize("seconds", STEPS)
def test_a_worker_finds_out_by_its_heartbeats(stage: Stage, clock: StepClock, seconds: float) -> None:
    job_id, _ = stage.claimed("1001")
    redis_clock = RedisClock(stage.hopper)

    def live() -> None:
        asked_at = uptime_s()
        redis_clock.heard(beat(stage), asked_at=asked_at, answered_at=uptime_s())

    live()
    clock.advance(seconds)
    live()

    assert not beat(stage).in_doubt
    lease = stage.score("claimed", job_id)
    assert lease is not None
    assert lease - clock.now() == pytest.approx(45, abs=2)


def test_several_workers_find_out_and_times_move_once(stage: Stage, clock: StepClock) -> None:
    job_id, _ = stage.claimed("1001")
    compared = beat(stage).compared
    clock.advance(-HOUR_S)
    answers = [stage.hopper.set_clock(compared, -HOUR_S) for _ in range(3)]
    assert answers == [(compared + 1, -HOUR_S), (compared + 1, 0), (compared + 1, 0)]
    lease = stage.score("claimed", job_id)
    assert lease is not None
    assert lease - clock.now() == pytest.approx(45, abs=1)


@pytest.mark.parametrize(("seconds", "moved_s"), [(-HOUR_S, -HOUR_S), (HOUR_S, 0)])
def test_a_worker_that_comes_after_the_step_sees_what_it_can(
    stage: Stage, clock: StepClock, seconds: float, moved_s: float
) -> None:
    # After an hour without any worker the clock shows the same as after a step.
    compared = beat(stage).compared
    clock.advance(seconds)
    assert stage.hopper.set_clock(compared, None)[1] == pytest.approx(moved_s, abs=1)
    assert not beat(stage).in_doubt


def test_an_api_key_is_not_shut_out_by_a_clock_set_back(stage: Stage, clock: StepClock) -> None:
    stage.hopper.new_key(API_KEY, "d")
    for _ in range(50):
        stage.hopper.admit([(API_KEY.id, "d")])
    clock.advance(-HOUR_S)
    [admission] = stage.hopper.admit([(API_KEY.id, "d")])
    assert admission is not None
    assert admission.retry_in_s == 0


def test_ended_jobs_are_left_alone(stage: Stage, clock: StepClock) -> None:
    job_id, claim = stage.claimed("1001")
    stage.finish(job_id, "n1", claim)
    before = stage.hopper.result(job_id)
    step(stage, clock, -HOUR_S)
    assert stage.hopper.result(job_id) == before
    assert before is not None
    assert before.state is JobState.PLACED
