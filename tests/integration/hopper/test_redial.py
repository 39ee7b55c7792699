"""Ended jobs come back under their ids: who, why and what was before stay, and no phone rings twice unasked."""

import pytest

from tests.integration.hopper.stage import Stage, eventually, in_s
from worker.hopper import Hopper, Redial, Redialed
from worker.jobs import JobState


def operator(stage: Stage) -> Hopper:
    return Hopper(stage.hopper.client, namespace=stage.hopper.keys.namespace, retain_s=600, actor="anna")


def redial(stage: Stage, job_id: str, **options: object) -> Redialed:
    [redialed] = operator(stage).redial([Redial(job_id, "hq")], mark="m1", why="asked for", **options)  # type: ignore[arg-type]
    return redialed


def ended(stage: Stage, state: str, **fields: object) -> str:
    """Return a job that ended so."""
    if state == "cancelled":
        job_id = stage.put(**fields)
        stage.hopper.cancel(job_id)
    elif state == "expired":
        job_id = stage.put(**{"expires_at": in_s(0.05)} | fields)
        assert eventually(lambda: (stage.sweep(), stage.state(job_id))[1] == "expired")
    else:
        job_id, claim = stage.claimed(**fields)  # type: ignore[arg-type]
        stage.finish(job_id, "n1", claim, JobState(state))
    assert stage.state(job_id) == state
    return job_id


@pytest.mark.parametrize("state", ["failed", "expired", "cancelled", "unknown"])
def test_a_job_that_was_not_placed_goes_round_as_if_it_were_new(stage: Stage, state: str) -> None:
    job_id = ended(stage, state)

    assert redial(stage, job_id, even_if_rung=True) == Redialed(job_id, "redialed", JobState.WAITING)

    result = stage.hopper.result(job_id)
    assert result is not None
    assert (result.attempts, result.errno, result.error, result.finished_at) == (0, None, None, None)
    assert stage.hopper.client.ttl(stage.hopper.keys.job(job_id)) == -1
    assert (stage.sweep(), list(stage.hopper.ended_since(0))) == ([], [])
    assert stage.release() == [job_id]
    claim = stage.go(job_id, "n2")
    assert (claim.attempts, claim.age_s < 60) == (1, True)
    assert stage.finish(job_id, "n2", claim) is not None
    assert stage.state(job_id) == "placed"


def test_an_unknown_job_stays_unless_the_operator_accepts_a_second_ring(stage: Stage) -> None:
    job_id = ended(stage, "unknown")
    before = stage.snapshot()

    assert redial(stage, job_id) == Redialed(job_id, "may_have_rung", JobState.UNKNOWN)
    assert stage.snapshot() == before


def test_a_placed_or_living_or_missing_job_stays_as_it_is(stage: Stage) -> None:
    placed, waiting = ended(stage, "placed"), stage.put("1002")
    before = stage.snapshot()

    assert redial(stage, placed, even_if_rung=True).word == "placed"
    assert redial(stage, waiting, even_if_rung=True).word == "not_ended"
    assert redial(stage, "missing", even_if_rung=True) == Redialed("missing", "gone", None)
    assert stage.snapshot() == before


def test_who_brought_it_back_and_why_and_what_it_was_stays_in_the_record(stage: Stage) -> None:
    job_id = ended(stage, "failed")
    before = stage.hopper.now()

    redial(stage, job_id)

    record = stage.hopper.record(job_id)
    assert (record["redialed_by"], record["redialed_why"], record["redials"]) == ("anna", "asked for", "1")
    assert before <= float(record["redialed_at"]) <= stage.hopper.now()
    [moment] = [moment for moment in stage.hopper.timeline(job_id) if moment.state == "redialed"]
    assert (moment.who, moment.reason) == ("anna", "it was failed 10006")


def test_a_job_whose_time_ran_out_gets_as_much_again(stage: Stage) -> None:
    job_id = ended(stage, "expired")
    before = stage.hopper.now()

    redial(stage, job_id)

    ends = float(stage.hopper.record(job_id)["expires_at"])
    assert before < ends < stage.hopper.now() + 0.2
    assert eventually(lambda: (stage.sweep(), stage.state(job_id))[1] == "expired")


def test_the_operator_may_give_another_time(stage: Stage) -> None:
    job_id = ended(stage, "expired")

    redial(stage, job_id, expires_in_s=600)

    record = stage.hopper.record(job_id)
    assert 590 < float(record["expires_at"]) - stage.hopper.now() <= 600
    assert stage.score("expiry", job_id) == pytest.approx(float(record["expires_at"]))
    assert stage.release() == [job_id]


def test_time_that_is_left_stays(stage: Stage) -> None:
    job_id = ended(stage, "failed", expires_at=in_s(3600))
    before = stage.hopper.record(job_id)["expires_at"]

    redial(stage, job_id)

    assert stage.hopper.record(job_id)["expires_at"] == before


def test_a_job_that_may_not_go_yet_still_waits_for_its_time(stage: Stage) -> None:
    job_id = ended(stage, "cancelled", not_before=in_s(3600))

    redial(stage, job_id)

    assert stage.release() == []
    assert stage.score("later:hq", job_id) == pytest.approx(stage.hopper.now() + 3600, abs=60)


def test_a_job_moves_to_another_pbx_with_its_number_as_that_one_wants_it(stage: Stage) -> None:
    stage.open_pbx()
    stage.open_pbx("branch")
    job_id = ended(stage, "failed")

    [moved] = operator(stage).redial([Redial(job_id, "hq", "branch", "0041000")], mark="m1")

    assert moved.word == "redialed"
    assert stage.hopper.view("hq").waiting == 0
    assert stage.hopper.view("branch").waiting == 1
    assert stage.release() == [job_id]
    claim = stage.go(job_id, "n2")
    assert (claim.pbx, claim.outto) == ("branch", "0041000")
    assert stage.hopper.timeline(job_id)[-3].reason == "from PBX hq"


def test_of_two_operators_who_move_a_job_one_wins(stage: Stage) -> None:
    stage.open_pbx("branch")
    job_id = ended(stage, "failed")
    request = [Redial(job_id, "hq", "branch", "41000")]
    operator(stage).redial(request, mark="m1")
    stage.hopper.cancel(job_id)

    assert operator(stage).redial(request, mark="m2") == [Redialed(job_id, "moved", JobState.CANCELLED)]


@pytest.mark.parametrize("state", [JobState.PLACED, JobState.FAILED])
def test_evidence_of_the_call_before_the_redial_is_refused(stage: Stage, state: JobState) -> None:
    job_id, claim = stage.unknown()
    redial(stage, job_id, even_if_rung=True)
    before = stage.snapshot()

    assert stage.finish(job_id, "n1", claim, state) is None
    assert stage.snapshot() == before


def test_the_line_of_a_call_that_may_still_ring_is_given_back(stage: Stage) -> None:
    stage.open_pbx(open_call_s=600, max_open_calls=1)
    job_id, _ = stage.unknown()
    assert stage.hopper.view("hq").open_calls == 1

    redial(stage, job_id, even_if_rung=True)

    assert stage.hopper.view("hq").open_calls == 0
    assert stage.release() == [job_id]


def test_a_job_may_come_back_more_than_once(stage: Stage) -> None:
    job_id = ended(stage, "failed")
    for mark in ("m1", "m2", "m3"):
        [redialed] = stage.hopper.redial([Redial(job_id, "hq")], mark=mark)
        assert redialed.word == "redialed"
        stage.hopper.cancel(job_id)
    assert stage.hopper.record(job_id)["redials"] == "3"


def test_an_operators_verdict_on_the_former_call_does_not_stand_for_the_next(stage: Stage) -> None:
    job_id, _ = stage.unknown()
    stage.hopper.resolve(job_id, "failed")

    redial(stage, job_id)

    assert not [name for name in stage.hopper.record(job_id) if name.startswith("resolved_")]


def test_a_spoiled_record_is_set_aside(stage: Stage) -> None:
    job_id = ended(stage, "failed")
    stage.hopper.client.hset(stage.hopper.keys.job(job_id), "extid", "?")

    assert redial(stage, job_id).word == "damaged"
    assert stage.hopper.set_aside_list()[0].job_id == job_id
