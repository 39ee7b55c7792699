"""The contract: what a dial job may be, what a result tells, and that neither says too much."""

import json
import pickle
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import InputRefused
from worker.fields import shown
from worker.jobs import DialJob, DialResult, JobState, Priority

GOOD = {"extid": "1001", "outto": "41000"}


def refusal(**changes: object) -> str:
    with pytest.raises(InputRefused) as refused:
        DialJob.parse({**GOOD, **changes})
    assert len(refused.value.problems) == 1
    return str(refused.value)


# --- extid and outto


@pytest.mark.parametrize(
    ("given", "kept"), [("1", "1"), (1002, "1002"), ("0012", "0012"), ("1234567890", "1234567890")]
)
def test_extid_is_1_to_10_digits_as_int_or_text(given: object, kept: str) -> None:
    assert DialJob.parse({**GOOD, "extid": given}).extid == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        " ",
        "12345678901",
        12345678901,
        "12a",
        " 1001",
        "1001 ",
        "1001\n",
        "-1",
        -1,
        "\uff11\uff10\uff10\uff11",
        "١٢",
        "1001\x00",
        1.0,
        True,
        None,
        ["1001"],
        "1001,1002",
        "�",
    ],
)
def test_any_other_extid_is_refused_with_a_sentence_that_names_it(given: object) -> None:
    assert refusal(extid=given).startswith("extid: ")


@pytest.mark.parametrize(
    ("given", "kept"), [("1", "1"), (41000, "41000"), ("*97", "*97"), ("+84#", "+84#"), ("9" * 32, "9" * 32)]
)
def test_outto_is_1_to_32_of_digits_star_hash_plus(given: object, kept: str) -> None:
    assert DialJob.parse({**GOOD, "outto": given}).outto == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "9" * 33,
        int("9" * 33),
        "41 000",
        "41-000",
        "41000\n",
        "41000;phone-context=x",
        "sip:1@x",
        "\uff14\uff11",
        None,
        41000.0,
        False,
        "�",
        "41000\x00",
    ],
)
def test_any_other_outto_is_refused(given: object) -> None:
    assert refusal(outto=given).startswith("outto: ")


@given(st.from_regex(r"[0-9]{1,10}", fullmatch=True), st.from_regex(r"[0-9*#+]{1,32}", fullmatch=True))
def test_every_extid_and_outto_of_the_rule_is_kept_as_it_came(extid: str, outto: str) -> None:
    job = DialJob.parse({"extid": extid, "outto": outto})
    assert (job.extid, job.outto) == (extid, outto)


# --- the other fields


@pytest.mark.parametrize(
    ("given", "kept"),
    [("yes", "yes"), ("NO", "no"), ("True", "yes"), ("fAlSe", "no"), (True, "yes"), (False, "no")],
)
def test_autoanswer_is_yes_no_true_false_in_any_case(given: object, kept: str) -> None:
    assert DialJob.parse({**GOOD, "autoanswer": given}).autoanswer == kept


@pytest.mark.parametrize("given", ["", "y", "on", 1, 0, "yes "])
def test_any_other_autoanswer_is_refused(given: object) -> None:
    assert refusal(autoanswer=given).startswith("autoanswer: ")


def test_without_them_a_job_is_normal_holds_when_unknown_and_does_not_answer_itself() -> None:
    job = DialJob.parse(GOOD)
    assert (job.priority, job.on_unknown, job.autoanswer) == (Priority.NORMAL, "hold", "no")
    assert [job.pbx, job.key, job.not_before, job.expires_at] == [None] * 4
    assert job.metadata == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", "high"),
        ("priority", 1),
        ("on_unknown", "maybe"),
        ("pbx", "HQ"),
        ("pbx", "a b"),
        ("pbx", "../x"),
        ("pbx", "*"),
        ("pbx", ""),
        ("pbx", "x" * 33),
        ("key", ""),
        ("key", "x" * 201),
        ("key", 5),
        ("not_before", "2026-11-23T09:00:00"),
        ("not_before", "soon"),
        ("expires_at", "2026-11-23"),
        # What a spreadsheet, a database or a program makes of a time: whose unit and epoch would be a guess.
        ("not_before", "46357.375"),
        ("not_before", 46357.375),
        ("not_before", "1795424400"),
        ("not_before", 1795424400),
        ("not_before", 1795424400000),
        ("expires_at", True),
        ("expires_at", "2026-11-23T09:00:00 01:00"),
        ("expires_at", "2026-11-23T09:00:00 Europe/Berlin"),
        ("expires_at", "23/11/2026 09:00 +0000"),
        ("expires_at", " 2026-11-23T09:00:00Z"),
        ("expires_at", "2026-13-23T09:00:00Z"),
        ("expires_at", "2026-11-23T25:00:00Z"),
        ("expires_at", "2026-11-23T09:00:00+25:00"),
        ("not_before", datetime(2026, 11, 23, 9)),  # noqa: DTZ001 - without its offset is what is tried
        ("not_before", date(2026, 11, 23)),
        ("not_before", {"$date": "2026-11-23T09:00:00Z"}),
    ],
)
def test_a_value_out_of_its_rule_is_refused_with_what_would_be_right(field: str, value: object) -> None:
    sentence = refusal(**{field: value})
    assert sentence.startswith(f"{field}: ")
    assert "expected " in sentence


@pytest.mark.parametrize(
    "given",
    [
        "2026-11-23T09:00:00Z",
        "2026-11-23t09:00:00.000z",
        "2026-11-23 10:00:00+01:00",
        "2026-11-23T10:00+0100",
        datetime(2026, 11, 23, 9, tzinfo=UTC),
        datetime(2026, 11, 23, 10, tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_a_time_with_its_offset_is_the_same_moment_however_it_is_written(given: object) -> None:
    assert DialJob.parse({**GOOD, "not_before": given}).not_before == datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.mark.parametrize("field", [name for name in DialJob.model_fields if name not in GOOD])
def test_null_means_that_an_optional_field_is_not_given(field: str) -> None:
    assert DialJob.parse({**GOOD, field: None}) == DialJob.parse(GOOD) == DialJob(**GOOD, **{field: None})  # type: ignore[arg-type]


def test_an_entry_of_metadata_that_is_null_is_not_given_either() -> None:
    assert DialJob.parse({**GOOD, "metadata": {"a": None, "b": "c"}}).metadata == {"b": "c"}


@pytest.mark.parametrize("field", GOOD)
def test_null_for_a_required_field_means_that_it_is_missing(field: str) -> None:
    assert refusal(**{field: None}).startswith(f"{field}: is missing; expected ")


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": 1},
        {"a": True},
        {"a": "\ud800"},
        {"a": {"b": "c"}},
        {"n" * 65: "x"},
        {"n": "x" * 501},
        "text",
        ["a"],
        {str(n): "x" for n in range(33)},
    ],
)
def test_metadata_is_a_small_flat_map_of_texts(metadata: object) -> None:
    assert "metadata" in refusal(metadata=metadata)


def test_each_wrong_entry_of_metadata_is_named_in_the_words_of_json() -> None:
    with pytest.raises(InputRefused) as refused:
        DialJob.parse({**GOOD, "metadata": {"a": True, "b c": {"d": None}, "e": "x" * 501, "ok": "text"}})
    assert refused.value.problems == [
        "metadata.a: true is invalid; expected text of at most 500 characters",
        'metadata."b c": {"d": null} is invalid; expected text of at most 500 characters',
        f"metadata.e: '{'x' * 57}...' is invalid; expected text of at most 500 characters",
    ]


@pytest.mark.parametrize("given", [4.42079e11, 442079460018.0, 10**15, 1.5])
def test_a_number_that_may_have_lost_digits_is_refused(given: object) -> None:
    sentence = refusal(outto=given)
    assert "expected a telephone number as text" in sentence
    assert "lose digits" in sentence
    assert DialJob.parse({**GOOD, "outto": 442079460018}).outto == "442079460018"


def test_a_job_must_not_expire_before_it_may_begin() -> None:
    begin = datetime(2026, 11, 23, 9, tzinfo=UTC)
    assert "later than not_before" in refusal(not_before=begin, expires_at=begin)
    DialJob.parse({**GOOD, "not_before": begin, "expires_at": begin + timedelta(seconds=1)})


def test_an_unknown_field_is_an_error_that_names_those_there_are() -> None:
    sentence = refusal(extension="1001")
    assert sentence.startswith("extension: is not a field of a dial job")
    assert all(name in sentence for name in DialJob.model_fields)


def test_every_wrong_field_gets_a_sentence_of_its_own() -> None:
    with pytest.raises(InputRefused) as refused:
        DialJob.parse({"outto": "x", "priority": "high", "colour": "red"})
    assert {problem.split(":")[0] for problem in refused.value.problems} == {
        "extid",
        "outto",
        "priority",
        "colour",
    }


def test_a_time_that_is_too_early_is_named_beside_other_wrong_fields() -> None:
    times = {"not_before": "2026-11-23T09:00:00Z", "expires_at": "2026-11-23T09:00:00Z"}
    with pytest.raises(InputRefused) as refused:
        DialJob.parse({**GOOD, **times, "priority": "high"})
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["priority", "expires_at"]


def test_a_job_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        DialJob.parse(GOOD).extid = "1002"  # type: ignore[misc]


# --- numbers stay out of sight


@pytest.mark.parametrize("number", ["0901234567x", "+84 901 234 567", "09012345678901234567890123456789012"])
def test_a_refused_number_shows_its_last_two_digits_at_most(number: str) -> None:
    sentence = refusal(outto=number)
    digits = [char for char in sentence.split("is invalid")[0] if char.isdigit()]
    assert len(digits) <= 2


def test_a_job_does_not_show_its_number_in_its_repr() -> None:
    assert "41000" not in repr(DialJob.parse(GOOD))
    assert "41000" not in str(DialJob.parse(GOOD))


def test_other_values_are_shown_but_not_at_any_length() -> None:
    assert shown("priority", "high") == "'high'"
    assert len(shown("priority", "h" * 10_000)) < 80


# --- ids and fingerprints


def test_the_same_key_gives_the_same_id_and_no_key_gives_another_each_time() -> None:
    assert (
        DialJob.parse({**GOOD, "key": "k"}).job_id() == DialJob.parse({**GOOD, "outto": "1", "key": "k"}).job_id()
    )
    assert DialJob.parse({**GOOD, "key": "k"}).job_id() != DialJob.parse({**GOOD, "key": "K"}).job_id()
    assert DialJob.parse(GOOD).job_id() != DialJob.parse(GOOD).job_id()


@pytest.mark.parametrize(
    "change",
    [
        {"outto": "41001"},
        {"pbx": "hq"},
        {"priority": "urgent"},
        {"metadata": {"a": "b"}},
        {"autoanswer": "yes"},
        {"on_unknown": "redial"},
        {"not_before": "2026-11-23T09:00:00Z"},
    ],
)
def test_the_fingerprint_tells_jobs_apart_by_anything_they_ask_for(change: dict[str, object]) -> None:
    assert DialJob.parse({**GOOD, **change}).fingerprint() != DialJob.parse(GOOD).fingerprint()


def test_the_fingerprint_is_the_same_for_the_same_wish_in_other_words() -> None:
    one = DialJob.parse({**GOOD, "extid": 1001, "autoanswer": True, "not_before": "2026-11-23T10:00:00+01:00"})
    other = DialJob.parse({**GOOD, "autoanswer": "YES", "not_before": "2026-11-23T09:00:00Z", "key": "k"})
    assert one.fingerprint() == other.fingerprint()


def test_what_was_computed_from_the_present_time_can_be_left_out() -> None:
    without = frozenset({"expires_at"})
    one = DialJob.parse({**GOOD, "expires_at": "2026-11-23T09:00:00Z"})
    other = DialJob.parse({**GOOD, "expires_at": "2026-11-23T09:00:05Z"})
    assert one.fingerprint() != other.fingerprint()
    assert one.fingerprint(without=without) == other.fingerprint(without=without)


# --- round trips and older versions

MOMENTS = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - Hypothesis wants them naive
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001 - the same
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=7))]),
)
JOBS = st.builds(
    dict,
    extid=st.from_regex(r"[0-9]{1,10}", fullmatch=True),
    outto=st.from_regex(r"[0-9*#+]{1,32}", fullmatch=True),
    autoanswer=st.sampled_from(["yes", "no"]),
    pbx=st.none() | st.from_regex(r"[a-z0-9][a-z0-9_-]{0,31}", fullmatch=True),
    priority=st.sampled_from(list(Priority)),
    key=st.none() | st.text(min_size=1, max_size=200),
    not_before=st.none() | MOMENTS,
    on_unknown=st.sampled_from(["hold", "redial"]),
    metadata=st.dictionaries(st.text(max_size=64), st.text(max_size=500), max_size=5),
).map(DialJob.parse)


@given(JOBS)
def test_a_job_survives_json_and_pickle(job: DialJob) -> None:
    again = DialJob.parse(json.loads(job.model_dump_json()))
    assert again.fingerprint() == job.fingerprint()
    assert pickle.loads(pickle.dumps(job)) == job


@given(
    st.dictionaries(
        st.text(max_size=12), st.none() | st.booleans() | st.integers() | st.floats() | st.text(), max_size=6
    )
)
def test_any_mapping_is_a_job_or_is_refused_in_sentences(fields: dict[str, object]) -> None:
    try:
        DialJob.parse({**GOOD, **fields})
    except InputRefused as refused:
        sentences = refused.problems
    else:
        sentences = ["a job"]
    assert all(sentences)


RECORD = {"state": "waiting", "pbx": "hq", "extid": "1001", "enqueued_at": "1795424400.5"}


def test_a_record_of_an_older_version_still_reads() -> None:
    result = DialResult.from_record("id", RECORD)
    assert (result.state, result.attempts, result.metadata) == (JobState.WAITING, 0, {})
    assert result.plain()["enqueued_at"] == "2026-11-23T09:00:00.500Z"


def test_fields_of_another_version_are_passed_over_and_the_number_is_not_taken_along() -> None:
    record = {**RECORD, "v": "7", "colour": "red", "outto": "41000", "nonce": "x", "metadata": '{"lead":"5"}'}
    result = DialResult.from_record("id", record)
    assert result.metadata == {"lead": "5"}
    assert "41000" not in result.model_dump_json() + repr(result)


def test_a_result_has_the_fields_others_script_against() -> None:
    assert list(DialResult.model_fields) == (
        [
            "job_id",
            "state",
            "callid",
            "outboundid",
            "errno",
            "error",
            "pbx",
            "extid",
            "attempts",
            "enqueued_at",
            "placed_at",
            "finished_at",
            "metadata",
        ]
    )


def test_a_result_survives_its_plain_form() -> None:
    record = {
        **RECORD,
        "state": "placed",
        "callid": "1.2",
        "finished_at": "1795424401.25",
        "placed_at": "1795424401.25",
    }
    result = DialResult.from_record("id", record)
    assert DialResult.model_validate(result.plain()) == result


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"state": "placed", "callid": "1.2"}, "placed with callid 1.2"),
        ({"state": "placed", "outboundid": "1.3"}, "placed as outbound call 1.3"),
        ({"state": "failed", "errno": "10006", "error": "no such extension"}, "failed: 10006: no such extension"),
        ({"state": "cancelled"}, "cancelled"),
    ],
)
def test_a_result_says_in_one_line_what_happened(facts: dict[str, str], sentence: str) -> None:
    assert DialResult.from_record("id", {**RECORD, **facts}).sentence() == sentence


def test_waiting_released_and_claimed_are_the_states_that_are_not_final() -> None:
    assert [state for state in JobState if not state.is_final] == ["waiting", "released", "claimed"]


def test_urgent_goes_before_normal_before_bulk() -> None:
    assert sorted(Priority, key=lambda priority: priority.rank) == ["urgent", "normal", "bulk"]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+11:00", "9999-12-31T23:59:59-11:00"])
def test_a_moment_that_utc_has_not_is_refused(moment: str) -> None:
    with pytest.raises(InputRefused, match=r"^expires_at: '.*' is invalid; expected a time"):
        DialJob.parse({"extid": "1", "outto": "2", "expires_at": moment})
