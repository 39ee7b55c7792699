"""A step of Redis's clock is told from a slow answer, a frozen Redis, and a host that was asleep."""

import pytest
import structlog

from worker.hopper import Beat
from worker.redis_clock import RedisClock, uptime_s

START = 1_795_000_000.0


class Hopper:
    """Keeps what it is told of the clock."""

    def __init__(self, *, moved_s: float | None = None) -> None:
        self.told: list[tuple[int, float | None]] = []
        self._moved_s = moved_s

    def set_clock(self, compared: int, step_s: float | None) -> tuple[int, float]:
        self.told.append((compared, step_s))
        return compared + 1, self._moved_s if self._moved_s is not None else step_s or 0.0


def beats(*beats: tuple[float, float, float, bool], hopper: Hopper | None = None) -> list[float | None]:
    """Hear heartbeats of (asked at, answered at, Redis's clock less START, in doubt); return what is reported."""
    hopper = hopper or Hopper()
    clock = RedisClock(hopper)  # type: ignore[arg-type]  # has what it needs
    for asked_at, answered_at, now, in_doubt in beats:
        beat = Beat(slots=1, now=START + now, compared=0, in_doubt=in_doubt)
        clock.heard(beat, asked_at=asked_at, answered_at=answered_at)
    return [step_s for _, step_s in hopper.told]


FIRST = (100.0, 100.01, 0.0, False)


@pytest.mark.parametrize(
    "second",
    [
        (105.0, 105.01, 5.0, False),
        (105.0, 105.01, 5.9, False),
        (105.0, 105.01, 4.2, False),
        # The request was read at any time until its answer came.
        (105.0, 165.0, 5.0, False),
        (105.0, 165.0, 64.9, False),
        # Only this host was asleep, or the process of a host whose uptime stands still meanwhile.
        (105.0, 105.01, 3605.0, False),
    ],
)
def test_what_need_not_be_a_step_is_none(second: tuple[float, float, float, bool]) -> None:
    assert beats(FIRST, second) == []


@pytest.mark.parametrize(
    ("second", "step_s"),
    [
        ((105.0, 105.01, 3605.0, True), 3600),
        ((105.0, 105.01, -3595.0, True), -3600),
        ((105.0, 105.01, 86_405.0, True), 86_400),
        ((105.0, 105.01, 10.0, False), 5),
        ((105.0, 105.01, 0.0, False), -5),
        ((105.0, 135.0, 3635.0, True), 3600),
    ],
)
def test_a_step_is_reported(second: tuple[float, float, float, bool], step_s: float) -> None:
    assert beats(FIRST, second) == [pytest.approx(step_s, abs=0.1)]


def test_time_without_heartbeats_is_reported_as_no_step() -> None:
    assert beats(FIRST, (400.0, 400.01, 300.0, True)) == [0]


def test_a_worker_that_has_no_heartbeat_to_compare_with_reports_that() -> None:
    assert beats((100.0, 100.01, 0.0, True)) == [None]


def test_the_heartbeat_after_a_step_is_compared_with_none_before_it() -> None:
    assert len(beats(FIRST, (105.0, 105.01, 3605.0, True), (110.0, 110.01, 7210.0, False))) == 1


def test_a_clock_that_is_set_right_again_soon_is_reported_by_the_same_worker() -> None:
    hopper = Hopper()
    clock = RedisClock(hopper)  # type: ignore[arg-type]  # has what it needs
    clock.heard(Beat(1, START, 0, in_doubt=False), asked_at=100.0, answered_at=100.01)
    clock.heard(Beat(1, START + 3605, 0, in_doubt=True), asked_at=105.0, answered_at=105.01)
    clock.heard(Beat(1, START + 10, 1, in_doubt=True), asked_at=110.0, answered_at=110.01)
    assert hopper.told == [(0, pytest.approx(3600, abs=0.1)), (1, pytest.approx(-3600, abs=0.1))]


def new_worker(*compared: int) -> list[tuple[int, float | None]]:
    """Let a worker that has just started hear heartbeats of a clock in doubt; returns what it reports."""
    hopper = Hopper()
    clock = RedisClock(hopper)  # type: ignore[arg-type]  # has what it needs
    for number, count in enumerate(compared):
        is_in_doubt = count == compared[0]
        beat = Beat(1, START + 5 * number, count, in_doubt=is_in_doubt, has_others=True)
        clock.heard(beat, asked_at=100.0 + 5 * number, answered_at=100.01 + 5 * number)
    return hopper.told


def test_a_new_worker_leaves_the_comparison_to_the_others_once() -> None:
    assert new_worker(3) == []
    assert new_worker(3, 4) == []
    assert new_worker(3, 3) == [(3, None)]


def test_a_step_that_another_worker_reported_is_not_reported_again() -> None:
    hopper = Hopper()
    clock = RedisClock(hopper)  # type: ignore[arg-type]  # has what it needs
    clock.heard(Beat(1, START, 0, in_doubt=False), asked_at=100.0, answered_at=100.01)
    clock.heard(Beat(1, START + 3605, 1, in_doubt=False), asked_at=105.0, answered_at=105.01)
    clock.heard(Beat(1, START + 3610, 1, in_doubt=False), asked_at=110.0, answered_at=110.01)
    assert hopper.told == []


@pytest.mark.parametrize(("moved_s", "lines"), [(3600.0, [3600.0]), (0.0, [])])
def test_the_worker_that_moves_the_times_logs_it(moved_s: float, lines: list[float]) -> None:
    with structlog.testing.capture_logs() as log:
        beats(FIRST, (105.0, 105.01, 3605.0, True), hopper=Hopper(moved_s=moved_s))
    assert [line["seconds"] for line in log if line["event"] == "clock_stepped"] == lines


def test_uptime_goes_on() -> None:
    before = uptime_s()
    assert uptime_s() >= before > 0
