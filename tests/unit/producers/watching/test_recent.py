"""Counts over moving windows: what comes in, and what leaves them."""

from producers.watching.recent import HOUR_S, MINUTE_S, RATE_S, Recent
from tests.unit.producers.report.ended import NINE, ended
from worker.jobs import JobState


def test_an_end_is_in_each_window_for_as_long_as_it_lasts() -> None:
    recent = Recent(NINE)
    recent.add([ended(1), ended(1.5, JobState.FAILED), ended(30)])
    seen = []
    for at in (31, 45, 65, 100, 3700):
        recent.forget_before(NINE + at)
        seen.append([recent.ended(length_s, NINE + at).total for length_s in (RATE_S, MINUTE_S, HOUR_S)])
    assert seen == [[1, 3, 3], [0, 3, 3], [0, 1, 3], [0, 0, 3], [0, 0, 0]]
    assert recent.since_start().total == 3


def test_calls_are_told_by_pbx_and_reasons_by_number() -> None:
    recent = Recent(NINE)
    recent.add([ended(1), ended(2, pbx="branch"), ended(3, JobState.UNKNOWN, errno="no_reply", error="lost")])
    recent.add([ended(4, JobState.CANCELLED, errno="10025"), *(ended(n, JobState.FAILED) for n in (5, 6))])
    assert recent.placed(MINUTE_S) == {"hq": 1, "branch": 1}
    assert recent.not_placed(MINUTE_S) == {"hq": 3}
    assert recent.ended(HOUR_S, NINE).by_errno == (("10006", 2), ("no_reply", 1))
    assert recent.sentence("no_reply") == "lost"


def test_what_ended_before_the_watch_began_is_not_counted_since_then() -> None:
    recent = Recent(NINE + 10)
    recent.add([ended(1), ended(11)])
    assert recent.since_start().of(JobState.PLACED) == 1


def test_a_count_that_left_some_out_says_so_until_they_would_have_left_the_window() -> None:
    recent = Recent(NINE)
    recent.leave_out(NINE + 5)
    assert not recent.ended(MINUTE_S, NINE + 60).is_all
    assert recent.ended(MINUTE_S, NINE + 66).is_all
    assert not recent.since_start().is_all


def test_codes_without_end_take_no_memory_without_end() -> None:
    recent = Recent(NINE)
    recent.add(ended(1, JobState.FAILED, errno=f"e{n}", error="x") for n in range(1000))
    assert recent.ended(MINUTE_S, NINE + 1).by_errno[0] == ("other", 700)
