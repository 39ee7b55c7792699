"""Putting jobs in: one job for each key, in its lane or until later, whatever text it carries."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.integration.clock import StepClock
from tests.integration.hopper.stage import Stage, eventually, in_s, job
from worker.errors import AlreadyExpired, InputRefused, KeyConflict, RequestConflict
from worker.hopper import Once, Order, Receipt
from worker.hopper.hopper import PUT_BATCH
from worker.jobs import DialJob, JobState, RefusedJob


def test_a_new_job_waits_in_the_lane_of_its_extension(stage: Stage) -> None:
    receipt = stage.hopper.put(job("1001", autoanswer="yes", metadata={"lead": "7"}))

    assert (receipt.state, receipt.is_new) == (JobState.WAITING, True)
    assert stage.score("lane:hq:1001", receipt.id) is not None
    result = stage.hopper.result(receipt.id)
    assert result is not None
    assert (result.extid, result.attempts, result.metadata) == ("1001", 0, {"lead": "7"})


def test_the_same_key_gives_the_same_job_back(stage: Stage) -> None:
    first = stage.hopper.put(job(key="lead-7"))
    before = stage.snapshot()

    second = stage.hopper.put(job(key="lead-7"))

    assert second == Receipt(first.id, JobState.WAITING, is_new=False)
    assert stage.snapshot() == before


@pytest.mark.parametrize(
    "order",
    [
        lambda: Order(job(expires_at=in_s(0))),
        lambda: Order(job(expires_at=in_s(-3600))),
        lambda: Order(job(not_before=in_s(61)), expires_in_s=60),
        lambda: Order(job(not_before=in_s(3600)), expires_in_s=60, lenient=True),
    ],
)
def test_a_job_that_would_expire_before_it_may_begin_is_refused(stage: Stage, order: Callable[[], Order]) -> None:
    before = stage.snapshot()

    [answer] = stage.hopper.put_orders([order()])

    assert isinstance(answer, AlreadyExpired)
    assert stage.snapshot() == before


def test_the_refusal_names_the_time_that_is_over(stage: Stage) -> None:
    with pytest.raises(
        AlreadyExpired, match=r"^expires_at: '20.*\+00:00' has passed; expected a time in the future$"
    ):
        stage.put(expires_at=in_s(-1))
    [answer] = stage.hopper.put_orders([Order(job(not_before=in_s(3600)), expires_in_s=60)])
    assert str(answer).startswith("not_before: '20")
    assert "a job that expires 60 s after it comes" in str(answer)


def test_a_key_that_comes_again_after_its_time_is_still_the_same_job(stage: Stage, clock: StepClock) -> None:
    first = stage.hopper.put(job(key="lead-7", expires_at=in_s(1)))
    end = stage.hopper.record(first.id)["expires_at"]
    clock.advance(2)
    stage.sweep()

    again = job(key="lead-7", expires_at=datetime.fromtimestamp(float(end), UTC))

    assert stage.hopper.put(again) == Receipt(first.id, JobState.EXPIRED, is_new=False)


def test_a_job_whose_time_has_just_begun_to_run_waits(stage: Stage) -> None:
    receipt = stage.hopper.put(job(not_before=in_s(60), expires_at=in_s(61)))
    assert receipt.state is JobState.WAITING


def test_a_key_of_an_ended_job_gives_that_job_back_and_rings_nobody(stage: Stage) -> None:
    job_id, claim = stage.claimed(key="lead-7")
    stage.finish(job_id, "n1", claim)

    assert stage.hopper.put(job(key="lead-7")) == Receipt(job_id, JobState.PLACED, is_new=False)
    assert stage.release() == []


def test_a_key_whose_jobs_record_is_gone_brings_a_job_that_has_not_ended(stage: Stage) -> None:
    job_id, claim = stage.claimed(key="lead-7")
    stage.finish(job_id, "n1", claim)
    stage.hopper.client.delete(stage.hopper.keys.job(job_id))

    assert stage.hopper.put(job(key="lead-7")) == Receipt(job_id, JobState.WAITING, is_new=True)
    assert (stage.score("ended", job_id), stage.score("outbox", job_id)) == (None, None)


@pytest.mark.parametrize(
    "other", [{"outto": "41001"}, {"autoanswer": "yes"}, {"priority": "bulk"}, {"metadata": {"lead": "8"}}]
)
def test_the_same_key_with_other_contents_is_an_error_and_changes_nothing(
    stage: Stage, other: dict[str, object]
) -> None:
    stage.put(key="lead-7")
    before = stage.snapshot()

    with pytest.raises(KeyConflict):
        stage.put(key="lead-7", **other)
    assert stage.snapshot() == before


def test_a_time_computed_from_now_may_differ_when_a_key_comes_again(stage: Stage) -> None:
    relative = frozenset({"expires_at"})
    first = stage.hopper.put(job(key="k", expires_at=in_s(60)), relative=relative)

    assert stage.hopper.put(job(key="k", expires_at=in_s(61)), relative=relative).id == first.id
    with pytest.raises(KeyConflict):
        stage.hopper.put(job(key="k", outto="5", expires_at=in_s(61)), relative=relative)


def test_jobs_without_a_key_are_never_the_same(stage: Stage) -> None:
    assert stage.put() != stage.put()
    assert len(stage.release(2)) == 1, "one extension takes one call at a time"


def test_a_bulk_answers_each_job_in_order_beyond_one_batch(stage: Stage) -> None:
    jobs = [job(str(1000 + i % 7), key=f"row-{i}") for i in range(2 * PUT_BATCH + 1)]

    first = list(stage.hopper.put_many(jobs))
    again = list(stage.hopper.put_many(jobs))

    assert [receipt.id for receipt in first] == [each.job_id() for each in jobs]  # type: ignore[union-attr]
    assert {receipt.is_new for receipt in first} == {True}  # type: ignore[union-attr]
    assert {receipt.is_new for receipt in again} == {False}  # type: ignore[union-attr]
    assert stage.hopper.view("hq").waiting == len(jobs)


def test_a_conflict_in_a_bulk_leaves_the_others_standing(stage: Stage) -> None:
    answers = list(stage.hopper.put_many([job(key="a"), job(key="a", outto="5"), job(key="a"), job(key="b")]))

    assert [type(answer) for answer in answers] == [Receipt, KeyConflict, Receipt, Receipt]
    assert [answer.is_new for answer in answers if isinstance(answer, Receipt)] == [True, False, True]
    assert "lane" not in str(answers[1])


def test_an_empty_bulk_is_nothing(stage: Stage) -> None:
    assert list(stage.hopper.put_many([])) == []


def test_a_job_with_a_later_time_waits_for_it(stage: Stage) -> None:
    soon, far = stage.put("1001", not_before=in_s(0.15)), stage.put("1002", not_before=in_s(3600))

    assert stage.release() == []
    assert stage.sleep_s is not None
    assert stage.sleep_s <= 0.15, "the pacer is told when the first is due"
    assert stage.hopper.view("hq").later == 2
    assert eventually(stage.release) == [soon]
    assert stage.state(far) == "waiting"


def test_a_time_in_the_past_means_now(stage: Stage) -> None:
    job_id = stage.put(not_before=in_s(-5))
    assert stage.release() == [job_id]


def test_a_waiting_job_is_known_by_its_expiry_until_it_ends(stage: Stage) -> None:
    job_id = stage.put(expires_at=in_s(60))
    assert stage.score("expiry", job_id) is not None

    stage.hopper.cancel(job_id)
    assert stage.score("expiry", job_id) is None


def test_a_put_wakes_a_sleeping_pacer_with_one_token_only(stage: Stage) -> None:
    stage.hopper.client.delete(stage.hopper.keys.wake)

    stage.put("1001")
    stage.put("1002")

    assert stage.hopper.client.llen(stage.hopper.keys.wake) == 1


@pytest.mark.parametrize("text", ["Zoë 📞", 'a"b\\c/\u2028', "line\nbreak\x00", "%1 @ID@ @TAG@ {}"])
def test_any_text_comes_back_as_it_was_given(stage: Stage, text: str) -> None:
    job_id, claim = stage.claimed(key=text, metadata={text: text})

    result = stage.finish(job_id, "n1", claim)

    assert result is not None
    assert result.metadata == {text: text}
    assert stage.hopper.put(job(key=text, metadata={text: text})).id == job_id


def test_a_job_without_a_pbx_is_refused_before_anything_is_stored(stage: Stage) -> None:
    before = stage.snapshot()
    with pytest.raises(InputRefused, match="pbx"):
        stage.hopper.put(DialJob(extid="1001", outto="41000"))
    assert stage.snapshot() == before


def test_a_waiting_job_takes_at_most_800_bytes(stage: Stage) -> None:
    count = 2000
    before = int(stage.hopper.client.info("memory")["used_memory_dataset"])
    stage.put_each([str(1000 + i % 50) for i in range(count)])
    after = int(stage.hopper.client.info("memory")["used_memory_dataset"])

    assert (after - before) / count <= 800


def once(name: str = "crm:77", mark: str = "aa11") -> Once:
    return Once(name, mark, kept_s=60)


def test_a_request_that_comes_again_is_answered_with_the_job_it_brought(stage: Stage) -> None:
    [first] = stage.hopper.put_orders([Order(job(), once=once())])
    before = stage.snapshot()

    [again] = stage.hopper.put_orders([Order(job(), once=once())])

    assert isinstance(first, Receipt)
    assert again == Receipt(first.id, JobState.WAITING, is_new=False, is_replay=True)
    assert stage.snapshot() == before


def test_a_request_with_another_content_is_refused_and_changes_nothing(stage: Stage) -> None:
    stage.hopper.put_orders([Order(job(), once=once(mark="aa11"))])
    before = stage.snapshot()

    [answer] = stage.hopper.put_orders([Order(job(outto="41001"), once=once(mark="bb22"))])

    assert isinstance(answer, RequestConflict)
    assert stage.snapshot() == before


def test_a_request_whose_jobs_record_was_deleted_dials_nobody_anew(stage: Stage) -> None:
    [first] = stage.hopper.put_orders([Order(job(), once=once())])
    assert isinstance(first, Receipt)
    stage.hopper.client.delete(stage.hopper.keys.job(first.id))

    [answer] = stage.hopper.put_orders([Order(job(), once=once())])

    assert isinstance(answer, KeyConflict)
    assert stage.hopper.record(first.id) == {}
    assert stage.release() == []


def test_a_request_refused_for_its_jobs_key_may_come_again_with_a_better_one(stage: Stage) -> None:
    stage.put(key="taken")
    [refused] = stage.hopper.put_orders([Order(job(outto="5", key="taken"), once=once(mark="aa"))])
    [taken] = stage.hopper.put_orders([Order(job(outto="5", key="free"), once=once(mark="bb"))])

    assert isinstance(refused, KeyConflict)
    assert isinstance(taken, Receipt)
    assert taken.is_new


def test_a_lenient_order_takes_a_key_with_other_contents_for_the_same_job(stage: Stage) -> None:
    [first] = stage.hopper.put_orders([Order(job(key="evt-1"), lenient=True)])
    [again] = stage.hopper.put_orders([Order(job(key="evt-1", outto="41001"), lenient=True)])

    assert isinstance(first, Receipt)
    assert again == Receipt(first.id, JobState.WAITING, is_new=False)
    assert stage.hopper.record(first.id)["outto"] == "41000"


def test_an_order_may_expire_by_the_servers_clock(stage: Stage) -> None:
    [receipt] = stage.hopper.put_orders([Order(job(), expires_in_s=60)])
    assert isinstance(receipt, Receipt)

    expires_at = float(stage.hopper.record(receipt.id)["expires_at"])
    assert expires_at == pytest.approx(stage.hopper.now() + 60, abs=5)
    assert stage.score("expiry", receipt.id) == pytest.approx(expires_at)


def test_what_a_rule_forbids_ends_as_refused_and_its_result_is_to_be_delivered(stage: Stage) -> None:
    refused = RefusedJob("invalid_number", "outto: is no number", key="hook:1", metadata={"lead": "7"})

    [receipt] = stage.hopper.put_orders([Order(refused, origin="hook:crm")])
    [again] = stage.hopper.put_orders([Order(refused, origin="hook:crm")])

    assert isinstance(receipt, Receipt)
    assert (receipt.state, receipt.is_new) == (JobState.REFUSED, True)
    assert again == Receipt(receipt.id, JobState.REFUSED, is_new=False)
    result = stage.hopper.result(receipt.id)
    assert result is not None
    assert (result.errno, result.error, result.extid, result.pbx) == (
        "invalid_number",
        "outto: is no number",
        "",
        "",
    )
    assert result.metadata == {"lead": "7"}
    assert stage.score("outbox", receipt.id) is not None
    assert stage.release() == []
    assert stage.hopper.client.ttl(stage.hopper.keys.job(receipt.id)) > 0


def test_a_refused_job_without_pbx_or_extension_is_delivered_like_any_other(stage: Stage) -> None:
    [receipt] = stage.hopper.put_orders([Order(RefusedJob("unknown_user", "user: is not in the table"))])
    assert isinstance(receipt, Receipt)

    assert receipt.id in stage.sweep()
    assert [result.job_id for result in stage.hopper.ended_since(0)] == [receipt.id]
