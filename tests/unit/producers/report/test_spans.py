"""How a stretch of time is cut: round times, no bin so short that its rate jumps."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.report.spans import Span
from tests.unit.producers.report.ended import NINE

ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]


@given(
    since=st.floats(0, 4e9),
    length_s=st.floats(0.001, 3e8),
    moment=st.floats(-1, 2),
)
def test_every_time_of_a_span_is_in_the_bin_that_holds_it(since: float, length_s: float, moment: float) -> None:
    span = Span.of(since, since + length_s)
    edges = span.edges()
    assert len(edges) == span.count + 1 <= 122
    assert edges == sorted(edges)
    at = since + moment * length_s
    number = span.bin_of(at)
    if number is None:
        assert not span.since <= at < span.until
    else:
        assert edges[number] <= at < edges[number + 1]
    assert all(60 * minutes <= 1.5 * span.width_s + 1e-3 for minutes in span.minutes())
    assert span.count == 1 or all(60 * minutes >= 0.5 * span.width_s - 1e-3 for minutes in span.minutes())


def test_bins_begin_at_round_times_and_the_span_where_it_was_asked_to() -> None:
    span = Span.of(NINE + 100, NINE + 3 * 3600)
    assert (span.width_s, span.since) == (120, NINE + 100)
    # What is left before the first round time is part of the bin behind it.
    assert [edge - NINE for edge in span.edges()[:3]] == [100, 240, 360]
    assert all(cut % 120 == 0 for cut in span.cuts)


def test_a_week_has_bins_of_hours_and_years_have_bins_of_days() -> None:
    assert Span.of(NINE - 7 * 86400, NINE).width_s == 2 * 3600
    assert Span.of(0, NINE).width_s % 86400 == 0


@pytest.mark.parametrize(
    ("zone", "first"),
    [("Europe/Berlin", "2026-11-17T00:00:00+01:00"), ("Asia/Kolkata", "2026-11-17T00:00:00+05:30"), ("UTC", None)],
)
def test_days_begin_at_midnight_where_a_zone_is_named(zone: str, first: str | None) -> None:
    span = Span.of(NINE - 100 * 86400, NINE, zone=ZoneInfo(zone))
    assert span.width_s == 86400
    assert {span.told(cut)[11:16] for cut in span.cuts} == {"00:00"}, "the clocks change in between, too"
    if first:
        assert first in [span.told(cut) for cut in span.cuts]


@given(since=st.floats(1.7e9, 1.9e9), length_s=st.floats(60, 3e7), zone=st.sampled_from(ZONES))
def test_bins_of_a_zone_are_no_shorter_or_longer_than_those_of_utc(
    since: float, length_s: float, zone: str
) -> None:
    span = Span.of(since, since + length_s, zone=ZoneInfo(zone))
    edges = span.edges()
    assert edges == sorted(edges)
    widths = [60 * minutes for minutes in span.minutes()]
    assert all(width <= 1.5 * span.width_s + 3600 + 1e-3 for width in widths)
    assert span.count == 1 or all(width >= 0.5 * span.width_s - 3600 - 1e-3 and width > 0 for width in widths)


def test_ticks_are_round_and_few() -> None:
    assert [tick - NINE for tick in Span.of(NINE - 1, NINE + 600).ticks(3)] == [0, 300, 600]


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="must end after it begins"):
        Span.of(NINE, NINE)
