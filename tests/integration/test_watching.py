"""Watching and reporting on states made by real steps."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from producers import Dialer
from producers.watching.looking import Looker
from tests.integration.conftest import Run
from tests.integration.hopper.stage import Stage
from worker.hopper import Hopper, JobFilter
from worker.jobs import Doubt, JobState

pytestmark = pytest.mark.usefixtures("clock")
NUMBER = "0901234567"


@pytest.fixture
def stage(hopper: Hopper, namespace: str) -> Stage:
    """One PBX that sets no limit and a worker; a job was placed, one failed, one is unknown, one waits."""
    made = Stage(hopper, queue=f"{namespace}.dial")
    made.open_pbx()
    hopper.heartbeat("w", slots=4, ttl_s=600)
    placed, claim = made.claimed("1001", nonce="a", outto=NUMBER)
    made.finish(placed, "a", claim)
    failed, claim = made.claimed("1002", nonce="b", outto=NUMBER)
    hopper.finish(failed, "b", JobState.FAILED, claim, errno="10006", error="the extension does not exist")
    unknown, claim = made.claimed("1003", nonce="c", outto=NUMBER)
    hopper.doubt(unknown, "c", Doubt.LOST_REPLY, errno="no_reply", error="lost")
    hopper.finish(unknown, "c", JobState.UNKNOWN, claim, errno="no_reply", error="lost")
    made.put("1004", outto=NUMBER, priority="urgent")
    return made


def test_one_picture_tells_pace_ends_and_what_to_look_at(run: Run, stage: Stage) -> None:
    result = run("watch", "--once")
    lines = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines[0].startswith(" DIALING   0.1 calls/s  1 in the last minute  1 waiting")
    assert lines[1].startswith("1 worker, 4 slots · Redis ")
    assert "! 1 job of the last day may have rung, and nobody knows  -> outdial results --state unknown" in lines
    assert any(re.match(r"hq +.* 0\.1/1000 +1 +2 +1 ", line) for line in lines)
    assert any(line.split()[:6] == ["last", "minute", "1", "1", "1", "0"] for line in lines)
    assert NUMBER not in result.stdout
    assert run("watch").stdout.splitlines()[2:] == lines[2:], "without a terminal there is one picture, too"


def test_each_look_counts_each_end_once(stage: Stage, config: str) -> None:
    looker = Looker(stage.hopper, Dialer.from_config(config).settings)
    seen = [looker.look().since_start.total]
    for extid in ("1005", "1006"):
        stage.hopper.cancel(stage.put(extid))
        seen += [looker.look().since_start.total, looker.look().since_start.total]
    assert seen == [0, 1, 1, 2, 2]
    assert looker.look().minute.total == 5


def test_a_live_watch_ends_by_q_and_leaves_the_terminal_as_it_was(stage: Stage, config: str) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(theirs)
    command = [sys.executable, "-m", "producers.cli", "--config", config, "watch", "--interval", "0.5"]
    environment = os.environ | {"TERM": "xterm-256color"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        shown = b""
        while b"asked in" not in shown:
            shown += os.read(ours, 65536)
        os.write(ours, b"q")
        while b"\x1b[?1049l" not in shown:
            shown += os.read(ours, 65536)
        assert process.wait() == 0
    assert b" DIALING " in shown
    assert b"\x1b[?25h" in shown
    assert NUMBER.encode() not in shown
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)


def test_a_report_counts_and_draws_what_ended(run: Run, stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    result = run("report", "--since", "1h", "--html", str(file), "--json")
    assert (result.exit_code, result.stderr) == (
        0,
        f"Records are kept since {result.stderr.split()[4]} so the report begins there.\n3 jobs are in {file}.\n",
    )
    told = json.loads(result.stdout)
    assert (told["ends"]["placed"], told["ends"]["failed"], told["ends"]["unknown"]) == (1, 1, 1)
    assert (told["attempts"], told["stock"][-1], told["stock"][0]) == (3, 1, 0)
    [hq, branch] = told["pbxs"]
    assert (hq["name"], hq["now"]["waiting"], branch["ends"]["placed"]) == ("hq", 1, 0)
    assert [one["extid"] for one in told["extensions"]] == ["1001", "1002", "1003"]
    text = file.read_text()
    assert told["unknowns"][0]["id"] in text
    # Drawings are full of coordinates, which put together may be any number.
    shown = re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL) + result.stdout
    assert NUMBER not in re.sub(r"[ .()-]", "", shown)
    assert NUMBER not in text


def test_a_report_by_metadata_in_the_zone_of_its_reader(run: Run, stage: Stage, tmp_path: Path) -> None:
    [waiting] = stage.hopper.find(JobFilter(states=(JobState.WAITING,)), most=9)[0]
    stage.hopper.cancel(waiting.job_id)
    for extid, campaign in (("1011", "spring"), ("1012", "spring"), ("1013", "winter")):
        job_id, claim = stage.claimed(extid, nonce=extid, outto=NUMBER, metadata={"campaign": campaign})
        stage.finish(job_id, extid, claim)
    file = tmp_path / "report.html"
    asked = ("--by", "metadata.campaign", "--timezone", "Asia/Kolkata", "--html", str(file), "--json")
    plain = json.loads(run("report", "--since", "1h", *asked).stdout)
    groups = [(group["value"], group["ends"]["placed"]) for group in plain["groups"]]
    assert groups == [("(none)", 1), ("spring", 2), ("winter", 1)]
    assert (plain["by"], plain["span"]["timezone"], plain["busiest"]["calls"]) == ("campaign", "Asia/Kolkata", 4)
    assert plain["made_at"].endswith("Z")
    text = file.read_text()
    assert "all times are Asia/Kolkata" in text
    assert "+05:30" in text


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("--by", "campaign"), "'campaign' is invalid; expected metadata. and the name of an entry"),
        (("--by", "metadata."), "'metadata.' is invalid; expected metadata. and the name of an entry"),
        (("--timezone", "Berlin"), "'Berlin' is not a time zone; expected a name such as Europe/Berlin"),
    ],
)
def test_a_wrong_breakdown_or_zone_of_a_report_is_one_sentence(
    run: Run, given: tuple[str, str], sentence: str
) -> None:
    result = run("report", "--json", *given)
    assert (result.exit_code, sentence in result.stderr) == (2, True)


def test_a_report_may_leave_extensions_out(run: Run, stage: Stage) -> None:
    assert json.loads(run("report", "--json", "--no-extensions").stdout)["extensions"] is None


def test_wrong_input_to_a_report_is_one_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Give --html FILE for a page" in run("report").stderr
    turned = run("report", "--json", "--since", "10m", "--until", "20m")
    assert (turned.exit_code, turned.stderr) == (2, "outdial: --since: must be before --until, and before now\n")
    nowhere = run("report", "--html", str(tmp_path / "no" / "r.html"))
    assert (nowhere.exit_code, "No such file or directory; give a file that" in nowhere.stderr) == (2, True)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    without = run("report", "--html", str(tmp_path / "r.html"))
    assert (without.exit_code, 'pip install "outdial[report]"' in without.stderr) == (2, True)
