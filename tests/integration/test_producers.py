"""Producers against a real Redis: what goes in is there, and what comes out is what became of it."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ops.embedded_redis import EmbeddedRedis
from ops.installation import GENEROUS_S, eventually
from producers import Dialer, Refusal, Ticket
from producers.cli import cli
from tests.conftest import pbx_settings
from tests.integration.conftest import Run
from worker.errors import InputRefused, KeyConflict
from worker.hopper import Go, Hopper, JobFilter
from worker.jobs import DialJob, JobState, id_of_key

pytestmark = pytest.mark.usefixtures("clock")
OUTDIAL = [sys.executable, "-m", "producers.cli"]


def claim(hopper: Hopper, job_id: str, name: str = "hq") -> Go:
    """Take a job as a worker would."""
    hopper.register(name, pbx_settings())
    hopper.login_turn(name, refused=-1, nonce="n", lease_s=10, spacing_s=0)
    hopper.login_done(name, "n", token="t")
    hopper.release("q", "@ID@ @TAG@", most=1000, most_released=1000, lookahead_s=10)
    claimed = hopper.claim(job_id, "nonce", slot_wait_s=0)
    assert isinstance(claimed, Go)
    return claimed


def place(hopper: Hopper, job_id: str) -> None:
    """Take a job and place its call."""
    hopper.finish(job_id, "nonce", JobState.PLACED, claim(hopper, job_id), callid="1.2")


def waiting(hopper: Hopper, name: str = "hq") -> int:
    return hopper.view(name).waiting


# --- Python


def test_a_job_handed_in_is_in_its_lane_with_all_its_fields(dialer: Dialer, hopper: Hopper) -> None:
    ticket = dialer.enqueue(
        extid=1001,
        outto="41097",
        autoanswer=True,
        priority="urgent",
        key="k",
        metadata={"lead": "5"},
        pbx="branch",
    )
    assert (ticket.state, ticket.is_new) == (JobState.WAITING, True)
    record = hopper.record(ticket.id)
    assert {name: record[name] for name in ("extid", "outto", "autoanswer", "rank", "key", "metadata", "pbx")} == {
        "extid": "1001",
        "outto": "41097",
        "autoanswer": "yes",
        "rank": "0",
        "key": "k",
        "metadata": '{"lead":"5"}',
        "pbx": "branch",
    }


def test_the_same_key_is_the_same_job_and_another_payload_is_a_conflict(dialer: Dialer, hopper: Hopper) -> None:
    first = dialer.enqueue(extid=1001, outto="41000", key="k")
    again = dialer.enqueue(extid="1001", outto="41000", key="k", pbx="hq")
    assert (again.id, again.is_new) == (first.id, False)
    with pytest.raises(KeyConflict):
        dialer.enqueue(extid=1001, outto="41001", key="k")
    assert waiting(hopper) == 1


def test_a_key_with_a_relative_expiry_comes_again_without_conflict(dialer: Dialer) -> None:
    first = dialer.enqueue(extid=1001, outto="41000", key="k", expires_in_s=60)
    assert dialer.enqueue(extid=1001, outto="41000", key="k", expires_in_s=90).id == first.id


def test_a_ticket_waits_for_the_end(dialer: Dialer, hopper: Hopper) -> None:
    ticket = dialer.enqueue(extid=1001, outto="41000", metadata={"lead": "5"})
    with pytest.raises(TimeoutError, match="still waiting"):
        ticket.result(timeout_s=0)
    placing = threading.Thread(target=place, args=(hopper, ticket.id))
    placing.start()
    result = ticket.result(timeout_s=GENEROUS_S)
    placing.join()
    assert (result.state, result.callid, result.metadata) == (JobState.PLACED, "1.2", {"lead": "5"})


def test_many_go_in_in_their_order(dialer: Dialer, hopper: Hopper) -> None:
    answers = list(dialer.enqueue_many({"extid": 1001, "outto": 40000 + n} for n in range(2345)))
    assert all(isinstance(answer, Ticket) for answer in answers)
    lane = hopper.client.zrange(hopper.keys.lane("hq", "1001"), 0, -1)
    assert lane == [answer.id for answer in answers if isinstance(answer, Ticket)]


# --- enqueue


def test_enqueue_writes_the_id_alone(run: Run, hopper: Hopper) -> None:
    result = run("enqueue", "1001", "41000", "--autoanswer", "--metadata", "lead=5", "--metadata", "x=a=b")
    assert (result.exit_code, result.stderr) == (0, "")
    record = hopper.record(result.stdout.rstrip("\n"))
    assert (record["autoanswer"], json.loads(record["metadata"])) == ("yes", {"lead": "5", "x": "a=b"})


def test_enqueue_with_a_key_that_came_before_says_so_and_is_done(run: Run) -> None:
    first = run("enqueue", "1001", "41000", "--key", "k", "--json")
    again = run("enqueue", "1001", "41000", "--key", "k", "--json")
    assert json.loads(first.stdout)["is_new"] is True
    assert json.loads(again.stdout) == {**json.loads(first.stdout), "is_new": False}
    assert "There was this job already" in again.stderr
    conflict = run("enqueue", "1001", "41001", "--key", "k")
    assert conflict.exit_code == 2
    assert "belongs to another job" in conflict.stderr


@pytest.mark.parametrize(
    ("state", "facts", "exit_code", "said"),
    [
        (JobState.PLACED, {"callid": "1.2"}, 0, "placed with callid 1.2"),
        (JobState.FAILED, {"errno": "10006", "error": "no such extension"}, 1, "failed: 10006: no such extension"),
        (JobState.UNKNOWN, {"errno": "no_reply", "error": "lost"}, 1, "unknown: no_reply: lost"),
    ],
)
def test_enqueue_wait_shows_how_it_ended(
    run: Run, dialer: Dialer, hopper: Hopper, state: JobState, facts: dict[str, str], exit_code: int, said: str
) -> None:
    job_id = dialer.enqueue(extid=1001, outto="41000", key="k").id
    hopper.finish(job_id, "nonce", state, claim(hopper, job_id), **facts)
    result = run("enqueue", "1001", "41000", "--key", "k", "--wait", "5")
    assert (result.exit_code, result.stdout) == (exit_code, f"{job_id} {said}\n")
    as_json = run("enqueue", "1001", "41000", "--key", "k", "--wait", "5", "--json")
    assert as_json.exit_code == exit_code
    assert json.loads(as_json.stdout)["state"] == state


def test_enqueue_wait_that_is_too_short_gives_the_id_and_exit_code_1(run: Run, hopper: Hopper) -> None:
    result = run("enqueue", "1001", "41000", "--wait", "0.05")
    assert result.exit_code == 1
    assert hopper.record(result.stdout.strip())
    assert "still waiting after 0.05 s; it goes on" in result.stderr


# --- status, results, cancel


def test_status_says_what_the_job_waits_for_and_never_its_number(run: Run, dialer: Dialer, hopper: Hopper) -> None:
    job_id = dialer.enqueue(extid=1001, outto="0901234567").id

    def waits_for() -> str:
        result = run("status", job_id, "--json")
        assert result.exit_code == 0
        assert "0901234567" not in result.output
        return str(json.loads(result.stdout)["waits_for"])

    assert waits_for() == "no worker is running; start one by `outdial worker`"
    hopper.heartbeat("w", slots=1, ttl_s=600)
    assert waits_for().startswith("no worker has ever known PBX hq; give the workers settings")
    hopper.register("hq", pbx_settings())
    assert waits_for() == "nothing; its turn on PBX hq comes at once"
    hopper.pause("hq")
    assert re.fullmatch(r"PBX hq is paused \(since .{20}\); `outdial resume hq` lifts that", waits_for())
    hopper.pause()
    assert re.fullmatch(r"everything is paused \(since .{20}\); `outdial resume --all` lifts that", waits_for())
    for name in ("hq", "*"):
        hopper.resume(name)
    hopper.login_turn("hq", refused=-1, nonce="n", lease_s=10, spacing_s=0)
    hopper.login_done("hq", "n", block_s=60, reason="log-in refused")
    assert "next try in 60 s: log-in refused; correct username or password" in waits_for()


def test_status_knows_of_due_times_and_busy_extensions(run: Run, dialer: Dialer, hopper: Hopper) -> None:
    hopper.heartbeat("w", slots=1, ttl_s=600)
    hopper.register("hq", pbx_settings())
    later = dialer.enqueue(extid=1001, outto="1", not_before=datetime.now(UTC) + timedelta(hours=5)).id
    assert "in 5 h" in run("status", later).stdout
    first, second = dialer.enqueue(extid=1002, outto="1").id, dialer.enqueue(extid=1002, outto="2").id
    claim(hopper, first)
    assert "a worker has been placing the call" in run("status", first).stdout
    assert f"extension 1002 is taken for job {first}, which is claimed" in run("status", second).stdout


def test_status_of_an_ended_job_shows_its_end(run: Run, dialer: Dialer, hopper: Hopper) -> None:
    job_id = dialer.enqueue(extid=1001, outto="0205550143").id
    hopper.finish(
        job_id, "nonce", JobState.FAILED, claim(hopper, job_id), errno="10006", error="no such extension"
    )
    result = run("status", job_id.upper())
    assert result.exit_code == 0
    told = result.stdout.partition("timeline\n")[0]
    fields = dict(line.split(maxsplit=1) for line in told.splitlines())
    assert (fields["state"], fields["errno"], fields["error"]) == ("failed", "10006", "no such extension")
    assert "waits_for" not in fields
    assert "5550143" not in result.stdout


def test_status_of_an_unknown_id_is_an_error_of_input(run: Run) -> None:
    result = run("status", "9bff261b-c003-5b66-9884-dab128f3cb83")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no job" in result.stderr


def test_results_list_what_ended_since_then(run: Run, dialer: Dialer, hopper: Hopper) -> None:
    placed = dialer.enqueue(extid=1001, outto="0901234567", metadata={"lead": "5"}).id
    cancelled = dialer.enqueue(extid=1002, outto="41000").id
    dialer.enqueue(extid=1003, outto="41000")
    hopper.cancel(cancelled)
    place(hopper, placed)

    rows = [
        json.loads(line) for line in run("results", "--format", "ndjson", "--since", "10m").stdout.splitlines()
    ]
    assert [(row["job_id"], row["state"], row["callid"]) for row in rows] == (
        [(cancelled, "cancelled", None), (placed, "placed", "1.2")]
    )
    table = list(csv.DictReader(run("results", "--format", "csv").stdout.splitlines()))
    assert [row["job_id"] for row in table] == [cancelled, placed]
    assert json.loads(table[1]["metadata"]) == {"lead": "5"}
    assert len(run("results").stdout.splitlines()) == 3
    assert placed not in run("results", "--state", "cancelled").stdout
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert run("results", "--since", tomorrow, "--format", "ndjson").stdout == ""
    for form in ("table", "csv", "ndjson"):
        assert "0901234567" not in run("results", "--format", form).output


def test_cancel_withdraws_what_has_not_begun(run: Run, dialer: Dialer, hopper: Hopper) -> None:
    first, second = (dialer.enqueue(extid=extid, outto="41000").id for extid in (1001, 1002))
    result = run("cancel", first)
    assert (result.exit_code, result.stdout) == (0, f"{first} cancelled\n")
    assert run("cancel", first).exit_code == 0
    place(hopper, second)
    late = run("cancel", first, second)
    assert (late.exit_code, late.stdout) == (1, f"{first} cancelled\n{second} too late: it is placed\n")
    unknown = run("cancel", second, "nonsense")
    assert unknown.exit_code == 2
    assert "there is no job 'nonsense'" in unknown.stderr


# --- pause, resume, lanes


def test_a_pbx_that_left_the_settings_can_be_resumed_but_not_paused(run: Run, hopper: Hopper) -> None:
    hopper.pause("gone")
    assert run("resume", "gone").exit_code == 0
    assert run("pause", "gone").exit_code == 2
    assert run("pause", "*").exit_code == 2
    assert hopper.paused() == set()


def test_lanes_show_what_waits_where(run: Run, dialer: Dialer, hopper: Hopper) -> None:
    for extid in (1001, 1001, 1002):
        dialer.enqueue(extid=extid, outto="41000")
    dialer.enqueue(extid=1001, outto="41000", not_before=datetime.now(UTC) + timedelta(hours=5))
    hopper.pause("branch")
    hq, branch = json.loads(run("lanes", "--json").stdout)
    assert (hq["name"], hq["waiting"], hq["later"], hq["paused"]) == ("hq", 3, 1, False)
    assert [(lane["extid"], lane["waiting"]) for lane in hq["lanes"]] == [("1001", 2), ("1002", 1)]
    assert hq["waiting_by_priority"] == {"urgent": 0, "normal": 3, "bulk": 0}
    assert hq["oldest_s"] == hq["oldest_by_priority_s"]["normal"] > 0
    assert (hq["known_to_workers"], hq["calls_per_second"], branch["lanes"]) == (False, 0, [])
    assert (branch["name"], branch["waiting"], branch["paused"]) == ("branch", 0, True)
    assert len(run("lanes").stdout.splitlines()) == 3
    assert len(run("lanes", "-v").stdout.splitlines()) == 5


# --- import

SAMPLE = "extid,outto,pbx,metadata.lead\n1001,41000,hq,1\n1001,41000,hq,1\n1002,41001,branch,2\n1003,41002,,3\n"


def tally(result: Result) -> tuple[int, int, int]:
    summary = json.loads(result.stdout.splitlines()[-1])
    return summary["added"], summary["already_there"], summary["rejected"]


def test_the_same_file_again_adds_nothing_and_equal_rows_are_two_jobs(
    run: Run, hopper: Hopper, tmp_path: Path
) -> None:
    file = tmp_path / "leads.csv"
    file.write_text(SAMPLE)
    first = run("import", str(file))
    assert (first.exit_code, first.stdout, first.stderr) == (0, "4 added, 0 already there, 0 rejected\n", "")
    again = run("import", str(file))
    assert (again.exit_code, again.stdout) == (0, "0 added, 4 already there, 0 rejected\n")
    assert (waiting(hopper, "hq"), waiting(hopper, "branch")) == (3, 1)


def test_an_import_reports_what_became_of_known_rows_and_brings_failures_back(
    run: Run, hopper: Hopper, tmp_path: Path
) -> None:
    file = tmp_path / "leads.csv"
    file.write_text("extid,outto,key\n1001,41001,a\n1002,41002,b\n1003,41003,c\n1004,41004,d\n")
    run("import", str(file))
    ids = {key: id_of_key(key) for key in "abcd"}
    place(hopper, ids["a"])  # and the others are released
    hopper.cancel(ids["b"])
    hopper.cancel(ids["c"])
    hopper.client.hset(hopper.keys.job(ids["c"]), "state", "failed")

    known = run("import", str(file))
    assert (known.exit_code, known.stdout) == (0, "0 added, 4 already there, 0 rejected\n")
    assert sorted(known.stderr.partition(": the jobs that were already there: ")[2].split(".")[0].split(", ")) == [
        "1 cancelled",
        "1 failed",
        "1 placed",
        "1 released",
    ]
    assert f"`outdial import {file} --redial` brings back those that failed or expired" in known.stderr

    back = run("import", str(file), "--redial")
    assert back.stdout == "0 added, 4 already there, 0 rejected, 1 brought back\n"
    assert {key: hopper.record(job_id)["state"] for key, job_id in ids.items()} == {
        "a": "placed",
        "b": "cancelled",
        "c": "waiting",
        "d": "released",
    }
    assert hopper.record(ids["c"])["redialed_why"] == "import of leads.csv"


def test_name_format_and_order_of_a_file_do_not_matter(run: Run) -> None:
    assert tally(run("import", "-", "--json", stdin=SAMPLE)) == (4, 0, 0)
    header, *rows = SAMPLE.splitlines()
    assert tally(run("import", "-", "--json", stdin="\r\n".join([header, *reversed(rows)]))) == (0, 4, 0)
    ndjson = "\n".join(
        json.dumps(
            {"metadata": {"lead": lead}, "outto": outto, "extid": int(extid), **({"pbx": pbx} if pbx else {})}
        )
        for extid, outto, pbx, lead in (row.split(",") for row in rows)
    )
    assert tally(run("import", "-", "--json", stdin="\ufeff\n" + ndjson)) == (0, 4, 0)
    assert tally(run("import", "-", "--json", stdin=SAMPLE + "1001,41000,hq,1\n")) == (1, 4, 0)


def test_a_row_with_a_key_is_the_job_of_that_key(run: Run) -> None:
    rows = "extid,outto,key\n1001,41000,k\n1001,41000,k\n1001,41001,k\n"
    result = run("import", "-", "--json", stdin=rows)
    assert (result.exit_code, tally(result)) == (2, (1, 1, 1))
    assert "line 4: key: 'k' belongs to another job" in result.stderr


def test_wrong_rows_are_named_and_the_good_ones_go_in(run: Run, hopper: Hopper, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"
    rows = (
        b"extid,outto,pbx\n1001,41000,\nabc,41001,\n1002,0901234567x,\n1003,41003,nope\n1004\n1005,4\xe91005,\n"
        b'1006,"41006,\n1007,41007,branch\n'
    )
    result = run("import", "-", "--rejects", str(rejects), "--json", stdin=rows)
    assert (result.exit_code, tally(result)) == (2, (2, 0, 6))
    assert result.stderr == (
        f"outdial: 6 of 8 rows were rejected. Correct them in {rejects} and import that file.\n"
    )
    with rejects.open(newline="", errors="surrogateescape") as file:
        refused = list(csv.DictReader(file, strict=True))
    assert [row["outdial_line"] for row in refused] == ["3", "4", "5", "6", "7", "8"]
    assert [row["extid"] for row in refused] == ["abc", "1002", "1003", "", "1005", ""]
    assert [row["outdial_row"] for row in refused] == ["", "", "", "> 1004", "", '> 1006,"41006,']
    assert "choose one of hq, branch" in refused[2]["outdial_reason"]
    assert all("90123" not in row["outdial_reason"] for row in refused)
    assert (waiting(hopper, "hq"), waiting(hopper, "branch")) == (1, 1)


def test_without_rejects_the_first_twenty_are_shown(run: Run) -> None:
    result = run("import", "-", stdin="extid,outto\n" + "x,1\n" * 50)
    assert result.exit_code == 2
    assert [line.split(":")[0] for line in result.stderr.splitlines()[:20]] == [f"line {n}" for n in range(2, 22)]
    assert result.stderr.splitlines()[20:] == [
        "There are more; --rejects FILE writes them all.",
        "outdial: 50 of 50 rows were rejected.",
    ]


def test_an_unknown_column_refuses_the_file_before_anything_goes_in(run: Run, hopper: Hopper) -> None:
    result = run("import", "-", stdin="extid,outto,colour\n1001,41000,red\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'colour'" in result.stderr
    assert waiting(hopper) == 0


def test_pbx_is_for_rows_that_name_none(run: Run, hopper: Hopper) -> None:
    assert run("import", "-", "--pbx", "branch", stdin=SAMPLE).exit_code == 0
    assert (waiting(hopper, "hq"), waiting(hopper, "branch")) == (2, 2)


def test_the_same_rows_for_another_pbx_are_not_dialed_twice(run: Run, hopper: Hopper) -> None:
    run("import", "-", stdin="extid,outto\n1001,41000\n")
    result = run("import", "-", "--pbx", "branch", stdin="extid,outto\n1001,41000\n")
    assert result.exit_code == 2
    assert "already a job on another PBX" in result.stderr
    assert waiting(hopper, "branch") == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
def test_a_big_import_takes_no_more_memory_than_a_small_one(config: str, tmp_path: Path) -> None:
    """100 bytes a row for the keys is what is allowed: 4 MB here; the rows themselves would be 40 MB."""
    code = (
        "import sys\nfrom producers.cli import cli\n"
        "try: cli.main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    )

    def peak_kib(count: int) -> int:
        file = tmp_path / f"{count}.csv"
        rows = (f"{1000 + n % 30},4{n},lead {n} of {count}\n" for n in range(count))
        file.write_text("extid,outto,metadata.note\n" + "".join(rows))
        command = [sys.executable, "-c", code, "--config", config, "import", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert f"{count:,} added" in done.stdout
        return int(done.stderr)

    small = peak_kib(2_000)
    assert peak_kib(42_000) - small < 10_000


def test_an_import_stopped_half_way_is_made_good_by_running_it_again(config: str, hopper: Hopper) -> None:
    command = [*OUTDIAL, "--config", config, "import", "-"]
    rows = [f"1001,4{n}\n" for n in range(3000)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Who runs the tests in the background of a shell has it ignored, and so would the command.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  one call, no lock taken
    ) as importing:
        assert importing.stdin
        assert importing.stderr
        importing.stdin.write("extid,outto\n" + "".join(rows))
        importing.stdin.flush()
        eventually(lambda: waiting(hopper) >= 1000)
        importing.send_signal(signal.SIGINT)
        said = importing.stderr.read()
        assert importing.wait() == 130
    assert "run the same import again, what went in is not added twice" in said
    assert "Traceback" not in said
    done = subprocess.run(
        command, input="extid,outto\n" + "".join(rows), capture_output=True, text=True, check=True
    )
    assert "0 rejected" in done.stdout
    assert waiting(hopper) == 3000


def test_a_reader_that_goes_away_is_no_noise(config: str, dialer: Dialer, hopper: Hopper) -> None:
    for answer in dialer.enqueue_many({"extid": 1001, "outto": 40000 + n} for n in range(2000)):
        assert isinstance(answer, Ticket)
        hopper.cancel(answer.id)
    with subprocess.Popen(
        [*OUTDIAL, "results", "--config", config], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as listing:
        assert listing.stdout
        assert listing.stderr
        listing.stdout.readline()
        listing.stdout.close()
        assert listing.stderr.read() == ""


def test_the_door_and_the_command_make_the_same_jobs(run: Run, dialer: Dialer) -> None:
    job = DialJob.parse({"extid": 1001, "outto": "41000", "key": "k"})
    (ticket,) = dialer.enqueue_many([job])
    assert not isinstance(ticket, Refusal)
    assert run("enqueue", "1001", "41000", "--key", "k").stdout == f"{ticket.id}\n"


def test_settings_may_come_from_the_environment_alone(
    redis_server: EmbeddedRedis, namespace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("OUTDIAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OUTDIAL_REDIS_URL", redis_server.url)
    monkeypatch.setenv("OUTDIAL_NAMESPACE", namespace)
    result = CliRunner().invoke(cli, ["results", "--format", "ndjson"])
    assert (result.exit_code, result.output) == (0, "")


def test_numbers_are_dialed_as_their_pbx_wants_them_whoever_brings_them(config: str, run: Run) -> None:
    rules = '[pbx.hq.numbers]\ncountry = "GB"\noutside_line = "9"\n'
    Path(config).write_text(Path(config).read_text() + rules)
    dialer = Dialer.from_config(config)

    def dialed(job_id: str) -> str:
        return dialer.hopper.record(job_id)["outto"]

    written, plain = "+44 (20) 7946-0018", "902079460018"
    assert dialed(dialer.enqueue(extid="1001", outto=written).id) == plain
    assert dialed(run("enqueue", "1001", written).stdout.strip()) == plain
    rows = [{"extid": "1001", "outto": "020 7946 0018"}, DialJob(extid="1001", outto="+442079460018", pbx="hq")]
    assert [dialed(one.id) for one in dialer.enqueue_many(rows) if isinstance(one, Ticket)] == [plain, plain]
    assert run("import", "-", "--format", "csv", stdin=f"extid,outto\n1001,{written}\n").exit_code == 0
    assert {dialed(one.job_id) for one in dialer.hopper.find(JobFilter(), most=9)[0]} == {plain}
    assert dialed(dialer.enqueue(extid="1001", outto="41000").id) == "41000", "an extension stays inside"


@pytest.mark.parametrize("row", [{"outto": "999"}, {"outto": 911}, {"outto": "9 9 9"}])
def test_no_door_takes_an_emergency_number(dialer: Dialer, row: dict[str, object]) -> None:
    with pytest.raises(InputRefused, match="emergency"):
        dialer.enqueue(extid="1001", **row)
    answers = list(dialer.enqueue_many([{"extid": "x", **row}, {"extid": "1001", "outto": "41000"}]))
    assert isinstance(answers[0], Refusal)
    assert [problem.partition(":")[0] for problem in answers[0].problems] == ["extid", "outto"]
    assert isinstance(answers[1], Ticket)
