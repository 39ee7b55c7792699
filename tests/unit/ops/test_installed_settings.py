"""Settings and units that are installed as they stand: what they say is taken, and fits together."""

import re
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from worker.settings import Settings

OPS = Path(__file__).parents[3] / "ops"
UNITS = sorted((OPS / "systemd").glob("*.service"))
SECRETS = {"redis_url": "redis://127.0.0.1:6379/0", "pbx_hq_password": "x", "flower_password": "y"}


def taken(text: str, folder: Path) -> Settings:
    """Read settings whose secrets lie in *folder*."""
    for name, secret in SECRETS.items():
        (folder / name).write_text(secret)
    (folder / "outdial.toml").write_text(re.sub(r'"(/run/)?secrets/', f'"{folder}/', text))
    return Settings.load(folder / "outdial.toml")


def directives(unit: Path) -> dict[str, str]:
    """Return what stands in the section Service; of what is given several times, the last."""
    parser = RawConfigParser(strict=False, delimiters="=", comment_prefixes="#")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit.read_text())
    return dict(parser["Service"])


def test_the_settings_of_pods_are_taken(tmp_path: Path) -> None:
    settings = taken((OPS / "kubernetes/base/outdial.toml").read_text(), tmp_path)
    assert settings.worker.heartbeat_dir == Path("/run/outdial")
    assert (settings.metrics.port, settings.flower.url_prefix) == (9464, "flower")


def test_the_settings_for_systemd_are_taken(tmp_path: Path) -> None:
    settings = taken((OPS / "systemd/outdial.toml.example").read_text(), tmp_path)
    worker = directives(OPS / "systemd/outdial-worker.service")
    assert int(worker["TimeoutStopSec"]) > settings.worker.stop_grace_s
    assert str(settings.flower.database) == "/var/lib/outdial/flower.db"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_runs_as_nobody_and_sees_its_own_secrets(unit: Path) -> None:
    said = directives(unit)
    assert said["DynamicUser"] == said["NoNewPrivileges"] == "yes"
    assert (said["ProtectSystem"], said["CapabilityBoundingSet"]) == ("strict", "")
    assert said["BindReadOnlyPaths"] == "%d:/etc/outdial/secrets"
    # Wrong settings (exit code 2) do not mend themselves.
    assert (said["Restart"], said["RestartPreventExitStatus"]) == ("on-failure", "2")
    credentials = re.findall(r"^LoadCredential=(\w+):/etc/outdial/secrets/(\w+)$", unit.read_text(), re.MULTILINE)
    assert ("redis_url", "redis_url") in credentials
    assert all(name == file for name, file in credentials)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze is here")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for unit in UNITS:
        text = unit.read_text().replace("/opt/outdial/bin/outdial", "/bin/true")  # it must be there to be run
        (tmp_path / unit.name).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / unit.name) for unit in UNITS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in done.stderr.splitlines() if "outdial-" in line] == []
