"""Finishing: an attempt's end is told once, and its leases last as long as the call."""

import pytest

from tests.integration.hopper.stage import Stage, in_s
from worker.jobs import JobState

ENDS = [JobState.PLACED, JobState.FAILED, JobState.UNKNOWN]


def test_a_placed_call_has_its_callid_and_times(stage: Stage) -> None:
    job_id, claim = stage.claimed(metadata={"lead": "7"}, key="k")

    finished = stage.hopper.finish(job_id, "n1", JobState.PLACED, claim, callid="1763912345.7")

    assert finished is not None
    result = finished.result
    assert (result.state, result.callid, result.errno, result.attempts) == ("placed", "1763912345.7", None, 1)
    assert result.finished_at is not None
    assert result.enqueued_at <= result.finished_at
    assert result.placed_at == result.finished_at
    assert result.metadata == {"lead": "7"}
    assert stage.hopper.result(job_id) == result, "the record says the same"


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.UNKNOWN])
def test_a_call_not_placed_keeps_errno_and_error(stage: Stage, state: JobState) -> None:
    job_id, claim = stage.claimed()

    finished = stage.hopper.finish(job_id, "n1", state, claim, errno="10006", error="no such extension")

    assert finished is not None
    result = finished.result
    assert (result.state, result.errno, result.error) == (state, "10006", "no such extension")
    assert (result.callid, result.placed_at) == (None, None)
    assert stage.hopper.result(job_id) == result


@pytest.mark.parametrize("state", ENDS)
def test_a_finished_job_is_in_no_lane_and_in_the_outbox(stage: Stage, state: JobState) -> None:
    job_id, claim = stage.claimed(expires_at=in_s(60))
    stage.finish(job_id, "n1", claim, state)

    for name in ("lane:hq:1001", "later:hq", "released", "released:hq", "claimed", "expiry"):
        assert stage.score(name, job_id) is None, name
    assert stage.score("ended", job_id) == stage.score("outbox", job_id) is not None
    assert 0 < stage.hopper.client.ttl(stage.hopper.keys.job(job_id)) <= 600


@pytest.mark.parametrize("state", ENDS)
def test_the_same_finish_again_answers_the_same_and_changes_nothing(stage: Stage, state: JobState) -> None:
    job_id, claim = stage.claimed()
    first = stage.finish(job_id, "n1", claim, state)
    before = stage.snapshot()

    assert stage.finish(job_id, "n1", claim, state) == first
    assert stage.snapshot() == before


@pytest.mark.parametrize("state", ENDS)
def test_a_finish_by_another_claim_is_stale(stage: Stage, state: JobState) -> None:
    job_id, claim = stage.claimed(nonce="mine")
    before = stage.snapshot()

    assert stage.finish(job_id, "theirs", claim, state) is None
    assert stage.snapshot() == before


def test_a_former_claim_cannot_finish_what_another_one_holds(stage: Stage) -> None:
    job_id, claim = stage.claimed(nonce="first")
    stage.hopper.park(job_id, "first", delay_s=0)
    assert stage.finish(job_id, "first", claim) is None, "waiting"
    stage.release()
    assert stage.finish(job_id, "first", claim) is None, "released"
    stage.go(job_id, "second")
    assert stage.finish(job_id, "first", claim) is None, "claimed by another"
    assert stage.state(job_id) == "claimed"


@pytest.mark.parametrize("first", [JobState.PLACED, JobState.FAILED])
@pytest.mark.parametrize("second", ENDS)
def test_a_final_state_never_changes(stage: Stage, first: JobState, second: JobState) -> None:
    if first is second:
        return
    job_id, claim = stage.claimed()
    stage.finish(job_id, "n1", claim, first)
    before = stage.snapshot()

    assert stage.finish(job_id, "n1", claim, second) is None
    assert not stage.hopper.park(job_id, "n1", delay_s=0)
    assert stage.hopper.cancel(job_id) == ("too_late", first)
    assert stage.snapshot() == before


# --- leases ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [JobState.PLACED, JobState.UNKNOWN])
def test_line_and_extension_are_kept_for_the_call_and_the_rest(stage: Stage, state: JobState) -> None:
    stage.open_pbx(open_call_s=40, extension_rest_s=7)
    job_id, claim = stage.claimed()
    stage.finish(job_id, "n1", claim, state)

    line, extension = stage.score("lines:hq", job_id), stage.score("exts:hq", "1001")
    ended_at = stage.score("ended", job_id)
    assert None not in (line, extension, ended_at)
    assert line == pytest.approx(ended_at + 40, abs=1e-3)  # type: ignore[operator]
    assert extension == pytest.approx(ended_at + 47, abs=1e-3)  # type: ignore[operator]
    stage.put("1001")
    assert stage.release() == []


def test_line_and_extension_are_free_after_a_call_that_never_was(stage: Stage) -> None:
    stage.open_pbx(open_call_s=40, extension_rest_s=7, max_open_calls=1)
    job_id, claim = stage.claimed()
    stage.finish(job_id, "n1", claim, JobState.FAILED)
    following = stage.put("1001")

    assert stage.hopper.view("hq").open_calls == 0
    assert stage.release() == [following]
    stage.go(following, "n")


def test_a_claim_holds_its_line_until_call_and_claim_are_surely_over(stage: Stage) -> None:
    stage.open_pbx(open_call_s=40, extension_rest_s=7)
    job_id, _ = stage.claimed()

    claimed_at = float(stage.hopper.record(job_id)["claimed_at"])
    line, extension = stage.score("lines:hq", job_id), stage.score("exts:hq", "1001")
    assert line >= claimed_at + 45 + 40 - 1e-3
    assert extension == pytest.approx(line + 7, abs=1e-3)
    assert stage.score("claimed", job_id) == pytest.approx(claimed_at + 45, abs=1e-3)
