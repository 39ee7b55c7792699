"""How a stretch of time is cut: round times, no bin so short that its rate jumps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.report.spans import Span
from tests.unit.producers.report.ended import NINE


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


def test_ticks_are_round_and_few() -> None:
    assert [tick - NINE for tick in Span.of(NINE - 1, NINE + 600).ticks(3)] == [0, 300, 600]


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="must end after it begins"):
        Span.of(NINE, NINE)
