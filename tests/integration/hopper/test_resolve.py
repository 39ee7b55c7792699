"""An operator says what became of an unknown job: once, with a name, and never against what is known."""

import pytest

from tests.integration.hopper.stage import Stage, eventually, in_s
from worker.hopper import Hopper
from worker.jobs import JobState


def operator(stage: Stage, name: str = "anna") -> Hopper:
    return Hopper(stage.hopper.client, namespace=stage.hopper.keys.namespace, retain_s=600, actor=name)


def resolve(stage: Stage, job_id: str, verdict: str) -> tuple[str, str]:
    return operator(stage).resolve(job_id, verdict, callid="1.9" if verdict == "placed" else "", why="asked them")


def test_a_call_that_rang_is_placed_and_told_again(stage: Stage) -> None:
    job_id, _ = stage.unknown()
    stage.hopper.delivered(stage.hopper.results([job_id]))
    assert stage.sweep() == []

    assert resolve(stage, job_id, "placed") == ("resolved", "placed")

    result = stage.hopper.result(job_id)
    assert result is not None
    assert (result.state, result.callid, result.errno, result.error) == ("placed", "1.9", None, None)
    assert result.placed_at is not None
    assert stage.sweep() == [job_id]


def test_a_call_that_did_not_ring_has_failed_and_its_extension_is_free(stage: Stage) -> None:
    stage.open_pbx(open_call_s=60, max_open_calls=1)
    job_id, _ = stage.unknown()
    following = stage.put("1001")
    assert stage.release() == []

    assert resolve(stage, job_id, "failed") == ("resolved", "failed")

    result = stage.hopper.result(job_id)
    assert result is not None
    assert (result.state, result.errno) == ("failed", "resolved")
    assert stage.release() == [following]


def test_a_redialed_job_goes_round_as_if_it_were_new(stage: Stage) -> None:
    job_id, _ = stage.unknown(expires_at=in_s(3600))

    assert resolve(stage, job_id, "redial") == ("resolved", "waiting")

    assert stage.hopper.client.ttl(stage.hopper.keys.job(job_id)) == -1
    assert stage.score("expiry", job_id) is not None
    assert (stage.sweep(), list(stage.hopper.ended_since(0))) == ([], [])
    assert stage.release() == [job_id]
    claim = stage.go(job_id, "n2")
    assert claim.age_s < 60, "the time to try it again counts from now"
    assert stage.finish(job_id, "n2", claim) is not None


@pytest.mark.parametrize("verdict", ["placed", "failed", "redial"])
def test_who_said_what_and_why_stays_in_the_record(stage: Stage, verdict: str) -> None:
    job_id, _ = stage.unknown()
    before = stage.hopper.now()

    resolve(stage, job_id, verdict)

    record = stage.hopper.record(job_id)
    audit = {name.removeprefix("resolved_"): text for name, text in record.items() if name.startswith("resolved_")}
    assert before <= float(audit.pop("at")) <= stage.hopper.now()
    assert audit == {"as": verdict, "by": "anna", "why": "asked them"}
    resolved = [moment for moment in stage.hopper.timeline(job_id) if moment.state == "resolved"]
    assert [(moment.who, moment.reason) for moment in resolved] == [("anna", verdict)]


@pytest.mark.parametrize("verdict", ["placed", "failed", "redial"])
def test_the_same_word_again_changes_nothing_and_another_is_refused(stage: Stage, verdict: str) -> None:
    job_id, _ = stage.unknown()
    _, state = resolve(stage, job_id, verdict)
    before = stage.snapshot()

    assert resolve(stage, job_id, verdict) == ("again", state)
    for other in {"placed", "failed", "redial"} - {verdict}:
        assert resolve(stage, job_id, other) == ("not_unknown", state)
    assert stage.hopper.resolve(job_id, "placed", callid="other") == ("not_unknown", state)
    assert stage.snapshot() == before


@pytest.mark.parametrize("verdict", ["placed", "failed", "redial"])
@pytest.mark.parametrize("state", ["waiting", "claimed", "doubted", "placed"])
def test_only_an_unknown_job_is_resolved(stage: Stage, verdict: str, state: str) -> None:
    job_id, claim = stage.doubted() if state == "doubted" else stage.claimed()
    if state == "waiting":
        stage.hopper.park(job_id, "n1", delay_s=60)
    elif state == "placed":
        stage.finish(job_id, "n1", claim)
    before = stage.snapshot()

    assert resolve(stage, job_id, verdict) == ("not_unknown", "claimed" if state == "doubted" else state)
    assert stage.snapshot() == before
    assert resolve(stage, "nobody", verdict) == ("gone", "")


def test_an_expired_job_is_not_redialed_but_may_be_resolved(stage: Stage) -> None:
    job_id, _ = stage.unknown(expires_at=in_s(0.1))
    expires_at = stage.hopper.record(job_id)["expires_at"]
    assert eventually(lambda: stage.hopper.now() > float(expires_at))

    assert resolve(stage, job_id, "redial") == ("expired", expires_at)
    assert stage.state(job_id) == "unknown"
    assert resolve(stage, job_id, "failed") == ("resolved", "failed")


@pytest.mark.parametrize("state", [JobState.PLACED, JobState.FAILED])
def test_evidence_of_the_call_before_the_redial_is_refused(stage: Stage, state: JobState) -> None:
    job_id, claim = stage.unknown()
    resolve(stage, job_id, "redial")
    before = stage.snapshot()

    assert stage.finish(job_id, "n1", claim, state) is None
    assert stage.hopper.park(job_id, "n1", delay_s=0) is None
    assert stage.snapshot() == before
    stage.release()
    stage.go(job_id, "n2")
    assert stage.finish(job_id, "n1", claim, state) is None
    assert stage.state(job_id) == "claimed"


@pytest.mark.parametrize("verdict", ["placed", "failed"])
def test_late_evidence_does_not_overrule_an_operator(stage: Stage, verdict: str) -> None:
    job_id, claim = stage.unknown()
    resolve(stage, job_id, verdict)

    stage.finish(job_id, "n1", claim, JobState.FAILED if verdict == "placed" else JobState.PLACED)

    assert stage.state(job_id) == verdict


def test_evidence_that_comes_before_the_operator_counts(stage: Stage) -> None:
    job_id, claim = stage.unknown()
    stage.finish(job_id, "n1", claim)

    assert resolve(stage, job_id, "redial") == ("not_unknown", "placed")
