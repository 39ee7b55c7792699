"""The command line: one sentence and the right exit code for whatever is typed; nothing is reached yet."""

import os
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import pytest
from click.testing import CliRunner, Result

from producers.cli import cli
from producers.commands.times import parse_time
from producers.commands.values import SECONDS
from producers.list_file import open_list

SETTINGS = """
redis_url = "redis://:s3cret@127.0.0.1:1/0"
[pbx.hq]
api = "yeastar-s-v1.0"
base_url = "https://127.0.0.1:9"
username = "api"
password = "s3cret"
"""
ID = "9bff261b-c003-5b66-9884-dab128f3cb83"
COMMANDS = [
    "enqueue",
    "import",
    "status",
    "why",
    "jobs",
    "results",
    "cancel",
    "redial",
    "resolve",
    "pause",
    "resume",
    "lanes",
    "watch",
    "report",
    "audit",
    "crm",
    "worker",
    "flower",
    "up",
    "demo",
    "simulator",
    "files",
    "doctor",
]
EXECED = {"worker", "flower", "up", "demo", "simulator", "doctor"}
# It reads no settings.
WITHOUT_SETTINGS = {"files"}


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "outdial.toml"
    file.write_text(SETTINGS)
    return str(file)


def run(*args: str) -> Result:
    result = CliRunner().invoke(cli, args)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_help_lists_every_command() -> None:
    listed = run("--help").stdout
    assert all(f"  {name} " in listed for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - EXECED))
def test_every_command_explains_itself_without_settings(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert f"Usage: outdial {name}" in result.stdout
    assert ("--config" in result.stdout) is (name not in WITHOUT_SETTINGS)


def test_help_imports_nothing_that_takes_time() -> None:
    code = (
        "import sys, producers.cli\n"
        "try: producers.cli.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'redis', 'pydantic', 'rich', 'celery'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


# --- settings


@pytest.mark.parametrize("place", ["before", "behind"])
def test_the_settings_file_may_be_named_before_and_behind_the_subcommand(config: str, place: str) -> None:
    named = ["--config", config]
    result = run(*named, "status", "x") if place == "before" else run("status", *named, "x")
    assert "there is no job 'x'" in result.stderr


def test_the_file_named_last_counts(config: str) -> None:
    assert "there is no job" in run("--config", "/nowhere", "status", "--config", config, "x").stderr


def test_settings_that_cannot_be_read_are_an_error_of_input() -> None:
    result = run("--config", "/nowhere/o.toml", "lanes")
    assert (result.exit_code, result.stdout) == (2, "")
    assert (
        result.stderr == "outdial: settings file /nowhere/o.toml: No such file or directory; name it by --config\n"
    )


# --- what is typed


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nope"], "No such command 'nope'"),
        (["enqueue", "1001"], "Missing argument 'OUTTO'"),
        (["enqueue", "1001", "41000", "--colour", "red"], "No such option"),
        (["enqueue", "1001", "41000", "--wait", "nan"], "expected a number of seconds"),
        (["enqueue", "1001", "41000", "--expires-in", "-1"], "expected a number of seconds"),
        (["enqueue", "1001", "41000", "--expires-in", "0"], "expires_in_s: 0.0 is invalid"),
        (["enqueue", "1001", "41000", "--metadata", "lead"], "expected NAME=VALUE"),
        (["enqueue", "1001", "41000", "--metadata", "a=1", "--metadata", "a=2"], "a name is given twice"),
        (["enqueue", "1001", "41000", "--priority", "high"], "expected urgent, normal or bulk"),
        (["enqueue", "1001", "41000", "--not-before", "2026-11-23T09:00:00"], "expected a time with its offset"),
        (["enqueue", "10 01", "41000"], "expected 1 to 10 digits"),
        (["enqueue", "1001", "41000", "--pbx", "nope"], "choose one of hq"),
        (["results", "--since", "last week"], "'last week' is invalid; expected a date (2026-11-30), yesterday"),
        (["results", "--until", "20261130"], "is invalid; expected a date"),
        (["results", "--until", "25:00"], "'25:00' is invalid; expected a date"),
        (["results", "--since", "2026-02-30"], "'2026-02-30' is invalid; expected a date"),
        (["jobs", "--timezone", "Mars/Base"], "'Mars/Base' is not a time zone; expected a name such as"),
        (
            ["jobs", "--since", "2026-03-29T02:30", "--timezone", "Europe/Berlin"],
            "2026-03-29 02:30 is skipped in Europe/Berlin, where the clocks change; add the offset",
        ),
        (
            ["jobs", "--timezone", "Europe/Berlin", "--since", "2026-10-25 02:30"],
            "2026-10-25 02:30 happens twice in Europe/Berlin, where the clocks change; add the offset",
        ),
        (["results", "--extension", "x1"], "'x1' is invalid; expected 1 to 10 digits"),
        (["jobs", "--metadata", "lead"], "expected NAME=VALUE"),
        (["jobs", "--state", "gone"], "is not one of"),
        (["cancel", "--state", "placed"], "is not one of"),
        (["redial"], "Give the ids of jobs, or at least one option that chooses jobs"),
        (["redial", "nonsense"], "there is no job 'nonsense'"),
        (["redial", ID, "--pbx", "nope"], "choose one of hq"),
        (["redial", ID, "--expires-in", "0"], "--expires-in: 0 is invalid; expected seconds above 0"),
        (["results", "--state", "waiting"], "is not one of"),
        (["pause"], "Give the name of a PBX, or --all"),
        (["pause", "hq", "--all"], "Give the name of a PBX, or --all"),
        (["pause", "--all", "--extension", "1002"], "--extension is one of a PBX"),
        (["resume", "--extension", "1002"], "--extension is one of a PBX"),
        (["pause", "hq", "--extension", "10a"], "--extension: '10a' is invalid; expected 1 to 10 digits"),
        (["pause", "hq", "--extension", ""], "--extension: '' is invalid; expected 1 to 10 digits"),
        (["pause", "hq", "--extension", "1001,1002"], "is invalid; expected 1 to 10 digits"),
        (["pause", "hq", "--reason", "x" * 401], "it has 401 characters; expected at most 400"),
        (["audit", "--act", "pause,dance"], "--act: 'dance' is invalid; expected one or more of pause, resume,"),
        (["import", "/nowhere/a.csv"], "No such file or directory"),
        (["import", "/"], "Is a directory"),
        (["import", "/dev/null", "--pbx", "nope"], "choose one of hq"),
        (["import", "/dev/null"], "the file is empty"),
        (["import", "/dev/null", "--rejects", "-"], "--rejects: '-' names no file"),
        (["import", __file__], "line 1: the header lacks the columns extid and outto"),
        (["cancel"], "Give the ids of jobs, or at least one option that chooses jobs"),
        (["status", "x\udcff"], "there is no job"),
        (["why", "nonsense"], "there is no job 'nonsense'"),
        (["resolve", ID], "by one of --placed CALLID, --redial and --failed"),
        (["resolve", ID, "--redial", "--failed"], "by one of --placed CALLID, --redial and --failed"),
        (["resolve", ID, "--placed", "1.2", "--redial"], "by one of --placed CALLID, --redial and --failed"),
        (["resolve", "nonsense", "--failed"], "there is no job 'nonsense'"),
        (["resolve", ID, "--placed", ""], "1 to 64 printable characters without spaces"),
        (["resolve", ID, "--placed", "1.2 3"], "1 to 64 printable characters without spaces"),
        (["resolve", ID, "--placed", "1\n2"], "1 to 64 printable characters without spaces"),
        (["resolve", ID, "--placed", "x" * 65], "1 to 64 printable characters without spaces"),
        (["resolve", ID, "--failed", "--by", " "], "expected 1 to 64 printable characters"),
        (["resolve", ID, "--failed", "--by", "x\udcff"], "expected 1 to 64 printable characters"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(config: str, args: list[str], said: str) -> None:
    result = run("--config", config, *args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("outdial: ")
    assert result.stderr.count("\n") == 1
    assert said in result.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["enqueue", "1001", "090-1234-567x"],
        ["enqueue", "0901234567890", "1001"],
        ["enqueue", "1001", "41000", "0901234567"],
        ["0901234567"],
        ["enqueue", "1001", "41000", "--0901234567"],
        ["status", "0901234567"],
        ["why", "0901234567"],
        ["cancel", "0901234567"],
        ["resolve", "0901234567", "--failed"],
        ["resolve", ID, "--placed", "0901 234567"],
        ["resolve", ID, "--placed", "+90901234567"],
        ["resolve", ID, "--failed", "0901234567"],
    ],
)
def test_a_number_that_was_typed_wrong_is_not_repeated(config: str, args: list[str]) -> None:
    result = run("--config", config, *args)
    assert result.exit_code == 2
    assert "1234" not in result.output
    assert "2345" not in result.output


@pytest.mark.parametrize(
    "args",
    [
        ["enqueue", "1001", "41000"],
        ["status", ID],
        ["why", ID],
        ["resolve", ID, "--failed"],
        ["results"],
        ["lanes"],
        ["watch"],
        ["report", "--json"],
        ["cancel", ID],
        ["jobs"],
        ["redial", ID],
        ["audit"],
        ["pause", "--all"],
        ["resume", "hq"],
    ],
)
def test_redis_that_does_not_answer_is_exit_code_3_without_its_password(config: str, args: list[str]) -> None:
    result = run("--config", config, *args)
    sentence = "outdial: Redis at 127.0.0.1:1 does not answer (ConnectionError); start it, or set redis_url"
    stored = ". Nothing was stored" if args[0] == "enqueue" else ""
    assert (result.exit_code, result.stderr) == (3, f"{sentence}{stored}\n")
    assert "s3cret" not in result.output


def test_an_import_that_loses_redis_says_that_it_may_be_repeated(config: str, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("extid,outto\n1001,41000\n")
    result = run("import", str(file), "--config", config)
    assert result.exit_code == 3
    assert "what went in is not added twice" in result.stderr


@pytest.mark.parametrize("name", ["leads.xlsx", "leads.csv", "leads.ndjson", "leads"])
@pytest.mark.parametrize("how", ["file", "standard input", "as CSV", "as NDJSON"])
def test_a_workbook_is_named_whatever_it_is_called(config: str, tmp_path: Path, name: str, how: str) -> None:
    file = tmp_path / name
    with zipfile.ZipFile(file, "w") as workbook:
        for part in ("[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"):
            workbook.writestr(part, "<x/>")
    command = {
        "file": ["import", str(file)],
        "standard input": ["import", "-"],
        "as CSV": ["import", str(file), "--format", "csv"],
        "as NDJSON": ["import", str(file), "--format", "ndjson"],
    }[how]
    result = CliRunner().invoke(cli, [*command, "--config", config], input=file.read_bytes())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "outdial: the file is an Excel workbook (.xlsx); save its sheet as CSV in UTF-8 "
        '(in Excel: "CSV UTF-8") and import that file\n'
    )


@pytest.mark.parametrize(
    ("name", "content", "file_format"),
    [
        ("a.csv", "extid,outto\n", "csv"),
        ("a.json", '{"extid":"1"}\n', "ndjson"),
        ("a.ndjson", "", "ndjson"),
        ("a.jsonl", "[1]\n", "ndjson"),
        ("a.csv", '\ufeff\n {"extid":"1"}\n', "ndjson"),
        ("a.ndjson", '"extid";"outto"\n', "csv"),
        ("a.JSON", "sep=;\n", "ndjson"),
        ("a", "", "csv"),
        ("a.xlsx", "extid,outto\n", "csv"),
    ],
)
def test_the_format_is_told_by_how_a_file_begins_and_else_by_its_suffix(
    tmp_path: Path, name: str, content: str, file_format: str
) -> None:
    file = tmp_path / name
    file.write_text(content)
    with open_list(str(file), None) as found:
        assert (found.file_format, found.size) == (file_format, len(content.encode()))


def test_standard_input_that_is_closed_is_one_sentence(config: str) -> None:
    command = [
        "sh",
        "-c",
        '"$@" <&-',
        "sh",
        sys.executable,
        "-m",
        "producers.cli",
        "--config",
        config,
        "import",
        "-",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "outdial: -: standard input is closed\n")


def test_rejects_never_go_over_the_file_that_is_read(config: str, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("extid,outto\nx,41000\n")
    result = run("import", str(file), "--rejects", str(file), "--config", config)
    assert result.exit_code == 2
    assert file.read_text() == "extid,outto\nx,41000\n"


def test_ctrl_c_is_exit_code_130_without_a_traceback(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("producers.enqueue.Dialer.from_config", stop)
    result = run("lanes", "--config", config)
    assert (result.exit_code, result.stdout) == (130, "")
    assert "Traceback" not in result.stderr


# --- programs of their own


@pytest.fixture
def execed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    calls: list[list[str]] = []

    def execv(path: str, args: list[str]) -> None:
        assert path == args[0] == sys.executable
        calls.append(args[1:])

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.delenv("OUTDIAL_CONFIG", raising=False)
    return calls


@pytest.mark.parametrize(
    ("typed", "program"),
    [
        ("worker", "worker worker"),
        ("worker --processes 2 --concurrency 4", "worker worker --processes 2 --concurrency 4"),
        ("--config f worker --processes 2", "worker --config f worker --processes 2"),
        ("worker --processes 2 --config f", "worker --config f worker --processes 2"),
        ("worker --help", "worker worker --help"),
        ("doctor", "worker doctor"),
        ("--config f doctor", "worker --config f doctor"),
        ("doctor --config f", "worker --config f doctor"),
        ("simulator --port 1 --journal j", "ops.pbx_simulator --port 1 --journal j"),
        ("simulator --help", "ops.pbx_simulator --help"),
        ("simulator -h", "ops.pbx_simulator -h"),
        ("flower --port 1", "ops.flower --port 1"),
        ("--config f flower --port 1", "ops.flower --config f --port 1"),
        ("up --port 1", "ops.local up --port 1"),
        ("demo --keep", "ops.local demo --keep"),
    ],
)
def test_programs_take_this_process_over_with_all_their_options(
    execed: list[list[str]], typed: str, program: str
) -> None:
    run(*typed.split())
    assert execed == [["-P", "-m", *program.split()]]


@pytest.mark.parametrize("typed", ["--config f demo", "demo --config f"])
def test_the_local_stack_gets_the_settings_file_by_the_environment(
    execed: list[list[str]], monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    environment: dict[str, str] = {}
    monkeypatch.setattr(os, "environ", environment)
    run(*typed.split())
    assert execed == [["-P", "-m", "ops.local", "demo"]]
    assert environment["OUTDIAL_CONFIG"] == "f"


# --- values


@pytest.mark.parametrize(
    ("text", "unix_s"),
    [
        ("10m", 999400),
        ("2h", 992800),
        ("1d", 913600),
        ("0s", 1000000),
        ("999w", 0),
        ("1970-01-02T00:00:00Z", 86400),
        ("1970-01-02T07:00:00+07:00", 86400),
        ("1960-01-01T00:00:00Z", 0),
    ],
)
def test_a_time_is_an_iso_time_or_a_duration_ago(text: str, unix_s: float) -> None:
    assert parse_time(text, UTC)(1_000_000) == unix_s


NOON = datetime(2026, 11, 30, 12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("today", "2026-11-30T00:00", "2026-12-01T00:00"),
        ("yesterday", "2026-11-29T00:00", "2026-11-30T00:00"),
        ("2026-11-20", "2026-11-20T00:00", "2026-11-21T00:00"),
        ("09:30", "2026-11-30T09:30", "2026-11-30T09:30"),
        ("9:30", "2026-11-30T09:30", "2026-11-30T09:30"),
        ("2026-11-20T08:15", "2026-11-20T08:15", "2026-11-20T08:15"),
        ("2026-11-20 08:15:30", "2026-11-20T08:15:30", "2026-11-20T08:15:30"),
        ("now", "2026-11-30T12:00", "2026-11-30T12:00"),
        # The day on which the clocks go forward has 23 hours, and the one on which they go back 25.
        ("2026-03-29", "2026-03-29T00:00", "2026-03-30T00:00"),
        ("2026-10-25", "2026-10-25T00:00", "2026-10-26T00:00"),
    ],
)
def test_a_day_begins_and_ends_in_the_zone_that_is_named(text: str, begin: str, end: str) -> None:
    zone = ZoneInfo("Europe/Berlin")
    for is_end, right in ((False, begin), (True, end)):
        local = datetime.fromisoformat(right).replace(tzinfo=zone)
        assert parse_time(text, zone, is_end=is_end)(NOON) == local.timestamp()


def test_a_day_whose_midnight_is_skipped_begins_with_its_first_moment() -> None:
    zone = ZoneInfo("America/Santiago")
    assert parse_time("2026-09-06", zone)(NOON) == datetime(2026, 9, 6, 4, tzinfo=UTC).timestamp()


def test_without_a_zone_a_time_is_one_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert parse_time("2026-11-30", None)(NOON) == datetime(2026, 11, 29, 15, tzinfo=UTC).timestamp()
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["nan", "-0.1", "ten", "", "1e"])
def test_seconds_are_a_number_from_0(text: str) -> None:
    with pytest.raises(click.UsageError):
        SECONDS.convert(text, None, None)
