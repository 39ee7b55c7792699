"""`outdial files`: what an installation needs gets into a folder, and replaces nothing unasked."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from producers.cli import cli
from producers.installed_files import PURPOSES, installed_files

OPS = Path(__file__).parents[2] / "ops"


def outdial(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def test_each_file_is_listed_with_what_it_is_for() -> None:
    result = outdial("files")
    assert result.exit_code == 0
    listed = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert {
        "runbook.md",
        "systemd/outdial-worker.service",
        "redis/users.acl",
        "prometheus/rules/alerts.yml",
    } <= set(listed)
    assert all(listed.values())


def test_a_purpose_names_files_that_are_there() -> None:
    assert [path for path in PURPOSES if not (OPS / path).exists()] == []


@pytest.mark.parametrize(
    "folder", ["systemd", "redis", "prometheus", "grafana/dashboards", "grafana/provisioning"]
)
def test_no_file_of_a_folder_is_left_out(folder: str) -> None:
    there = {str(file.relative_to(OPS)) for file in (OPS / folder).rglob("*") if file.is_file()}
    assert there - {file.path for file in installed_files()} == set()


def test_no_program_is_listed() -> None:
    assert [file.path for file in installed_files() if file.path.endswith(".py")] == []


def test_the_files_are_written_as_they_are(tmp_path: Path) -> None:
    result = outdial("files", tmp_path / "new" / "folder")
    assert (result.exit_code, result.stdout) == (0, "")
    for file in installed_files():
        assert (tmp_path / "new/folder" / file.path).read_bytes() == (OPS / file.path).read_bytes()
    assert os.access(tmp_path / "new/folder/redis/users.sh", os.X_OK)
    assert outdial("files", tmp_path / "new" / "folder").exit_code == 0  # the same once more


def test_a_file_with_other_contents_is_kept_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "runbook.md").write_text("our own")
    result = outdial("files", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    name = tmp_path / "runbook.md"
    assert result.stderr == f"outdial: DIR: {name} exists with other contents; give --force to replace it\n"
    assert [file.name for file in tmp_path.iterdir()] == ["runbook.md"]
    assert (tmp_path / "runbook.md").read_text() == "our own"


def test_force_replaces_a_file_with_other_contents(tmp_path: Path) -> None:
    (tmp_path / "runbook.md").write_text("our own")
    assert outdial("files", "--force", tmp_path).exit_code == 0
    assert (tmp_path / "runbook.md").read_bytes() == (OPS / "runbook.md").read_bytes()


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
