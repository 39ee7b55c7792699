"""Counting ended jobs: each once, in its bin, and in bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.report.spans import Span
from producers.report.summary import PbxNow, Report
from producers.report.tally import MOST_GROUPS, MOST_UNKNOWNS, NO_PBX, Tally
from producers.report.waits import Waits
from tests.unit.producers.report.ended import NINE, ended
from worker.hopper import EndedJob
from worker.jobs import JobState

SPAN = Span.of(NINE, NINE + 600)


def counted(*jobs: EndedJob, with_extensions: bool = True, by: str | None = None, span: Span = SPAN) -> Report:
    tally = Tally(span, by)
    for job in jobs:
        tally.add(job)
    return tally.report(
        made_at=NINE + 600,
        retain_s=600,
        stock=[0] * (span.count + 1),
        limits={"hq": 120.0, "idle": 60.0},
        now={"hq": PbxNow(3, 1, 40.0), "idle": PbxNow(0, 0, 0.0)},
        with_extensions=with_extensions,
    )


def test_each_job_counts_once_and_in_its_bin() -> None:
    report = counted(
        ended(5),
        ended(15),
        ended(17, JobState.FAILED),
        ended(700),  # behind the span
        ended(599.9, JobState.UNKNOWN, errno="no_reply", error="lost"),
    )
    assert (report.ends.placed, report.ends.failed, report.ends.unknown, report.ends.total) == (2, 1, 1, 4)
    assert [ends.total for ends in report.ended][:2] == [1, 2]
    assert (report.flow.placed[:2], sum(report.flow.begun), report.attempts) == ((1, 1), 4, 4)
    assert report.flow.limit == 180
    assert report.ends.placed_share == 0.5
    assert [job.id for job in report.unknowns] == ["job-599.9"]


def test_a_call_counts_when_it_was_placed_and_an_attempt_when_it_was_begun() -> None:
    report = counted(ended(25, attempts=2, claims=(NINE + 1, NINE + 21), placed_at=NINE + 22))
    assert (report.flow.begun[:3], report.flow.placed[:3]) == ((1, 0, 1), (0, 0, 1))


def test_what_waited_for_its_not_before_did_not_wait() -> None:
    [part, _] = counted(ended(60, waited_s=7200, due_at=NINE + 59)).pbxs
    assert part.latency.median_s == pytest.approx(1, rel=0.03)


def test_causes_have_their_sentence_without_numbers_and_are_told_from_cancelling() -> None:
    failed = ended(1, JobState.FAILED, errno="x", error="said 0901234567")
    withdrawn = ended(2, JobState.CANCELLED, errno="10025", error="of an attempt before")
    report = counted(failed, ended(3, JobState.FAILED, errno="x", error="later"), withdrawn)
    assert [(cause.errno, cause.ends.total) for cause in report.causes] == [("x", 2), ("cancelled", 1)]
    assert report.causes[0].sentence == "said xxxxxxxx67"


def test_pbxs_come_in_order_of_calls_with_the_idle_ones_and_those_left_the_settings() -> None:
    report = counted(
        ended(1), ended(2, pbx="gone"), ended(3, pbx="gone"), ended(4, JobState.REFUSED, pbx="", extid="")
    )
    assert [(part.name, part.flow.limit) for part in report.pbxs] == [
        ("gone", None),
        ("hq", 120),
        (NO_PBX, None),
        ("idle", 60),
    ]
    assert report.pbxs[0].now is None
    assert report.extension_count == 2


def test_extensions_can_be_left_out() -> None:
    jobs = (ended(1), ended(2, JobState.UNKNOWN))
    assert [job.extid for job in counted(*jobs).unknowns] == ["1001"]
    report = counted(*jobs, with_extensions=False)
    assert (report.extensions, [job.extid for job in report.unknowns]) == (None, [""])


def test_the_busiest_minute_is_that_of_calls_and_not_of_the_steps() -> None:
    around_a_minute = [ended(50 + n, pbx="hq" if n % 2 else "branch") for n in range(20)]
    report = counted(*around_a_minute, ended(300))
    assert (report.busiest.calls, report.busiest.until) == (20, NINE + 69)
    assert [(part.name, part.busiest.calls) for part in report.pbxs[:2]] == [("hq", 10), ("branch", 10)]
    assert report.plain()["busiest"] == {"calls": 20, "until": "2026-11-23T09:01:09.000Z"}


def test_jobs_are_broken_down_by_an_entry_of_their_metadata() -> None:
    report = counted(
        ended(1, entry="spring"),
        ended(2, entry="spring", waited_s=8.0),
        ended(3, JobState.FAILED, entry="0901234567"),
        ended(4, entry=None),
        by="campaign",
    )
    assert report.groups is not None
    found = [(part.value, part.ends.total, part.ends.placed, part.attempts) for part in report.groups]
    assert found == [("spring", 2, 2, 2), ("(none)", 1, 1, 1), ("xxxxxxxx67", 1, 0, 1)]
    assert report.groups[0].latency.p95_s == pytest.approx(8, rel=0.03)
    assert (report.plain()["by"], len(report.plain()["groups"])) == ("campaign", 3)
    assert counted(ended(1)).groups is None


def test_values_without_end_take_no_memory_without_end() -> None:
    report = counted(*(ended(n / 10, entry=f"v{n}") for n in range(900)), by="lead")
    assert report.groups is not None
    assert (report.groups[0].value, report.groups[0].ends.total) == ("(others)", 400)
    assert len(report.groups) == MOST_GROUPS + 1


def test_codes_and_unknown_jobs_without_end_take_no_memory_without_end() -> None:
    report = counted(*(ended(n / 10, JobState.UNKNOWN, errno=f"e{n}") for n in range(900)))
    assert len(report.unknowns) == MOST_UNKNOWNS
    assert report.unknowns[-1].errno == "e899"
    assert (report.causes[0].errno, report.causes[0].ends.total) == ("other", 600)


def test_a_report_without_a_job_is_a_report() -> None:
    report = counted()
    assert (report.ends.total, report.causes, report.tries[0].placed, report.latency.median_s) == (0, (), 0, None)
    assert report.plain()["span"]["since"] == "2026-11-23T09:00:00.000Z"


@given(st.lists(st.floats(-1, 1e7), min_size=1, max_size=50), st.floats(0.01, 1))
def test_quantiles_are_good_to_three_per_cent(values: list[float], share: float) -> None:
    waits = Waits()
    for value in values:
        waits.add(value)
    ordered = sorted(max(0.0, value) for value in values)
    exact = next(value for number, value in enumerate(ordered, 1) if number >= share * len(ordered))
    told = waits.quantile(share)
    assert told is not None
    assert told == pytest.approx(exact, rel=0.03, abs=0.0011)
    assert sum(waits.bars) == len(values)
