"""What `outdial up` and `outdial demo` tell people to type."""

import sys
from pathlib import Path

import pytest

from ops.local import command_as_typed


def test_people_are_told_a_command_that_their_shell_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command_as_typed() == str(Path(sys.executable).parent / "outdial")
    (tmp_path / "outdial").touch(mode=0o755)
    assert command_as_typed() == "outdial"
