"""Claiming: the last step before the phone rings takes everything together, once, or nothing."""

import random

import pytest

from tests.integration.clock import StepClock
from tests.integration.hopper.stage import Stage, eventually, in_s
from worker.hopper import Back, Ended, Go, Login, NoToken, NotYours, Wait
from worker.jobs import JobState


def test_a_claim_carries_all_that_a_call_needs(stage: Stage) -> None:
    job_id = stage.put("1001", outto="*72#+49", autoanswer="yes")
    stage.release()

    claim = stage.go(job_id, "n")

    assert (claim.pbx, claim.extid, claim.outto, claim.autoanswer) == ("hq", "1001", "*72#+49", "yes")
    assert (claim.attempts, claim.token, claim.generation) == (1, "token-1", 2)
    assert 0 <= claim.age_s < 10


def test_the_age_counts_from_when_the_job_could_first_go(stage: Stage) -> None:
    job_id = stage.put(not_before=in_s(0.1))
    assert eventually(stage.release) == [job_id]

    waited_s = stage.go(job_id, "n").age_s
    enqueued_at = float(stage.hopper.record(job_id)["enqueued_at"])
    assert waited_s < stage.hopper.now() - enqueued_at - 0.05


def test_the_second_claim_of_a_job_is_refused(stage: Stage) -> None:
    job_id, _ = stage.claimed(nonce="first")
    before = stage.snapshot()

    assert stage.claim(job_id, "second") == NotYours("claimed")
    assert stage.snapshot() == before


def test_the_same_claim_again_gets_the_same_answer_and_takes_nothing_twice(stage: Stage) -> None:
    job_id, first = stage.claimed(nonce="n")
    before = stage.snapshot()

    second = stage.go(job_id, "n")

    assert (second.attempts, second.token, second.outto) == (first.attempts, first.token, first.outto)
    assert stage.snapshot() == before


@pytest.mark.parametrize("state", [JobState.PLACED, JobState.FAILED, JobState.UNKNOWN])
def test_a_finished_job_is_never_claimed_not_even_by_its_own_holder(stage: Stage, state: JobState) -> None:
    job_id, claim = stage.claimed(nonce="n")
    stage.finish(job_id, "n", claim, state)

    assert stage.claim(job_id, "n") == NotYours(state)
    assert stage.claim(job_id, "other") == NotYours(state)


def test_a_job_still_in_its_lane_cannot_be_claimed(stage: Stage) -> None:
    assert stage.claim(stage.put()) == NotYours("waiting")


def test_a_message_without_a_job_claims_nothing(stage: Stage) -> None:
    assert stage.claim("no-such-job") == NotYours("gone")


# --- limits ------------------------------------------------------------------------------------------------


def test_without_a_permit_the_slot_waits_until_there_is_one(stage: Stage) -> None:
    stage.open_pbx(calls_per_second=5, burst=1)
    stage.put_each(["1001", "1002"])
    first, second = stage.release(lookahead_s=10)
    stage.go(first, "n")
    before = stage.snapshot()

    claim = stage.claim(second, "n", slot_wait_s=5)

    assert isinstance(claim, Wait)
    assert 0 < claim.seconds <= 0.21
    assert stage.snapshot() == before, "nothing is taken by waiting"
    assert isinstance(eventually(lambda: granted(stage, second)), Go)


def granted(stage: Stage, job_id: str) -> Go | None:
    claim = stage.claim(job_id, "again", slot_wait_s=5)
    return claim if isinstance(claim, Go) else None


def test_a_wait_longer_than_the_slot_has_sends_the_job_back_to_its_lane(stage: Stage) -> None:
    stage.open_pbx(calls_per_second=0.1, burst=1)
    stage.put_each(["1001", "1002"])
    first, second = stage.release(lookahead_s=100)
    stage.go(first, "n")

    assert stage.claim(second, slot_wait_s=0.5) == Back()
    assert stage.state(second) == "waiting"
    assert stage.score("lane:hq:1002", second) is not None
    assert stage.release() == [], "it comes again when the permit is near"


def test_a_claim_that_goes_back_says_why(stage: Stage) -> None:
    job_id = stage.put()
    stage.release()
    stage.hopper.pause("hq")
    back = stage.claim(job_id)
    assert isinstance(back, Back)
    assert (back.pbx, back.reason) == ("hq", "paused")


@pytest.mark.parametrize("burst", [1, 3])
@pytest.mark.parametrize("late_by", ["nothing", "up to 10 ms", "up to 40 ms"])
def test_requests_keep_the_limit_though_their_ways_differ_by_15_ms(
    stage: Stage, clock: StepClock, burst: int, late_by: str
) -> None:
    stage.open_pbx(calls_per_second=10, burst=burst, open_call_s=0, extension_rest_s=0)
    latest_s = {"nothing": 0, "up to 10 ms": 0.010, "up to 40 ms": 0.040}[late_by]
    chance = random.Random(7)
    sent = []
    stage.put_each([str(1000 + n) for n in range(60)])
    for job_id in stage.release(lookahead_s=100):
        while isinstance(claim := stage.claim(job_id, "n", slot_wait_s=5), Wait):
            clock.advance(claim.seconds + chance.uniform(0, latest_s))
        assert isinstance(claim, Go)
        assert 0 <= claim.send_in_s <= 0.0155
        sent.append(float(stage.hopper.record(job_id)["claimed_at"]) + claim.send_in_s)

    # Of so many requests more than a second, the last may be as early as the first is late.
    spans = [later - sooner for sooner, later in zip(sent, sent[10 + burst - 1 :], strict=False)]
    assert min(spans) >= 1.0149
    assert len(sent) == 60
    assert sent[-1] - sent[0] <= (60 - burst) * (0.1016 + max(0, latest_s - 0.012)), "the limit is used"


def test_burst_lets_so_many_go_at_once(stage: Stage) -> None:
    stage.open_pbx(calls_per_second=0.1, burst=3)
    stage.put_each([str(1000 + i) for i in range(5)])

    claims = [stage.claim(job_id) for job_id in stage.release(lookahead_s=1000)]

    assert [type(claim) for claim in claims] == [Go, Go, Go, Back, Back]


def test_lines_are_counted_at_the_claim_too(quick: Stage) -> None:
    quick.put_each(["1001", "1002", "1003"])
    first, second, third = quick.release()
    eventually(lambda: quick.hopper.view("hq").open_calls == 0 and lapsed(quick))  # reserved lines run out
    quick.open_pbx(max_open_calls=2, open_call_s=60)

    claims = [quick.claim(job_id) for job_id in (first, second, third)]

    assert [type(claim) for claim in claims] == [Go, Go, Back]
    assert quick.hopper.view("hq").open_calls == 2


def lapsed(stage: Stage) -> bool:
    keys, now = stage.hopper.keys, stage.hopper.now()
    return bool(stage.hopper.client.zcount(keys.lines("hq"), now, "+inf") == 0)


def test_an_extension_in_a_call_takes_no_other(quick: Stage) -> None:
    # Two messages of one extension are out, because the first was released so long ago that its hold ran out.
    slow, fast = quick.put_each(["1001", "1001"])
    assert quick.release() == [slow]
    assert eventually(quick.release) == [fast]
    quick.open_pbx(open_call_s=60)
    quick.go(fast, "n")

    assert quick.claim(slow) == Back()
    assert quick.state(slow) == "waiting"


def test_an_extension_about_to_be_free_is_waited_for_in_the_slot(quick: Stage) -> None:
    slow, fast = quick.put_each(["1001", "1001"])
    assert quick.release() == [slow]
    assert eventually(quick.release) == [fast]
    quick.go(fast, "n")

    assert isinstance(quick.claim(slow, slot_wait_s=5), Wait)


def test_the_leases_of_a_dead_worker_come_back(quick: Stage) -> None:
    quick.open_pbx(max_open_calls=1)
    quick.claimed("1001")  # and never heard of again
    waiting = quick.put("1001")

    assert eventually(quick.release) == [waiting]
    quick.go(waiting, "n")


# --- what may have changed since the release ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["hq", "*"])
def test_a_pause_between_release_and_claim_sends_the_job_back(stage: Stage, name: str) -> None:
    job_id = stage.put()
    stage.release()
    stage.hopper.pause(name)

    assert stage.claim(job_id, slot_wait_s=5) == Back()
    assert (stage.state(job_id), stage.release()) == ("waiting", [])
    stage.hopper.resume(name)
    assert stage.release() == [job_id]


def test_a_breaker_opened_between_release_and_claim_sends_the_job_back(stage: Stage) -> None:
    job_id = stage.put()
    stage.release()
    stage.unreachable(base_s=0.05)

    assert stage.claim(job_id, slot_wait_s=5) == Back()
    assert eventually(stage.release) == [job_id]


def test_a_job_that_expired_between_release_and_claim_ends_and_is_told(stage: Stage) -> None:
    job_id = stage.put(expires_at=in_s(0.1))
    assert stage.release() == [job_id]

    claim = eventually(lambda: ended(stage, job_id))

    assert isinstance(claim, Ended)
    assert claim.state is JobState.EXPIRED
    result = stage.hopper.result(job_id)
    assert result is not None
    assert (result.state, result.attempts) == (JobState.EXPIRED, 0)
    assert stage.hopper.view("hq").open_calls == 0


def ended(stage: Stage, job_id: str) -> Ended | None:
    stage.hopper.now()
    if stage.hopper.now() < float(stage.hopper.record(job_id)["expires_at"]):
        return None
    claim = stage.claim(job_id)
    assert isinstance(claim, Ended)
    return claim


def test_a_job_cancelled_between_release_and_claim_is_over(stage: Stage) -> None:
    job_id = stage.put()
    stage.release()
    stage.hopper.cancel(job_id)

    assert stage.claim(job_id) == NotYours("cancelled")


# --- the token ---------------------------------------------------------------------------------------------


def test_without_a_token_the_claim_asks_for_a_login_and_takes_nothing(stage: Stage) -> None:
    stage.open_pbx("branch", logged_in=False)
    job_id = stage.put(pbx="branch")
    stage.release()
    before = stage.snapshot()

    assert stage.claim(job_id, slot_wait_s=5) == NoToken("branch")
    assert stage.snapshot() == before
    stage.log_in("branch", "fresh")
    assert stage.go(job_id, "n").token == "fresh"


def test_while_somebody_logs_in_the_others_leave_their_slots(stage: Stage) -> None:
    stage.open_pbx("branch", logged_in=False)
    job_id = stage.put(pbx="branch")
    stage.release()
    turn = stage.hopper.login_turn("branch", refused=-1, nonce="a", lease_s=30, spacing_s=0)
    assert turn == Login()

    assert stage.claim(job_id, slot_wait_s=5) == Back()
    assert stage.hopper.view("branch").later == 1
    assert stage.release() == [], "its claim would only send it back again"
    stage.hopper.login_done("branch", "a", token="fresh")
    assert eventually(stage.release) == [job_id]


def test_a_login_that_died_is_asked_for_again(stage: Stage) -> None:
    stage.open_pbx("branch", logged_in=False)
    job_id = stage.put(pbx="branch")
    stage.release()
    stage.hopper.login_turn("branch", refused=-1, nonce="dead", lease_s=0, spacing_s=0)

    assert stage.claim(job_id, slot_wait_s=5) == NoToken("branch")


def test_a_permit_is_not_spent_on_a_claim_that_goes_back(stage: Stage) -> None:
    stage.open_pbx("branch", logged_in=False, calls_per_second=0.01, burst=1)
    job_id = stage.put(pbx="branch")
    stage.release()
    for _ in range(3):
        assert stage.claim(job_id) == NoToken("branch")
    stage.log_in("branch")

    stage.go(job_id, "n")
