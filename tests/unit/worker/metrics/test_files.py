"""Counts outlive the process that made them; the folder of a supervisor does not outlive it for long."""

import errno
import fcntl
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from prometheus_client import values
from prometheus_client.multiprocess import MultiProcessCollector
from structlog.testing import capture_logs

from tests.unit.worker.metrics.conftest import Begin
from worker.metrics import begin as begin_counting
from worker.metrics import counting, files
from worker.metrics.meters import Meters
from worker.metrics.reading import Counts, Series

CLAIMS, POST = "outdial_claims_total", "outdial_post_seconds"
HQ = (("pbx", "hq"),)


def told(folder: Path) -> dict[Series, float]:
    return dict(Counts(folder).added_up())


# --- one slot after another --------------------------------------------------------------------------------------


def test_a_restarted_process_goes_on_in_the_same_files(begin: Begin, tmp_path: Path) -> None:
    for _ in range(5):
        begin("dialer1.1@host").note(2, CLAIMS, "hq")
    assert told(tmp_path)[CLAIMS, HQ] == 10
    assert len(list(tmp_path.iterdir())) == 2


def test_processes_are_added_up(begin: Begin, tmp_path: Path) -> None:
    for name in ("dialer1", "dialer2"):
        meters = begin(name)
        meters.note(1, CLAIMS, "hq")
        meters.note(0.2, POST, "hq")
        meters.note(99, POST, "hq")
    found = told(tmp_path)
    assert found[CLAIMS, HQ] == 2
    assert found[f"{POST}_count", HQ] == 4
    assert found[f"{POST}_sum", HQ] == pytest.approx(198.4)
    by_bound = {dict(labels)["le"]: value for (name, labels), value in found.items() if name == f"{POST}_bucket"}
    assert (by_bound["0.1"], by_bound["0.25"], by_bound["10.0"], by_bound["+Inf"]) == (0, 2, 2, 4)


def test_the_reader_says_what_prometheus_client_itself_would(begin: Begin, tmp_path: Path) -> None:
    for name in ("dialer1", "dialer2", "webhooks1"):
        meters = begin(name)
        for pbx in ("hq", "bränch", 'quo"ted'):
            meters.note(3, CLAIMS, pbx)
            meters.note(0.3, POST, pbx)
            meters.note(1, "outdial_attempts_total", pbx, "not_placed", "10008")
    theirs = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for metric in MultiProcessCollector(None, str(tmp_path)).collect()
        for sample in metric.samples
    }
    assert told(tmp_path) == theirs


def test_a_reader_sees_what_was_added_since(begin: Begin, tmp_path: Path) -> None:
    meters = begin("dialer1")
    counts = Counts(tmp_path)
    assert dict(counts.added_up()).get((CLAIMS, HQ)) is None
    for expected in (1.0, 2.0):
        meters.note(1, CLAIMS, "hq")
        assert dict(counts.added_up())[CLAIMS, HQ] == expected
    begin("dialer2").note(5, CLAIMS, "hq")
    assert dict(counts.added_up())[CLAIMS, HQ] == 7


def test_a_file_without_content_and_an_entry_half_written_are_passed_over(begin: Begin, tmp_path: Path) -> None:
    begin("dialer1").note(1, CLAIMS, "hq")
    before = told(tmp_path)
    (tmp_path / "counter_dialer2.db").touch()
    (tmp_path / "counter_dialer3.db").write_bytes(bytes(64))
    [file] = tmp_path.glob("counter_dialer1.db")
    with file.open("r+b") as opened:  # an entry is written first, and counted in after that
        opened.seek(struct.unpack("i", opened.read(4))[0])
        opened.write(struct.pack("i", 999) + b"[half")
    assert told(tmp_path) == before


LOOP = """
import sys
from worker import metrics
metrics.begin("dialer1", ["hq"])
n = 0
while True:
    n += 1
    metrics.job_claimed("hq")
    metrics.job_parked("hq", f"http_{100 + n % 500}")  # new series, one after the other
    if n % 50 == 0:
        print(n, flush=True)
"""


def test_a_kill_at_any_moment_loses_nothing_that_was_counted(tmp_path: Path) -> None:
    counted = 0.0
    for rounds in (3, 4):
        with subprocess.Popen(
            [sys.executable, "-c", LOOP], stdout=subprocess.PIPE, env=os.environ | {files.VARIABLE: str(tmp_path)}
        ) as process:
            assert process.stdout is not None
            said = [int(process.stdout.readline()) for _ in range(rounds)][-1]
            process.kill()
        found = told(tmp_path)
        assert found[CLAIMS, HQ] >= counted + said
        counted = found[CLAIMS, HQ]
    assert len(list(tmp_path.iterdir())) == 2


# --- nothing of it keeps a process from its work -----------------------------------------------------------------


@pytest.fixture
def no_change_of_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setattr(counting, "_counting", counting._Counting())


@pytest.mark.usefixtures("no_change_of_place")
def test_without_room_for_files_counts_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setenv(files.VARIABLE, str(tmp_path))
    with capture_logs() as logs:
        begin_counting("dialer1", ["hq"])
    counting.job_claimed("hq")
    assert [(line["event"], line["error"]) for line in logs] == [("counted_in_memory", "No space left on device")]
    assert told(tmp_path) == {}
    assert {sample.value for metric in counting._counting.meters.collect() for sample in metric.samples} >= {1.0}


@pytest.mark.usefixtures("no_change_of_place")
def test_without_a_supervisor_that_asks_no_file_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(files.VARIABLE, raising=False)
    begin_counting("dialer1", ["hq"])
    counting.job_claimed("hq")
    assert list(tmp_path.iterdir()) == []


def test_a_series_that_cannot_be_kept_is_not_counted_and_said_once(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    meters = begin("dialer1")

    def broken(*_args: object, **_options: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(values, "ValueClass", broken)
    with capture_logs() as logs:
        for pbx in ("hq", "hq", "branch"):
            meters.note(1, CLAIMS, pbx)
    assert [line["event"] for line in logs] == ["not_counted"]


def test_names_of_slots_are_names_of_files(begin: Begin, tmp_path: Path) -> None:
    begin("dialer1.7@a/b").note(1, CLAIMS, "hq")
    assert {file.name for file in tmp_path.iterdir()} == {"counter_dialer1.7@a-b.db", "histogram_dialer1.7@a-b.db"}


# --- folders of supervisors --------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_behind(place: Path, name: str, *, old: bool = True) -> Path:
    folder = place / f"outdial-metrics-{name}"
    folder.mkdir()
    (folder / "supervisor.lock").touch()
    if old:
        an_hour_ago = time.time() - 3600
        os.utime(folder, (an_hour_ago, an_hour_ago))
    return folder


def test_a_folder_ends_with_its_supervisor(place: Path) -> None:
    with files.folder() as mine:
        assert mine.parent == place
        assert mine.stat().st_mode & 0o077 == 0
    assert list(place.iterdir()) == []


def test_folders_of_dead_supervisors_go_and_those_of_living_ones_stay(place: Path) -> None:
    dead, living, young = (left_behind(place, name, old=name != "young") for name in ("dead", "living", "young"))
    somebody_elses = place / "outdial-metrics-file"
    somebody_elses.touch()
    with (living / "supervisor.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with files.folder():
            assert not dead.exists()
            assert living.exists()
            assert young.exists()
            assert somebody_elses.exists()


def test_one_that_counts_still_in_a_folder_that_was_removed_is_not_disturbed(begin: Begin, tmp_path: Path) -> None:
    meters: Meters = begin("dialer1")
    meters.note(1, POST, "hq")
    for file in tmp_path.iterdir():
        file.unlink()
    meters.note(1, CLAIMS, "branch")
    meters.note(1, POST, "branch")
