"""`outdial files`: what an installation needs gets into a folder, and replaces nothing unasked."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from producers.cli import cli
from producers.installed_files import PURPOSES, installed_files

ROOT = Path(__file__).parents[2]
OPS = ROOT / "ops"


def outdial(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def test_each_file_is_listed_with_what_it_is_for() -> None:
    result = outdial("files")
    assert result.exit_code == 0
    listed = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert {
        "ops/runbook.md",
        "ops/systemd/outdial-worker.service",
        "ops/redis/users.acl",
        "ops/prometheus/rules/alerts.yml",
        "docs/settings.md",
        "SECURITY.md",
    } <= set(listed)
    assert all(listed.values())


def test_a_purpose_names_files_that_are_there() -> None:
    assert [path for path in PURPOSES if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    "folder",
    ["ops/systemd", "ops/redis", "ops/prometheus", "ops/grafana", "ops/docker", "ops/kubernetes", "docs"],
)
def test_no_file_of_a_folder_is_left_out(folder: str) -> None:
    there = {
        str(file.relative_to(ROOT))
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc") and "secrets" not in file.parts
    }
    assert there - {file.path for file in installed_files()} == set()


def test_no_program_is_listed() -> None:
    assert [file.path for file in installed_files() if file.path.endswith(".py")] == []


def test_the_files_are_written_as_they_are(tmp_path: Path) -> None:
    result = outdial("files", tmp_path / "new" / "folder")
    assert (result.exit_code, result.stdout) == (0, "")
    for file in installed_files():
        if not file.path.endswith(".service"):
            assert (tmp_path / "new/folder" / file.path).read_bytes() == (ROOT / file.path).read_bytes()
    assert os.access(tmp_path / "new/folder/ops/redis/users.sh", os.X_OK)
    assert outdial("files", tmp_path / "new" / "folder").exit_code == 0  # the same once more


def test_a_file_with_other_contents_is_kept_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "SECURITY.md").write_text("our own")
    result = outdial("files", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    name = tmp_path / "SECURITY.md"
    assert result.stderr == f"outdial: DIR: {name} exists with other contents; give --force to replace it\n"
    assert [file.name for file in tmp_path.iterdir()] == ["SECURITY.md"]
    assert (tmp_path / "SECURITY.md").read_text() == "our own"


def test_units_start_the_outdial_that_wrote_them(tmp_path: Path) -> None:
    outdial("files", tmp_path)
    units = list((tmp_path / "ops/systemd").glob("*.service"))
    started = {line for unit in units for line in unit.read_text().splitlines() if line.startswith("ExecStart=")}
    assert len(units) == 3
    assert started == {f"ExecStart={sys.prefix}/bin/outdial {name}" for name in ("api", "flower", "worker")}


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not here")
    outdial("files", tmp_path)
    units = sorted(str(unit) for unit in (tmp_path / "ops/systemd").glob("*.service"))
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "outdial-" in line] == []


def test_links_between_the_files_that_are_written_can_be_followed(tmp_path: Path) -> None:
    outdial("files", tmp_path)
    dead = [
        (str(document.relative_to(tmp_path)), link)
        for document in tmp_path.rglob("*.md")
        for link in re.findall(r"\]\(([^)#\s]+)", document.read_text())
        if not re.match(r"[a-z]+:", link) and not (document.parent / link).exists()
    ]
    assert dead == []


def test_force_replaces_a_file_with_other_contents(tmp_path: Path) -> None:
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops/runbook.md").write_text("our own")
    assert outdial("files", "--force", tmp_path).exit_code == 0
    assert (tmp_path / "ops/runbook.md").read_bytes() == (OPS / "runbook.md").read_bytes()


def test_a_place_that_takes_no_files_is_named_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = outdial("files", tmp_path / "file")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert str(tmp_path / "file") in result.stderr
    assert "give a folder that can be written to" in result.stderr


def test_force_without_a_folder_is_a_slip() -> None:
    result = outdial("files", "--force")
    assert (result.exit_code, result.stderr) == (
        2,
        "outdial: Give DIR with --force. See `outdial files --help`.\n",
    )
