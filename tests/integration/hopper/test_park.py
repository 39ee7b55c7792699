"""Going round again: park, hand back, cancel."""

import pytest

from tests.integration.clock import StepClock
from tests.integration.hopper.stage import Stage, eventually, in_s
from worker.hopper import Back, Go, NotYours, Parked, Wait
from worker.jobs import JobState

# --- park --------------------------------------------------------------------------------------------------


def test_a_parked_job_comes_again_when_it_is_due_and_counts_its_attempts(stage: Stage) -> None:
    job_id, _ = stage.claimed()

    assert stage.hopper.park(job_id, "n1", delay_s=0.1, errno="30001", error="Failed")

    assert (stage.state(job_id), stage.hopper.view("hq").later) == ("waiting", 1)
    assert stage.release() == []
    assert eventually(stage.release) == [job_id]
    assert stage.go(job_id, "n2").attempts == 2


def test_a_parked_job_shows_why_until_its_next_attempt(stage: Stage) -> None:
    job_id, _ = stage.claimed()
    stage.hopper.park(job_id, "n1", delay_s=0, errno="30001", error="Failed")
    shown = stage.hopper.result(job_id)
    assert shown is not None
    assert (shown.state, shown.errno, shown.error) == ("waiting", "30001", "Failed")

    stage.release()
    result = stage.finish(job_id, "n2", stage.go(job_id, "n2"))
    assert result is not None
    assert (result.errno, result.error) == (None, None)
    assert stage.hopper.result(job_id) == result


def test_a_free_attempt_is_given_back(stage: Stage) -> None:
    job_id, _ = stage.claimed()
    for nonce in ("n1", "n2", "n3"):
        stage.hopper.park(job_id, nonce, delay_s=0, free=True)
        assert stage.hopper.record(job_id)["attempts"] == "0"
        stage.release()
        assert stage.go(job_id, f"n{int(nonce[1]) + 1}").attempts == 1


def test_the_time_of_trying_counts_from_the_first_attempt_that_counted(stage: Stage, clock: StepClock) -> None:
    job_id, claim = stage.claimed()
    seen = [claim.trying_s]
    for n, free in enumerate((True, False, False), start=1):
        clock.advance(100)
        stage.hopper.park(job_id, f"n{n}", delay_s=0, free=free)
        stage.release()
        seen.append(stage.go(job_id, f"n{n + 1}").trying_s)

    assert seen == pytest.approx([0, 0, 100, 200], abs=5)


@pytest.mark.parametrize("in_slot", [True, False])
def test_tries_in_vain_are_counted(stage: Stage, in_slot: bool) -> None:
    job_id, claim = stage.claimed()
    for n in range(1, 4):
        assert claim.tries_in_vain == n - 1
        stage.hopper.park(job_id, f"n{n}", delay_s=0, free=True, in_slot=in_slot, in_vain=True)
        if not in_slot:
            stage.release()
        claim = stage.go(job_id, f"n{n + 1}")
    assert (claim.tries_in_vain, claim.attempts) == (3, 1)


@pytest.mark.parametrize("in_slot", [True, False])
@pytest.mark.parametrize("free", [True, False])
def test_the_same_park_again_answers_the_same_and_changes_nothing(stage: Stage, in_slot: bool, free: bool) -> None:
    job_id, _ = stage.claimed()

    def park() -> Parked | None:
        return stage.hopper.park(
            job_id, "n1", delay_s=60, in_slot=in_slot, free=free, in_vain=True, rest_s=5, errno="1"
        )

    assert park()
    before = stage.snapshot()
    assert park()
    assert stage.snapshot() == before


def test_a_park_repeated_after_the_next_claim_does_not_take_that_claim_back(stage: Stage) -> None:
    job_id, _ = stage.claimed(nonce="n1")
    stage.hopper.park(job_id, "n1", delay_s=0)
    stage.release()
    stage.go(job_id, "n2")
    before = stage.snapshot()

    assert not stage.hopper.park(job_id, "n1", delay_s=0)
    assert stage.snapshot() == before


def test_parking_frees_line_and_extension_for_others(stage: Stage) -> None:
    stage.open_pbx(max_open_calls=1, open_call_s=60)
    job_id, _ = stage.claimed("1001")
    other = stage.put("1001")

    stage.hopper.park(job_id, "n1", delay_s=60)

    assert stage.release() == [other]
    stage.go(other, "n")


def test_a_busy_extension_rests_and_the_line_is_free(stage: Stage) -> None:
    stage.open_pbx(max_open_calls=1)
    job_id, _ = stage.claimed("1001")
    same, other = stage.put("1001"), stage.put("1002")

    stage.hopper.park(job_id, "n1", delay_s=60, rest_s=30)

    assert stage.release() == [other]
    assert stage.state(same) == "waiting"


def test_a_slot_keeps_its_job_and_what_it_holds(stage: Stage) -> None:
    stage.open_pbx(max_open_calls=1)
    job_id, _ = stage.claimed("1001")
    stage.put_each(["1001", "1002"])

    assert stage.hopper.park(job_id, "n1", delay_s=0.01, in_slot=True)

    assert (stage.state(job_id), stage.release()) == ("released", [])
    assert stage.go(job_id, "n2").attempts == 2


def test_a_job_whose_slot_died_while_it_slept_is_taken_back(quick: Stage) -> None:
    job_id, _ = quick.claimed()
    quick.hopper.park(job_id, "n1", delay_s=0.1, in_slot=True)

    assert eventually(lambda: quick.sweep() == [] and quick.state(job_id) == "waiting")
    assert quick.release() == [job_id]


def test_a_late_park_takes_the_job_back_from_unknown(quick: Stage) -> None:
    job_id, _ = quick.unknown(expires_at=in_s(60))
    assert quick.sweep() == [job_id]

    assert quick.hopper.park(job_id, "n1", delay_s=0, free=True)

    assert quick.hopper.client.ttl(quick.hopper.keys.job(job_id)) == -1
    assert quick.score("expiry", job_id) is not None
    assert quick.sweep() == [], "no result of it waits for delivery"
    assert list(quick.hopper.ended_since(0)) == []
    assert quick.release() == [job_id]
    assert quick.go(job_id, "n2").attempts == 1


def test_a_late_park_in_the_slot_never_takes_an_extension_that_is_in_another_call(quick: Stage) -> None:
    # The holder was frozen past its claim and its leases; meanwhile the extension rings for another job.
    late, _ = quick.unknown("1001", nonce="late")
    quick.open_pbx(open_call_s=60)
    other = quick.put("1001")
    assert eventually(quick.release) == [other]
    quick.go(other, "n")

    quick.hopper.park(late, "late", delay_s=0, in_slot=True)

    assert not isinstance(quick.claim(late, "late-2", slot_wait_s=0), Go), "two calls at once on 1001"


def test_a_late_park_in_the_slot_never_takes_a_line_too_many(quick: Stage) -> None:
    late, _ = quick.unknown("1001", nonce="late")
    quick.open_pbx(open_call_s=60, max_open_calls=1)
    other = quick.put("1002")
    assert eventually(quick.release) == [other]
    quick.go(other, "n")

    quick.hopper.park(late, "late", delay_s=0, in_slot=True)

    now = quick.hopper.now()
    assert quick.hopper.client.zcount(quick.hopper.keys.lines("hq"), now, "+inf") == 1
    assert isinstance(quick.claim(late, "late-2", slot_wait_s=0), Back | NotYours | Wait)


def test_a_job_parked_past_its_expiry_expires(stage: Stage) -> None:
    job_id, _ = stage.claimed(expires_at=in_s(0.1))
    stage.hopper.park(job_id, "n1", delay_s=60, errno="30001", error="Failed")

    assert eventually(stage.sweep) == [job_id]
    assert stage.state(job_id) == "expired"


# --- hand back ---------------------------------------------------------------------------------------------


def test_a_job_handed_back_is_released_again_and_frees_what_it_held(stage: Stage) -> None:
    stage.open_pbx(max_open_calls=1)
    job_id = stage.put(priority="bulk")
    stage.release()

    assert stage.hopper.hand_back(job_id)
    urgent = stage.put("1002", priority="urgent")

    assert stage.release() == [urgent]
    assert stage.state(job_id) == "waiting"


def test_a_job_handed_back_with_a_delay_waits_for_it(stage: Stage) -> None:
    job_id = stage.put()
    stage.release()

    stage.hopper.hand_back(job_id, delay_s=0.1)

    assert stage.release() == []
    assert eventually(stage.release) == [job_id]


def test_only_a_released_job_is_handed_back(stage: Stage) -> None:
    waiting = stage.put("1002", not_before=in_s(60))
    job_id, claim = stage.claimed("1001")
    before = stage.snapshot()

    assert not stage.hopper.hand_back(waiting)
    assert not stage.hopper.hand_back(job_id)
    assert not stage.hopper.hand_back("no-such-job")
    assert stage.snapshot() == before
    stage.finish(job_id, "n1", claim)
    assert not stage.hopper.hand_back(job_id)


def test_the_same_hand_back_again_changes_nothing(stage: Stage) -> None:
    job_id = stage.put()
    stage.release()
    assert stage.hopper.hand_back(job_id)
    before = stage.snapshot()

    assert not stage.hopper.hand_back(job_id)
    assert stage.snapshot() == before


# --- cancel ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, {"not_before": in_s(3600)}, {"pbx": "unknown"}])
def test_a_waiting_job_is_cancelled_and_told(stage: Stage, fields: dict[str, object]) -> None:
    job_id = stage.put(**fields)

    assert stage.hopper.cancel(job_id) == ("cancelled", "cancelled")

    assert stage.release() == []
    assert stage.sweep() == [job_id]
    assert stage.hopper.result(job_id).state is JobState.CANCELLED  # type: ignore[union-attr]


def test_a_released_job_is_cancelled_and_gives_back_what_it_held(stage: Stage) -> None:
    stage.open_pbx(max_open_calls=1)
    job_id, following = stage.put_each(["1001", "1001"])
    assert stage.release() == [job_id]

    assert stage.hopper.cancel(job_id) == ("cancelled", "cancelled")

    assert stage.release() == [following]
    assert stage.claim(job_id) == NotYours("cancelled")


def test_a_claimed_job_is_not_cancelled_for_the_phone_may_ring(stage: Stage) -> None:
    job_id, claim = stage.claimed()
    before = stage.snapshot()

    assert stage.hopper.cancel(job_id) == ("too_late", "claimed")
    assert stage.snapshot() == before
    assert stage.finish(job_id, "n1", claim) is not None


def test_the_same_cancel_again_answers_the_same_and_changes_nothing(stage: Stage) -> None:
    job_id = stage.put()
    first = stage.hopper.cancel(job_id)
    before = stage.snapshot()

    assert stage.hopper.cancel(job_id) == first
    assert stage.snapshot() == before


def test_cancelling_what_never_was_says_so(stage: Stage) -> None:
    assert stage.hopper.cancel("no-such-job") == ("gone", "")


def test_a_job_asleep_in_its_slot_can_be_cancelled(stage: Stage) -> None:
    job_id, _ = stage.claimed()
    stage.hopper.park(job_id, "n1", delay_s=60, in_slot=True)

    assert stage.hopper.cancel(job_id) == ("cancelled", "cancelled")
    assert stage.claim(job_id, "n2") == NotYours("cancelled")
    assert stage.hopper.view("hq").open_calls == 0
