"""The busiest minute is a true one: over any 60 seconds of the calls there were, in bounded memory."""

from hypothesis import given
from hypothesis import strategies as st

from producers.report.busiest import WINDOW_S, Busiest
from tests.unit.producers.report.ended import NINE


def busiest_of(moments: list[float]) -> Busiest:
    busiest = Busiest()
    for moment in moments:
        busiest.add(moment)
    return busiest


def test_a_minute_across_the_clock_is_found() -> None:
    moments = [NINE + 50 + n / 2 for n in range(40)]  # 20 before and 20 after 09:01:00
    assert (busiest_of(moments).calls, busiest_of(moments).until) == (40, moments[-1])


def test_a_call_exactly_a_minute_later_is_not_of_the_same_minute() -> None:
    assert busiest_of([NINE, NINE + 60]).calls == 1
    assert busiest_of([NINE, NINE + 59.9]).calls == 2
    assert (busiest_of([]).calls, busiest_of([]).until) == (0, 0.0)


@given(st.lists(st.floats(0, 400), max_size=60), st.randoms())
def test_it_is_what_counting_every_window_gives(offsets: list[float], chance: object) -> None:
    ordered = sorted(offsets)
    # Calls come nearly in order: each at most some seconds late.
    stream = sorted(ordered, key=lambda at: at + chance.uniform(0, 20))  # type: ignore[attr-defined]
    exact = max((sum(end - WINDOW_S < at <= end for at in ordered) for end in ordered), default=0)
    assert busiest_of(stream).calls == exact


def test_a_busy_day_takes_little_memory() -> None:
    busiest = busiest_of([NINE + n / 20 for n in range(40_000)])
    assert busiest.calls == 1200
    assert len(busiest._moments) < 4000
