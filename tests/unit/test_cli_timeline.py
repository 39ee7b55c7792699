"""A job's life on a terminal and as JSON, also where the record is long, spoiled or empty."""

from producers.actor import LONGEST_NAME, login_name
from producers.timeline import left_out, plain_timeline, resolution_of, resolution_words, timeline_lines
from producers.times import duration, iso, told

AT = 1_795_424_400.0
RECORD = {
    "enqueued_at": f"{AT:.6f}",
    "n": "2",
    "~1": f"{AT + 1:.3f}|released|w-1|",
    "~2": f"{AT + 2:.3f}|waiting|worker-22|pacing",
}


def test_a_life_begins_with_being_handed_in() -> None:
    assert plain_timeline(RECORD) == [
        {"at": "2026-11-23T09:00:00.000Z", "state": "enqueued", "by": None, "reason": None},
        {"at": "2026-11-23T09:00:01.000Z", "state": "released", "by": "w-1", "reason": None},
        {"at": "2026-11-23T09:00:02.000Z", "state": "waiting", "by": "worker-22", "reason": "pacing"},
    ]


def test_lines_are_aligned_and_end_where_there_is_nothing_to_say() -> None:
    assert list(timeline_lines(RECORD)) == [
        "  2026-11-23T09:00:00.000Z  enqueued",
        "  2026-11-23T09:00:01.000Z  released  w-1",
        "  2026-11-23T09:00:02.000Z  waiting   worker-22  pacing",
    ]


def test_a_long_life_says_how_much_is_no_longer_kept() -> None:
    record = {"enqueued_at": str(AT), "n": "30"}
    record |= {f"~{place}": f"{AT + place}|waiting|w|r{place}" for place in range(1, 21)}
    lines = list(timeline_lines(record))
    assert left_out(record) == 10
    assert len(lines) == 22
    assert lines[5] == "  (10 more)"
    assert lines[4].endswith("r4")


def test_what_is_spoiled_is_left_out() -> None:
    assert list(timeline_lines({})) == []
    assert plain_timeline({"enqueued_at": "yesterday", "~1": "soon|released|w|"}) == []
    assert left_out({"n": "many"}) == left_out({"n": "inf"}) == left_out({}) == 0
    assert plain_timeline({"~1": "9e99|released|w|"})[0]["at"] == "9999-12-31T23:59:59.000Z"


def test_a_reason_tells_no_number() -> None:
    assert plain_timeline({"~1": "1.5|failed|w|no 0901234567"})[0]["reason"] == "no xxxxxxxx67"


def test_who_said_what_became_of_a_job_when_and_why() -> None:
    record = {"resolved_as": "placed", "resolved_by": "anna@d1", "resolved_at": str(AT), "resolved_why": "CDR"}
    resolution = resolution_of(record)
    assert resolution == {"verdict": "placed", "by": "anna@d1", "at": "2026-11-23T09:00:00.000Z", "reason": "CDR"}
    assert resolution_words(resolution) == "placed, says anna@d1 at 2026-11-23T09:00:00.000Z: CDR"
    assert resolution_of({}) is None
    bare = resolution_of({"resolved_as": "failed"})
    assert bare == {"verdict": "failed", "by": None, "at": None, "reason": None}
    assert resolution_words(bare) == "failed, says nobody known"


def test_times_stay_within_what_can_be_written() -> None:
    assert iso(AT + 0.5) == "2026-11-23T09:00:00.500Z"
    assert told(float("nan")) == told(-5) == "1970-01-01T00:00:00Z"
    assert [duration(s) for s in (0, 0.4, 59.4, 119, 120, 7199, 7200, 172800)] == [
        *("1 s", "1 s", "59 s", "119 s", "2 min", "120 min", "2 h", "2 d")
    ]


def test_whoever_acts_has_a_name_that_can_be_written() -> None:
    name = login_name()
    assert "@" in name
    assert name.isprintable()
    assert len(name) <= LONGEST_NAME
