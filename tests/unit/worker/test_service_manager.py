"""What systemd is told."""

import socket
from pathlib import Path

import pytest

from worker.service_manager import Manager


@pytest.fixture
def listener(tmp_path: Path) -> socket.socket:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def heard(listener: socket.socket) -> list[str]:
    return listener.recv(4096).decode().split("\n")


def test_ready_is_said_once_and_life_as_long_as_the_supervisor_moves(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    manager = Manager.from_environment({"NOTIFY_SOCKET": listener.getsockname()})
    manager.moves("")
    assert heard(listener) == ["STATUS=well", "WATCHDOG=1", "READY=1"]
    manager.moves("")  # too soon to repeat
    manager.moves("dialer1: has written nothing for 31 s")
    assert heard(listener) == ["STATUS=dialer1: has written nothing for 31 s", "WATCHDOG=1"]
    now = 6.0
    manager.moves("")
    assert heard(listener) == ["STATUS=well", "WATCHDOG=1"]
    manager.stopping()
    assert heard(listener) == ["STOPPING=1", "STATUS=stopping"]


def test_without_a_service_manager_nobody_is_told() -> None:
    manager = Manager.from_environment({})
    manager.moves("")
    manager.stopping()


def test_a_service_manager_that_is_gone_keeps_nobody_from_dialing(tmp_path: Path) -> None:
    Manager(str(tmp_path / "nobody")).moves("")
