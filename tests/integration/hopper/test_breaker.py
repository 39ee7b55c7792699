"""The breaker of each PBX: who is left alone, for how long, and how it is found to be back."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ops.embedded_redis import EmbeddedRedis
from tests.conftest import pbx_settings
from tests.integration.clock import StepClock
from tests.integration.hopper.stage import Stage, eventually, in_s
from worker.hopper import Back, Go, Hopper, connect
from worker.jobs import JobState


def breaker(stage: Stage, pbx: str = "hq") -> str:
    return stage.hopper.view(pbx).breaker


def half_open(stage: Stage, pbx: str = "hq") -> None:
    """Open the breaker, and wait until a probe may go."""
    stage.unreachable(pbx, base_s=0.01, cap_s=0.01)
    assert eventually(lambda: breaker(stage, pbx) == "half-open")


def released(stage: Stage, *extids: str) -> list[str]:
    """Bring jobs to their slots while the PBX still answers; they are claimed when the test says."""
    job_ids = stage.put_each(list(extids))
    assert sorted(stage.release()) == sorted(job_ids)
    return job_ids


# --- opening -----------------------------------------------------------------------------------------------


def test_failures_in_a_row_open_it_and_the_reason_is_shown(stage: Stage) -> None:
    assert [stage.unreachable(failures=3, base_s=7) for _ in range(2)] == [None, None]
    assert breaker(stage) == "closed"

    assert stage.unreachable(failures=3, base_s=7) == pytest.approx(7)

    view = stage.hopper.view("hq")
    assert (view.breaker, view.barred_reason) == ("open", "down")
    assert view.barred_s == pytest.approx(7, abs=0.5)
    assert stage.hopper.barred("hq")[1] == "down"


@pytest.mark.parametrize("how", ["placed", "failed", "put off"])
def test_an_answer_in_between_begins_the_count_anew(stage: Stage, how: str) -> None:
    job_id, claim = stage.claimed()
    stage.unreachable(failures=2)
    match how:
        case "placed" | "failed":
            stage.finish(job_id, "n1", claim, JobState(how))
        case _:
            stage.hopper.park(job_id, "n1", delay_s=60, answered=True)

    assert stage.unreachable(failures=2) is None


@pytest.mark.parametrize("how", ["unknown", "put off", "looked"])
def test_what_is_no_answer_leaves_the_count_alone(stage: Stage, how: str) -> None:
    job_id, claim = stage.claimed()
    stage.unreachable(failures=2)
    match how:
        case "unknown":
            stage.hopper.finish(job_id, "n1", JobState.UNKNOWN, claim, answered=False)
        case "put off":
            stage.hopper.park(job_id, "n1", delay_s=60, answered=False)
        case _:
            # It answers questions, and yet loses calls.
            stage.hopper.looked("hq", next_s=1, answered=True, still=[])

    assert stage.unreachable(failures=2) is not None


def test_calls_that_failed_together_count_as_one_once_it_is_open(stage: Stage) -> None:
    assert stage.unreachable(base_s=10, cap_s=100) == pytest.approx(10)
    before = stage.snapshot()

    assert stage.unreachable(base_s=10, cap_s=100) is None
    assert stage.snapshot() == before


def test_other_pbxs_go_on(stage: Stage) -> None:
    stage.open_pbx("branch")
    stage.unreachable("hq")
    here, there = stage.put("1001"), stage.put("1001", pbx="branch")

    assert stage.release() == [there]
    stage.go(there, "n")
    assert stage.state(here) == "waiting"
    assert (breaker(stage, "hq"), breaker(stage, "branch")) == ("open", "closed")


# --- while it is open --------------------------------------------------------------------------------------


def test_released_jobs_go_back_to_their_lanes_and_lose_no_attempt(stage: Stage) -> None:
    first, second = released(stage, "1001", "1002")
    stage.go(first, "n1")
    stage.hopper.park(first, "n1", delay_s=0, in_slot=True)
    stage.unreachable(base_s=0.05)

    assert [stage.claim(job_id, slot_wait_s=5) for job_id in (first, second)] == [Back(), Back()]

    assert [stage.hopper.record(job_id).get("attempts") for job_id in (first, second)] == ["1", None]
    assert stage.release() == []
    assert eventually(lambda: stage.release() in ([first], [second]))


def test_the_pacer_sleeps_until_it_may_try_again(stage: Stage) -> None:
    stage.put()
    stage.unreachable(base_s=7)

    assert stage.release() == []
    assert stage.sleep_s == pytest.approx(7, abs=0.5)


def test_jobs_expire_all_the_same(stage: Stage, clock: StepClock) -> None:
    job_id = stage.put(expires_at=in_s(1))
    stage.unreachable()
    clock.advance(2)

    assert stage.sweep() == [job_id]
    assert stage.state(job_id) == "expired"


def test_an_answer_under_way_closes_it(stage: Stage) -> None:
    first, second = released(stage, "1001", "1002")
    claim = stage.go(first, "n1")
    stage.unreachable()

    finished = stage.hopper.finish(first, "n1", JobState.PLACED, claim, callid="1.1")

    assert finished is not None
    assert finished.breaker_closed
    assert breaker(stage) == "closed"
    stage.go(second, "n2")


# --- half open ---------------------------------------------------------------------------------------------


def test_of_100_racing_claims_exactly_one_goes_as_the_probe(stage: Stage, redis_server: EmbeddedRedis) -> None:
    job_ids = released(stage, *(str(1000 + n) for n in range(100)))
    half_open(stage)
    start = threading.Barrier(100)

    def claim(job_id: str) -> object:
        with connect(redis_server.url) as client:
            client.ping()
            mine = Hopper(client, namespace=stage.hopper.keys.namespace, retain_s=600)
            start.wait()
            return mine.claim(job_id, job_id, slot_wait_s=5)

    with ThreadPoolExecutor(100) as threads:
        claims = list(threads.map(claim, job_ids))

    assert [type(claim) for claim in claims].count(Go) == 1
    assert claims.count(Back()) == 99


def test_the_pacer_releases_one_probe_at_a_time(stage: Stage) -> None:
    stage.put_each([str(1000 + n) for n in range(5)])
    half_open(stage)

    [probe] = eventually(stage.release)
    assert stage.release() == []
    claim = stage.go(probe, "n")
    assert stage.release() == []
    assert stage.finish(probe, "n", claim) is not None
    assert len(stage.release()) == 4


def test_the_same_claim_of_the_probe_is_answered_again(stage: Stage) -> None:
    [job_id] = released(stage, "1001")
    half_open(stage)
    stage.go(job_id, "n")
    before = stage.snapshot()

    stage.go(job_id, "n")
    assert stage.snapshot() == before


def test_an_answer_to_the_probe_closes_it_and_forgets_how_often_it_tripped(stage: Stage) -> None:
    [job_id] = released(stage, "1001")
    for _ in range(3):
        half_open(stage)
    claim = stage.go(job_id, "n")

    finished = stage.hopper.finish(job_id, "n", JobState.FAILED, claim, errno="10006", error="no such number")

    assert finished is not None
    assert finished.breaker_closed
    assert stage.hopper.barred("hq") == (0.0, "")
    assert stage.unreachable(failures=2, base_s=1) is None
    assert stage.unreachable(failures=2, base_s=1) == pytest.approx(1)


def test_each_probe_that_fails_opens_it_for_longer_up_to_the_cap(stage: Stage) -> None:
    seconds = []
    for _ in range(4):
        seconds.append(stage.unreachable(base_s=0.02, cap_s=0.1))
        assert eventually(lambda: breaker(stage) == "half-open")

    assert seconds == pytest.approx([0.02, 0.04, 0.08, 0.1], abs=1e-5)


def test_a_pbx_down_for_ever_is_left_alone_for_no_longer_than_the_cap(stage: Stage) -> None:
    stage.hopper.client.hset(stage.hopper.keys.pbx("hq"), "trips", 10_000)
    assert stage.unreachable(base_s=0.5, cap_s=10) == pytest.approx(10)


def test_an_old_failure_that_comes_while_another_probes_says_nothing_new(stage: Stage) -> None:
    old, probe = released(stage, "1001", "1002")
    stage.go(old, "n1")
    half_open(stage)
    claim = stage.go(probe, "n2")

    assert stage.unreachable(by=old) is None
    assert breaker(stage) == "half-open"
    assert stage.finish(probe, "n2", claim) is not None
    assert breaker(stage) == "closed"


def test_the_failure_of_the_probe_opens_it_again(stage: Stage) -> None:
    probe, other = released(stage, "1001", "1002")
    half_open(stage)
    stage.go(probe, "n")

    assert stage.unreachable(by=probe, base_s=7) == pytest.approx(14), "twice as long"
    assert stage.claim(other) == Back()


def test_a_dead_probe_frees_the_next_one(quick: Stage) -> None:
    probe, other = quick.put_each(["1001", "1002"])
    quick.release()
    half_open(quick)
    quick.go(probe, "n")  # and its worker dies

    assert quick.claim(other, slot_wait_s=5) == Back()
    assert eventually(lambda: quick.sweep() == [] and quick.is_in_doubt(probe))
    assert eventually(quick.release) == [other]
    quick.go(other, "n")


@pytest.mark.parametrize("in_slot", [True, False])
def test_a_probe_that_never_asked_the_pbx_frees_the_next_one_at_once(stage: Stage, in_slot: bool) -> None:
    # Its claim came too late to dial, or its worker does not know the PBX.
    probe, other = released(stage, "1001", "1002")
    half_open(stage)
    stage.go(probe, "n")

    stage.hopper.park(probe, "n", delay_s=60, free=True, in_slot=in_slot, answered=False)

    stage.go(other, "n")


# --- looks and the breaker ---------------------------------------------------------------------------------


def test_an_open_breaker_keeps_no_look_away_and_an_answered_one_lets_a_call_probe(stage: Stage) -> None:
    stage.doubted("1001")
    [job_id, other] = released(stage, "1002", "1003")
    stage.unreachable(base_s=60)
    assert stage.claim(job_id) == Back()
    turn = stage.look()
    assert turn.ask

    assert stage.hopper.looked("hq", next_s=1, answered=True, still=[(turn.jobs[0], "quiet")])

    assert breaker(stage) == "half-open"
    assert stage.release() == [], "one probe at a time, and the other may be it"
    claim = stage.go(other, "n")
    stage.finish(other, "n", claim)
    assert breaker(stage) == "closed"
    assert stage.release() == [job_id]


@pytest.mark.parametrize("state", ["closed", "half-open"])
def test_a_look_changes_nothing_about_a_breaker_that_is_not_open(stage: Stage, state: str) -> None:
    stage.doubted("1001")
    if state == "half-open":
        half_open(stage)
    turn = stage.look()
    assert not stage.hopper.looked("hq", next_s=1, answered=True, still=[(turn.jobs[0], "quiet")])
    assert breaker(stage) == state


def test_a_look_that_is_not_answered_leaves_the_breaker_open(stage: Stage) -> None:
    stage.doubted("1001")
    stage.unreachable(base_s=60)
    turn = stage.look()
    assert not stage.hopper.looked("hq", next_s=1, answered=False, still=[(turn.jobs[0], "blind")])
    assert breaker(stage) == "open"


# --- a PBX that loses dials, or asks to be left alone ------------------------------------------------------


def test_lost_dials_rest_for_longer_than_failures_that_ring_nobody(stage: Stage) -> None:
    seconds = []
    for lost_dial in (True, True, False, True, True, True, True, True):
        seconds.append(stage.unreachable(base_s=0.01, cap_s=0.02, lost_dial=lost_dial))
        assert eventually(lambda: breaker(stage) == "half-open")

    assert seconds == pytest.approx([0.01, 0.04, 0.01, 0.16, 0.2, 0.2, 0.2, 0.2], abs=1e-5)


@pytest.mark.parametrize("how", [{"lost_dial": True}, {"asked_rest_s": 60.0}])
def test_an_answered_look_does_not_end_the_rest_after_lost_dials_or_a_wish(
    stage: Stage, how: dict[str, object]
) -> None:
    stage.doubted("1001")
    stage.unreachable(base_s=60, **how)
    turn = stage.look()
    assert turn.ask

    assert not stage.hopper.looked("hq", next_s=1, answered=True, still=[(turn.jobs[0], "quiet")])
    assert breaker(stage) == "open"


def test_the_rest_that_a_pbx_asks_for_begins_at_once(stage: Stage) -> None:
    assert stage.unreachable(failures=3, base_s=1, asked_rest_s=60) == pytest.approx(60)
    assert stage.hopper.view("hq").barred_s == pytest.approx(60, abs=0.5)


def test_the_longest_rest_that_a_pbx_asks_for_holds(stage: Stage) -> None:
    stage.unreachable(base_s=1, asked_rest_s=60)
    for seconds in (5, 90, 30):
        stage.unreachable(base_s=1, asked_rest_s=seconds)
    stage.unreachable(base_s=1)
    assert stage.hopper.view("hq").barred_s == pytest.approx(90, abs=0.5)


def test_the_answer_to_a_call_under_way_does_not_end_the_rest_that_a_pbx_asked_for(stage: Stage) -> None:
    first, second, probe = released(stage, "1001", "1002", "1003")
    claims = {job_id: stage.go(job_id, job_id) for job_id in (first, second)}
    stage.unreachable(asked_rest_s=0.05, base_s=0.01)

    for job_id, claim in claims.items():
        stage.finish(job_id, job_id, claim)
        assert breaker(stage) == "open"

    assert eventually(lambda: breaker(stage) == "half-open")
    stage.finish(probe, "n", stage.go(probe, "n"))
    assert breaker(stage) == "closed"


def test_a_wish_never_replaces_the_block_of_a_wrong_password(stage: Stage) -> None:
    block_the_login(stage)
    stage.unreachable(asked_rest_s=10_000)
    assert stage.hopper.barred("hq") == (pytest.approx(610, abs=1), "wrong password")


def test_an_answer_forgets_the_lost_dials(stage: Stage) -> None:
    [job_id] = released(stage, "1001")
    for _ in range(3):
        stage.unreachable(base_s=0.01, cap_s=1, lost_dial=True)
        assert eventually(lambda: breaker(stage) == "half-open")
    stage.finish(job_id, "n", stage.go(job_id, "n"))

    assert stage.unreachable(base_s=1, lost_dial=True) == pytest.approx(1)


def test_a_claim_shows_whether_it_is_the_probe(stage: Stage) -> None:
    job_id, claim = stage.claimed("1001")
    assert not claim.is_probe
    [probe] = released(stage, "1002")
    half_open(stage)

    assert stage.go(probe, "n").is_probe
    assert stage.go(probe, "n").is_probe, "asked again"
    assert not stage.go(job_id, "n1").is_probe


# --- the log-in's block ------------------------------------------------------------------------------------


def block_the_login(stage: Stage, seconds: float = 610) -> None:
    stage.hopper.login_turn("hq", refused=2, nonce="a", lease_s=30, spacing_s=0)
    stage.hopper.login_done("hq", "a", block_s=seconds, reason="wrong password")


def test_a_failure_never_shortens_the_block_of_a_wrong_password(stage: Stage) -> None:
    block_the_login(stage)

    assert stage.unreachable(base_s=1) is None
    assert stage.hopper.barred("hq") == (pytest.approx(610, abs=1), "wrong password")


@pytest.mark.parametrize("failures", [0, 1])
def test_an_old_calls_answer_does_not_lift_the_block_of_a_wrong_password(stage: Stage, failures: int) -> None:
    job_id, claim = stage.claimed()
    for _ in range(failures):
        stage.unreachable(failures=5)
    block_the_login(stage)

    finished = stage.hopper.finish(job_id, "n1", JobState.PLACED, claim, callid="1.1")

    assert finished is not None
    assert not finished.breaker_closed
    assert breaker(stage) == "open"


def test_new_credentials_close_it(stage: Stage) -> None:
    block_the_login(stage)
    stage.hopper.register("hq", pbx_settings(password="another"))
    assert breaker(stage) == "closed"


def test_after_the_block_a_log_in_closes_it(stage: Stage) -> None:
    [job_id] = released(stage, "1001")
    block_the_login(stage, 0.01)
    assert eventually(lambda: breaker(stage) == "half-open")

    stage.log_in()

    assert breaker(stage) == "closed"
    stage.go(job_id, "n")
