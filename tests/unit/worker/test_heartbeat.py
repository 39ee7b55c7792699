"""What is read from the files of a host's workers, and what `check` makes of it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from worker import heartbeat
from worker.heartbeat import ANSWERED, EXPECTED, FULL, REFUSED, boot_id, findings

NOW = 10_000.0
NAME = "dialer1.7@host"
Host = Callable[..., Path]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A supervisor that moved a second ago and its only process, well but for what a test changes."""

    def write(
        *, at: float = NOW - 1, pid: int | None = 8, since: float = NOW - 900, beat_pid: int = 8, **changes: object
    ) -> Path:
        parts = {"consumer": (1, 30, ANSWERED), "pacer": (1, 30, ANSWERED), "pool": (2, 90, ANSWERED)}
        signs = {part: [NOW - age_s, limit_s, word] for part, (age_s, limit_s, word) in parts.items()}
        for part in parts.keys() & changes.keys():
            age_s, word = changes.pop(part)  # type: ignore[misc]
            signs[part] = [NOW - age_s, parts[part][1], word]
        told: dict[str, object] = {"boot": boot_id(), "at": NOW - 1, "limit_s": 30, "stopping": False}
        told |= {"slots": changes.pop("told", [{"name": NAME, "pid": pid, "since": since}])}
        (tmp_path / "supervisor.beat").write_text(json.dumps(told | changes))
        (tmp_path / f"{NAME}.beat").write_text(json.dumps({"pid": beat_pid, "at": at, "signs": signs}))
        return tmp_path

    return write


def found(folder: Path) -> tuple[str, bool] | None:
    """Return the worst finding: its sentence, and whether it fails liveness."""
    wrong = findings(str(folder), NOW)
    return (wrong[0].sentence(), wrong[0].is_deaf) if wrong else None


def test_who_hears_answers_is_well(host: Host) -> None:
    assert found(host()) is None
    # All slots are taken, so no message is asked for.
    assert found(host(consumer=(2, FULL))) is None


@pytest.mark.parametrize("part", ["consumer", "pacer"])
def test_who_hears_nothing_is_deaf_whatever_it_heard_last(host: Host, part: str) -> None:
    for word in (ANSWERED, REFUSED, EXPECTED, FULL):
        sentence = f"{NAME}: its {part} has made no progress for 31 s"
        assert found(host(**{part: (31, word)})) == (sentence, True)


def test_slots_that_all_hang_are_not_well(host: Host) -> None:
    assert found(host(pool=(91, ANSWERED))) == (f"{NAME}: its pool has made no progress for 91 s", True)


def test_a_redis_that_refuses_fails_readiness_alone(host: Host) -> None:
    assert found(host(pacer=(1, REFUSED))) == (f"{NAME}: Redis is away: its pacer is refused", False)


def test_who_has_just_begun_is_not_ready_yet(host: Host) -> None:
    assert found(host(consumer=(5, EXPECTED))) == (f"{NAME}: its consumer has not begun yet", False)


def test_a_frozen_process_is_deaf(host: Host) -> None:
    assert found(host(at=NOW - 31)) == (f"{NAME}: has written nothing for 31 s", True)


def test_a_dead_process_may_take_a_minute_to_come_back(host: Host) -> None:
    assert found(host(pid=None, since=NOW - 59)) == (f"{NAME}: died, and has not been well for 59 s", False)
    assert found(host(pid=None, since=NOW - 61)) == (f"{NAME}: died, and has not been well for 61 s", True)


def test_what_a_process_before_wrote_says_nothing_of_this_one(host: Host) -> None:
    for before in ({"beat_pid": 6}, {"at": NOW - 41}):
        sentence = f"{NAME}: started 40 s ago, and wrote nothing yet"
        assert found(host(since=NOW - 40, **before)) == (sentence, False)
    assert found(host(since=NOW - 61, beat_pid=6)) == (f"{NAME}: started 61 s ago, and wrote nothing yet", True)


def test_a_supervisor_that_hangs_or_never_was_is_not_well(host: Host, tmp_path: Path) -> None:
    nobody = (f"no supervisor of workers has written to {tmp_path}", True)
    assert found(tmp_path) == nobody
    # Another boot's clock began anew, so its times mean nothing.
    assert found(host(boot="another")) == nobody
    (host() / "supervisor.beat").write_text("no JSON")
    assert found(tmp_path) == nobody
    folder = host()
    told = json.loads((folder / "supervisor.beat").read_text()) | {"at": NOW - 31}
    (folder / "supervisor.beat").write_text(json.dumps(told))
    assert found(folder) == ("the supervisor has not moved for 31 s", True)


def test_workers_that_stop_are_alive_and_not_ready(host: Host) -> None:
    assert found(host(stopping=True, consumer=(31, ANSWERED))) == ("the workers are stopping", False)


def test_the_worst_is_told_first(host: Host) -> None:
    told = [{"name": "dialer0", "pid": None, "since": NOW - 1}, {"name": NAME, "pid": 8, "since": NOW - 900}]
    assert found(host(told=told, pacer=(31, ANSWERED))) == (
        f"{NAME}: its pacer has made no progress for 31 s",
        True,
    )


def test_check_says_it_by_exit_code_and_sentence(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: NOW)
    folder = str(host(pacer=(1, REFUSED)))
    assert heartbeat.main(["check", folder]) == 0
    assert heartbeat.main(["check", "--ready", folder]) == 1
    monkeypatch.setenv("OUTDIAL_WORKER__HEARTBEAT_DIR", folder)
    assert heartbeat.main(["check"]) == 0
    assert capsys.readouterr().out == f"well\n{NAME}: Redis is away: its pacer is refused\nwell\n"
    monkeypatch.delenv("OUTDIAL_WORKER__HEARTBEAT_DIR")
    for wrong in ([], ["check"], ["look", folder], ["check", "--raedy", folder], ["check", "--help"]):
        assert heartbeat.main(wrong) == 2
    assert "FOLDER is worker.heartbeat_dir" in capsys.readouterr().err


def test_a_check_imports_the_standard_library_alone() -> None:
    program = "import sys; before = set(sys.modules); import worker.heartbeat; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    imported = {module.split(".")[0] for module in done.stdout.split()}
    assert imported <= {"worker", *sys.stdlib_module_names}
    assert not imported & {"argparse", "dataclasses", "asyncio", "logging"}, "each costs more than the check"
