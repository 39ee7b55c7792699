"""Rejected rows, corrected and imported again: each becomes the job that it would have been, and none another."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from ops.installation import GENEROUS_S
from tests.integration.conftest import Run
from worker.hopper import Hopper

OUTDIAL = [sys.executable, "-m", "producers.cli"]
Import = Callable[..., tuple[int, int, int]]


@pytest.fixture
def load(run: Run, tmp_path: Path) -> Import:
    """Import a text as a file; returns how many rows were added, there already, and rejected into `rejects`."""

    def load_it(
        text: str, *options: str, rejects: str = "rejects.csv", suffix: str = ".csv"
    ) -> tuple[int, int, int]:
        file = tmp_path / f"list{suffix}"
        file.write_text(text)
        return counts(run("import", str(file), "--rejects", str(tmp_path / rejects), "--json", *options))

    return load_it


def counts(result: Result) -> tuple[int, int, int]:
    summary = json.loads(result.stdout.splitlines()[-1])
    return summary["added"], summary["already_there"], summary["rejected"]


def corrected(file: Path, wrong: str = "10 0", right: str = "100") -> str:
    return file.read_text().replace(wrong, right)


# --- keys

LISTS = [
    "extid,outto\n1001,41000\n10 02,41000\n",
    # Two equal rows are two jobs.
    "extid,outto\n10 02,41000\n1001,41000\n10 02,41000\n",
    # A row that cannot be read.
    "extid,outto,key\n1001,41000,\n10 02,41000\n",
]


@pytest.mark.parametrize("text", LISTS)
def test_corrected_rows_are_the_jobs_of_the_corrected_list(
    load: Import, hopper: Hopper, tmp_path: Path, text: str
) -> None:
    whole = text.replace("10 0", "100")
    width = whole.splitlines()[0].count(",")
    whole = "".join(line + "," * (width - line.count(",")) + "\n" for line in whole.splitlines())
    total = len(whole.splitlines()) - 1
    wrong = text.count("10 0")

    assert load(text) == (total - wrong, 0, wrong)
    repaired = corrected(tmp_path / "rejects.csv").replace('41000"', '41000,"')
    assert load(repaired, rejects="more.csv") == (wrong, 0, 0)
    assert load(repaired, rejects="more.csv") == (0, wrong, 0)
    assert load(text) == (0, total - wrong, wrong)
    assert load(corrected(tmp_path / "rejects.csv").replace('41000"', '41000,"')) == (0, wrong, 0)
    assert load(whole) == (0, total, 0)
    assert hopper.view("hq").waiting == total


@pytest.mark.parametrize("text", LISTS[:2])
def test_the_corrected_list_may_come_before_the_corrected_rows(load: Import, tmp_path: Path, text: str) -> None:
    wrong = text.count("10 0")
    load(text)
    assert load(text.replace("10 0", "100"), rejects="none.csv")[0] == wrong
    assert load(corrected(tmp_path / "rejects.csv"), rejects="none.csv") == (0, wrong, 0)


def test_rows_may_be_corrected_little_by_little(load: Import, tmp_path: Path) -> None:
    text = "extid,outto\n1001,41000\n10 02,41000\n1x03,41000\n1y04,41000\n"
    assert load(text) == (1, 0, 3)
    assert load(corrected(tmp_path / "rejects.csv"), rejects="second.csv") == (1, 0, 2)
    assert load(corrected(tmp_path / "second.csv", "1x03", "1003"), rejects="third.csv") == (1, 0, 1)
    assert load(corrected(tmp_path / "third.csv", "1y04", "1004"), rejects="none.csv") == (1, 0, 0)
    assert load("extid,outto\n" + "".join(f"100{n},41000\n" for n in (1, 2, 3, 4)), rejects="none.csv") == (
        0,
        4,
        0,
    )
    lines = [row["outdial_line"] for row in csv.DictReader(io.StringIO((tmp_path / "second.csv").read_text()))]
    assert lines == ["3", "4"]


def test_rows_that_are_not_corrected_are_rejected_again_for_the_same_reason(load: Import, tmp_path: Path) -> None:
    text = 'extid,outto,key\n10 01,41000,\n1002\n1003,"41\n1004,41,"x"y\n1005,0901234567x,\n'
    load(text)
    first = (tmp_path / "rejects.csv").read_text()
    assert load(first, rejects="again.csv") == (0, 0, 5)
    again = (tmp_path / "again.csv").read_text()
    first_rows, rows = (list(csv.DictReader(io.StringIO(text))) for text in (first, again))
    assert [row["outdial_reason"] for row in rows] == [row["outdial_reason"] for row in first_rows]
    assert [row["outdial_row"] for row in rows] == [row["outdial_row"] for row in first_rows]
    assert [row["outdial_line"] for row in first_rows] == ["2", "3", "4", "5", "6"]


@pytest.mark.parametrize("cell", [" 442079460018", '" 442079460018"'])
def test_a_lost_plus_is_refused_however_often_the_row_is_imported(load: Import, tmp_path: Path, cell: str) -> None:
    assert load(f"extid,outto\n1001,{cell}\n") == (0, 0, 1)
    for _ in range(2):
        rows = list(csv.reader(io.StringIO((tmp_path / "rejects.csv").read_text())))
        assert load((tmp_path / "rejects.csv").read_text()) == (0, 0, 1)
        text = io.StringIO()
        csv.writer(text).writerows(rows)  # as a spreadsheet program saves it
        assert load(text.getvalue()) == (0, 0, 1)


def test_a_list_of_the_same_rows_makes_no_second_call_of_a_corrected_one(load: Import, tmp_path: Path) -> None:
    assert load("extid,outto\n1001,41000\n") == (1, 0, 0)
    assert load("extid,outto\n10 01,41000\n") == (0, 0, 1)
    assert load(corrected(tmp_path / "rejects.csv")) == (0, 1, 0)


def test_a_row_that_is_a_job_on_another_pbx_stays_rejected(load: Import, tmp_path: Path) -> None:
    assert load("extid,outto\n1001,41000\n") == (1, 0, 0)
    assert load("extid,outto\n1001,41000\n", "--pbx", "branch") == (0, 0, 1)
    rejects = (tmp_path / "rejects.csv").read_text()
    assert "already a job on another PBX" in rejects
    assert load(rejects, "--pbx", "branch", rejects="again.csv") == (0, 0, 1)
    assert load(rejects, rejects="again.csv") == (0, 1, 0)


def test_ndjson_is_repaired_as_ndjson(load: Import, tmp_path: Path) -> None:
    lines = [
        '{"extid":"1001","outto":"41000"}',
        '{"extid":"10 02","outto":"41000", "metadata":{"a":"é"}}',
        '{"extid":"1003","outto":"41000","colour":"red"}',
        '{"extid":"1004","outto":"41000"',
        "1005,41000",
    ]
    assert load("\n".join(lines), rejects="bad.ndjson", suffix=".ndjson") == (1, 0, 4)
    text = (tmp_path / "bad.ndjson").read_text()
    assert '"extid":"10 02","outto":"41000", "metadata":{"a":"é"}}' in text
    assert [json.loads(line)["outdial_line"] for line in text.splitlines() if line.endswith("}")] == [2, 3, 5]
    text = (
        text.replace("10 02", "1002")
        .replace(',"colour":"red"', "")
        .replace('"outto":"41000"\n', '"outto":"41000"}\n')
    )
    text = text.replace('"1005,41000"', json.dumps('{"extid":"1005","outto":"41000"}'))
    assert load(text, rejects="none", suffix=".txt") == (4, 0, 0)
    assert load(text, rejects="none", suffix=".csv") == (0, 4, 0)


# --- the file


def test_the_file_is_private_and_replaces_an_older_one(run: Run, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"
    run("import", "-", "--rejects", str(rejects), stdin="extid,outto\nx,0901234567\n" * 2)
    assert rejects.stat().st_mode & 0o777 == 0o600
    rejects.write_text("older and longer\n" * 100)
    rejects.chmod(0o644)
    run("import", "-", "--rejects", str(rejects), stdin="extid,outto\n1001,41000\n")
    assert rejects.stat().st_mode & 0o777 == 0o600
    assert rejects.read_text() == "extid,outto,outdial_line,outdial_row,outdial_reason\n"
    result = run("import", str(rejects))
    assert (result.exit_code, result.stdout) == (0, "0 added, 0 already there, 0 rejected\n")
    assert result.stderr == f"outdial: {rejects} has no rows.\n"


@pytest.mark.parametrize("link", ["same", "hard", "symbolic", "dots"])
def test_the_file_is_never_the_list_itself_by_whatever_name(run: Run, tmp_path: Path, link: str) -> None:
    file, other = tmp_path / "a.csv", tmp_path / "b.csv"
    file.write_text("extid,outto\nx,41000\n")
    if link == "hard":
        other.hardlink_to(file)
    elif link == "symbolic":
        other.symlink_to(file)
    else:
        other = file if link == "same" else tmp_path / "." / "x" / ".." / "a.csv"
        (tmp_path / "x").mkdir()
    result = run("import", str(file), "--rejects", str(other))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is the file to import" in result.stderr
    assert file.read_text() == "extid,outto\nx,41000\n"


def test_the_file_is_not_standard_input_either(config: str, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("extid,outto\nx,41000\n")
    with file.open() as stdin:
        done = subprocess.run(
            [*OUTDIAL, "--config", config, "import", "-", "--rejects", str(file)],
            stdin=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, file.read_text()) == (2, "extid,outto\nx,41000\n")
    assert "is the file to import" in done.stderr


def test_a_list_that_is_wrong_as_a_whole_leaves_the_file_alone(run: Run, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"
    rejects.write_text("mine")
    assert run("import", "-", "--rejects", str(rejects), stdin="phone\n1\n").exit_code == 2
    assert rejects.read_text() == "mine"


def test_a_pipe_that_no_program_reads_is_refused(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    result = run("import", "-", "--rejects", str(tmp_path / "pipe"), stdin="extid,outto\nx,41000\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert (
        result.stderr == f"outdial: {tmp_path}/pipe: is a pipe that no program reads; start that program first\n"
    )


@pytest.mark.parametrize("path", ["/dev/full", "/nowhere/x.csv", "/"])
def test_a_file_that_cannot_be_written_is_one_sentence(run: Run, hopper: Hopper, path: str) -> None:
    result = run("import", "-", "--rejects", path, stdin="extid,outto\nx,41000\n1001,41000\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"outdial: {path}: ")
    assert result.stderr.count("\n") == 1
    assert hopper.view("hq").waiting == 0


def test_rejected_rows_may_go_to_another_program(config: str) -> None:
    done = subprocess.run(
        [*OUTDIAL, "--config", config, "import", "-", "--rejects", "/dev/stderr", "--json"],
        input="extid,outto\nx,41000\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "x,41000,2," in done.stderr


def test_what_was_written_before_a_kill_is_whole(config: str, tmp_path: Path) -> None:
    rejects, pipe = tmp_path / "rejects.csv", tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [*OUTDIAL, "--config", config, "import", str(pipe), "--rejects", str(rejects)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as importing, pipe.open("w") as writer:
        writer.write("extid,outto\n" + "".join(f"10 {n},09012345{n:04d}\n" for n in range(9000)))
        writer.flush()
        while not rejects.exists() or rejects.read_text().count("\n") < 2000:
            assert importing.poll() is None
        importing.send_signal(signal.SIGKILL)
        importing.wait(timeout=GENEROUS_S)
    lines = rejects.read_text().splitlines()
    rows = list(csv.DictReader(lines, strict=True))
    assert [(row["extid"], row["outto"]) for row in rows] == [
        (f"10 {n}", f"09012345{n:04d}") for n in range(len(rows))
    ]
    assert len(rows) >= 1999
