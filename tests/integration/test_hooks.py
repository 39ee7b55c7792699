"""From wishes to jobs: extensions, refusals, repeats."""

from collections.abc import Sequence

import pytest

from producers import Dialer, hooks
from producers.crm import Answer, Delivery, SourceSettings, Verdict, Wish
from worker.jobs import DialResult, JobState
from worker.webhooks import Call


class Source:
    """An adapter of which only the settings matter here."""

    name = "crm"

    def __init__(self, **settings: object) -> None:
        self.settings = SourceSettings.model_validate({"kind": "test", "extensions": {"7": "1002"}, **settings})

    def read(self, delivery: Delivery) -> Sequence[Wish]:
        raise NotImplementedError

    def answer(self, verdicts: Sequence[Verdict]) -> Answer:
        raise NotImplementedError

    def result_call(self, result: DialResult, *, seq: int) -> Call | None:
        raise NotImplementedError


def wish(dedupe: str = "evt-1", *, outto: str = "41000", user: str | None = "7", **more: object) -> Wish:
    return Wish(dedupe, outto, user, **more)  # type: ignore[arg-type]


def test_a_wish_becomes_a_job_as_its_source_says(dialer: Dialer) -> None:
    source = Source(priority="urgent", on_unknown="redial", expires_in_s=60)

    [verdict] = hooks.take(dialer, source, [wish(metadata={"contact": "c1"})])

    assert (verdict.state, verdict.is_new, verdict.errno) == (JobState.WAITING, True, None)
    record = dialer.hopper.record(verdict.job_id)
    told = [record[name] for name in ("extid", "outto", "rank", "on_unknown", "origin", "key")]
    assert told == ["1002", "41000", "0", "redial", "hook:crm", "crm:evt-1"]
    assert float(record["expires_at"]) == pytest.approx(dialer.hopper.now() + 60, abs=5)


def test_a_wish_that_comes_again_is_the_same_job_whatever_it_says_by_then(dialer: Dialer) -> None:
    [first] = hooks.take(dialer, Source(), [wish(metadata={"attempt": "0"})])
    [again] = hooks.take(dialer, Source(), [wish(outto="41001", metadata={"attempt": "1"})])
    [other] = hooks.take(dialer, Source(), [wish("evt-2")])

    assert (again.job_id, again.is_new) == (first.job_id, False)
    assert (other.is_new, other.job_id != first.job_id) == (True, True)


def test_two_equal_wishes_of_one_delivery_are_one_job(dialer: Dialer) -> None:
    verdicts = hooks.take(dialer, Source(), [wish(), wish()])
    assert [verdict.is_new for verdict in verdicts] == [True, False]


@pytest.mark.parametrize(
    ("source", "asked", "errno"),
    [
        (Source(), wish(user="8"), "unknown_user"),
        (Source(), wish(user=None), "unknown_user"),
        (Source(), wish(outto="call me"), "invalid_number"),
        (Source(), wish(fields={"expires_at": "2026-11-23T09:00:00Z"}), "expired"),
        (Source(), wish(fields={"expires_at": "46357.75"}), "invalid_field"),
        (Source(), wish(outto=""), "invalid_number"),
        (Source(), wish(extid="x1"), "invalid_extension"),
        (Source(pbx="nowhere"), wish(), "invalid_field"),
        (Source(), wish(fields={"priority": "soon"}), "invalid_field"),
    ],
)
def test_what_cannot_be_dialed_is_refused_as_a_job(
    dialer: Dialer, source: Source, asked: Wish, errno: str
) -> None:
    [verdict] = hooks.take(dialer, source, [asked])
    [again] = hooks.take(dialer, source, [asked])

    assert (verdict.state, verdict.is_new, verdict.errno) == (JobState.REFUSED, True, errno)
    assert (again.state, again.is_new, again.job_id) == (JobState.REFUSED, False, verdict.job_id)
    result = dialer.hopper.result(verdict.job_id)
    assert result is not None
    assert (result.errno, result.state) == (errno, JobState.REFUSED)


@pytest.mark.parametrize("unusable", ["N/A", "", " ", "41000 ext. 7", "41000 / 41001", "112", "*72"])
def test_the_first_number_that_can_be_dialed_is_taken(dialer: Dialer, unusable: str) -> None:
    asked = wish(outto=unusable, others=("none", "+44 20 7946 0018", "41001"))

    [planned] = hooks.plan(dialer, Source(), [asked])
    [verdict] = hooks.take(dialer, Source(), [asked])

    assert dialer.hopper.record(verdict.job_id)["outto"] == "+442079460018"
    assert [sentence.split(":")[0] for sentence in planned.skipped] == ["outto", "outto"]


def test_where_no_number_can_be_dialed_the_first_one_is_named(dialer: Dialer) -> None:
    [verdict] = hooks.take(dialer, Source(), [wish(outto="41000 ext. 7", others=("N/A",))])
    assert (verdict.errno, "has an extension" in str(verdict.error)) == ("invalid_number", True)


def test_what_is_wrong_beside_the_numbers_is_named_once(dialer: Dialer) -> None:
    [verdict] = hooks.take(dialer, Source(), [wish(others=("41001",), fields={"priority": "soon"})])
    assert verdict.error == "priority: 'soon' is invalid; expected urgent, normal or bulk"


def test_a_wish_of_nobody_is_not_told_that_nobody_has_no_extension(dialer: Dialer) -> None:
    [nobody, stranger] = hooks.take(dialer, Source(), [wish(dedupe="1", user=None), wish(dedupe="2", user="8")])
    assert (nobody.error or "").startswith("user: is missing")
    assert (stranger.error or "").startswith("user: '8' has no extension")


def test_a_refusal_quotes_no_number(dialer: Dialer) -> None:
    [verdict] = hooks.take(dialer, Source(), [wish(outto="+44 20 7946 0018 and more", user="+44 20 7946 0019")])
    assert "7946" not in str(verdict.error)
    record = str(dialer.hopper.record(verdict.job_id))
    assert not [number for number in ("7946 0018", "79460018") if number in record]


def test_an_extension_for_all_takes_whom_the_table_does_not_have(dialer: Dialer) -> None:
    source = Source(extension="1001")
    verdicts = hooks.take(dialer, source, [wish("a", user="8"), wish("b", user=None), wish("c", user="7")])
    extids = [dialer.hopper.record(verdict.job_id)["extid"] for verdict in verdicts]
    assert extids == ["1001", "1001", "1002"]


def test_more_metadata_than_a_job_holds_and_an_endless_name_are_cut(dialer: Dialer) -> None:
    many = {f"name {number} {'x' * 100}": "y\ud800" * 300 for number in range(50)}
    [verdict] = hooks.take(dialer, Source(), [wish("d" * 5000, metadata=many)])
    assert verdict.state is JobState.WAITING
    assert hooks.take(dialer, Source(), [wish("d" * 5000)])[0].job_id == verdict.job_id


def test_hundreds_of_wishes_are_answered_each(dialer: Dialer) -> None:
    verdicts = hooks.take(dialer, Source(), [wish(f"evt-{number}") for number in range(250)])
    assert len({verdict.job_id for verdict in verdicts if verdict.is_new}) == 250
