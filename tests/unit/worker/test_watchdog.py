"""Whom the supervisor's watchdog gives up, and whom not."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.heartbeat import ANSWERED
from worker.settings import Settings
from worker.watchdog import Seen, Watchdog, _locked

NAME = "dialer1.7@host"
LIMIT_S = 30


class Rig:
    """A watchdog on a clock of its own, and one process that writes whatever it is told to."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.now = time.monotonic()
        self.began = self.now
        self.redis_answers = True
        self.disk_is_full = False
        lock = _locked(folder)
        assert lock is not None
        self.dog = Watchdog(folder, lambda: self.redis_answers, limit_s=LIMIT_S, lock=lock)
        monkeypatch.setattr(self.dog._file, "start", lambda: None)  # the clock is ours, so is the writing
        monkeypatch.setattr("time.monotonic", lambda: self.now)

    def looks(self, *, for_s: int, deaf_for_s: float, pid: int = 8) -> list[str]:
        """Look every second, at a process that was deaf before and stays so; returns whom it gave up."""
        heard_at = self.now - deaf_for_s
        given_up = []
        for _ in range(for_s):
            self.now += 1
            signs = {"pacer": [heard_at, LIMIT_S, ANSWERED]}
            content = {"pid": pid, "at": self.now, "signs": signs}
            (self.folder / f"{NAME}.beat").write_text(json.dumps(content))
            if not self.disk_is_full:
                self.dog._file._write()
            given_up += self.dog.deaf([Seen(NAME, pid, self.began - 900)])
        return given_up


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    started = Rig(tmp_path, monkeypatch)
    started.looks(for_s=2, deaf_for_s=0)
    yield started
    started.dog._lock.close()


def test_who_stays_deaf_while_redis_answers_is_given_up_once(rig: Rig) -> None:
    assert rig.looks(for_s=14, deaf_for_s=31) == [], "it may mend itself"
    assert rig.looks(for_s=10, deaf_for_s=45) == [NAME]
    assert rig.dog.problem() == f"{NAME}: its pacer has made no progress for 55 s"


def test_nobody_is_given_up_while_redis_is_silent_for_us_too(rig: Rig) -> None:
    rig.redis_answers = False
    assert rig.looks(for_s=60, deaf_for_s=31) == []
    rig.redis_answers = True
    assert rig.looks(for_s=14, deaf_for_s=91) == [], "its time-outs still run"


def test_nobody_is_given_up_where_nothing_can_be_written(rig: Rig) -> None:
    rig.disk_is_full = True
    rig.looks(for_s=5, deaf_for_s=0)
    assert rig.looks(for_s=60, deaf_for_s=31) == []
    assert rig.dog.problem() == ""


def test_nobody_is_given_up_for_a_pause_of_the_whole_machine(rig: Rig) -> None:
    rig.looks(for_s=10, deaf_for_s=31)
    rig.now += 3600
    assert rig.looks(for_s=1, deaf_for_s=3600) == []
    assert rig.looks(for_s=10, deaf_for_s=0) == []


def test_a_folder_has_one_supervisor_and_keeps_nothing_of_the_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dialer1.6@host.beat").write_text("{}")
    (tmp_path / "notes").write_text("not ours")
    settings = Settings.model_validate(
        {"redis_url": "redis://127.0.0.1:1/0", "worker": {"heartbeat_dir": str(tmp_path)}}
    )
    first = Watchdog.on(settings)
    assert first is not None
    assert {file.name for file in tmp_path.iterdir()} == {"lock", "notes"}
    assert Watchdog.on(settings) is None
    assert "heartbeat_dir_taken" in capsys.readouterr().out
    first._lock.close()


def test_without_a_folder_nobody_looks() -> None:
    assert Watchdog.on(Settings.model_validate({"redis_url": "redis://127.0.0.1:1/0"})) is None
    with pytest.raises(ValueError, match="'run' is no absolute path; give one, such as /run/outdial"):
        Settings.model_validate({"redis_url": "redis://127.0.0.1:1/0", "worker": {"heartbeat_dir": "run"}})
