"""Times that a server wrote while its clock was set are known by their real time."""

from pathlib import Path

import pytest

from ops.chaos.clock import Clock


@pytest.mark.parametrize("step_s", [-7200.0, 7200.0])
def test_times_of_a_set_clock_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_s: float) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr("ops.chaos.clock.time.time", lambda: now)
    clock = Clock(tmp_path)
    clock.set_by(step_s)
    now += 10
    clock.set_by(0)

    assert clock.real_time(1_800_000_005 + step_s) == 1_800_000_005
    for plain in (1_799_999_990.0, 1_800_000_005.0, 1_800_000_020.0):
        assert clock.real_time(plain) == plain
