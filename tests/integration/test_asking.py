"""Asking about jobs and judging them: status, why, resolve, lanes and the doctor, on states made by real steps."""

import getpass
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from ops.installation import GENEROUS_S
from tests.integration.clock import StepClock
from tests.integration.conftest import Run
from tests.integration.hopper.stage import Stage, in_s
from worker.health import Finding, examine
from worker.hopper import Go, Hopper
from worker.jobs import Doubt, JobState
from worker.settings import Settings

pytestmark = pytest.mark.usefixtures("clock")
NUMBER = "0901234567"
NOBODY = "9bff261b-c003-5b66-9884-dab128f3cb83"


@pytest.fixture
def stage(hopper: Hopper, namespace: str) -> Stage:
    """One PBX that sets no limit, and a worker."""
    made = Stage(hopper, queue=f"{namespace}.dial")
    made.open_pbx(open_call_s=60)
    hopper.heartbeat("w", slots=4, ttl_s=600)
    return made


@pytest.fixture
def tell(run: Run) -> Callable[..., Result]:
    """The command line, which never shows the jobs' number, in whatever form."""

    def tell_it(*args: str) -> Result:
        result = run(*args)
        assert NUMBER not in re.sub(r"[ .()-]", "", result.output)
        return result

    return tell_it


def put(stage: Stage, extid: str = "1001", **fields: object) -> str:
    return stage.put(extid, outto=NUMBER, **fields)


def doubted(stage: Stage, **fields: object) -> tuple[str, Go]:
    job_id, claim = stage.claimed(outto=NUMBER, **fields)
    assert stage.hopper.doubt(job_id, "n1", Doubt.LOST_REPLY, errno="no_reply", error="the PBX sent no answer")
    return job_id, claim


def unknown(stage: Stage, **fields: object) -> str:
    job_id, claim = doubted(stage, **fields)
    finished = stage.hopper.finish(
        job_id, "n1", JobState.UNKNOWN, claim, errno="no_reply", error="lost; nothing rang while it was looked at"
    )
    assert finished is not None
    return job_id


def why(tell: Run, job_id: str) -> dict[str, Any]:
    result = tell("why", job_id, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def kinds(tell: Run, job_id: str) -> list[str]:
    return [one["kind"] for one in why(tell, job_id)["obstacles"]]


def spoil(stage: Stage, job_id: str, field: str, value: str | None) -> None:
    key = stage.hopper.keys.job(job_id)
    if value is None:
        stage.hopper.client.hdel(key, field)
    else:
        stage.hopper.client.hset(key, field, value)


# --- why


def test_why_of_a_job_whose_turn_it_is(tell: Run, stage: Stage) -> None:
    job_id = put(stage)
    answer = why(tell, job_id)
    assert (answer["obstacles"], answer["place"], answer["needs_person"]) == ([], 1, False)
    assert answer["earliest_in_s"] == 0
    said = tell("why", job_id).stdout
    assert said.splitlines()[0] == f"job        {job_id}, waiting"
    assert "earliest   now" in said


def test_why_names_pauses_and_missing_workers_first(tell: Run, stage: Stage) -> None:
    job_id = put(stage, not_before=in_s(3600))
    stage.hopper.pause("hq")
    stage.hopper.pause()
    stage.hopper.heartbeat("w", slots=0, ttl_s=1)
    assert kinds(tell, job_id) == ["everything_paused", "pbx_paused", "no_worker", "due"]
    said = tell("why", job_id).stdout
    assert "-> `outdial resume --all` lifts that" in said
    assert "in 60 min, once a person has acted" in said


def test_why_on_a_pbx_that_no_worker_knows_and_no_settings_have(tell: Run, stage: Stage) -> None:
    assert kinds(tell, put(stage, pbx="branch")) == ["pbx_unknown"]
    assert kinds(tell, put(stage, pbx="gone")) == ["pbx_not_in_settings", "pbx_unknown"]


def test_why_tells_the_place_and_the_job_before(tell: Run, stage: Stage) -> None:
    first, second, third = (put(stage) for _ in range(3))
    answer = why(tell, third)
    assert (answer["place"], answer["lane_length"], answer["behind"]) == (3, 3, second)
    assert f"it is 2nd of 3 in the lane of extension 1001, behind job {first}" in tell("why", second).stdout


def test_why_names_the_job_that_has_the_extension_and_bounds_the_time(tell: Run, stage: Stage) -> None:
    first, claim = stage.claimed(outto=NUMBER)
    second = put(stage)
    [taken] = why(tell, second)["obstacles"]
    assert (taken["kind"], taken["job_id"], taken["until"]) == ("extension", first, None)
    assert "which is claimed" in taken["sentence"]
    stage.finish(first, "n1", claim)
    answer = why(tell, second)
    assert answer["obstacles"][0]["until"] == answer["earliest"]
    assert 55 < answer["earliest_in_s"] <= 60


def test_why_knows_a_resting_extension(tell: Run, stage: Stage) -> None:
    first, _ = stage.claimed(outto=NUMBER)
    second = put(stage)
    stage.hopper.park(first, "n1", delay_s=600, rest_s=30, errno="10036", error="busy")
    assert why(tell, second)["summary"] == "extension 1001 rests for 30 s more"
    assert "the last came to 10036: busy" in why(tell, first)["summary"]


def test_why_knows_lines_permits_and_the_round(tell: Run, stage: Stage) -> None:
    stage.open_pbx(open_call_s=60, max_open_calls=1, calls_per_second=0.1, burst=1)
    first, claim = stage.claimed(outto=NUMBER)
    before = put(stage, "1002")
    behind = put(stage, "1003")
    assert kinds(tell, before) == ["lines", "permit"]
    assert kinds(tell, behind) == ["lines", "permit", "round"]
    assert why(tell, behind)["lanes_ahead"] == 1
    assert why(tell, before)["earliest_in_s"] < 11
    assert 11 < why(tell, behind)["earliest_in_s"] <= 21
    stage.finish(first, "n1", claim)
    assert 55 < why(tell, before)["earliest_in_s"] <= 60, "the only line is that of a call"


def test_why_says_that_all_slots_are_taken(tell: Run, stage: Stage) -> None:
    put(stage, "1001")
    waits = put(stage, "1002")
    stage.release(most_released=1)
    assert kinds(tell, waits) == ["workers_full"]


def test_why_tells_of_breakers_and_logins(tell: Run, stage: Stage) -> None:
    job_id = put(stage)
    for _ in range(3):
        stage.hopper.unreachable("hq", reason="connection refused", by="look")
    answer = why(tell, job_id)
    assert answer["obstacles"][0]["kind"] == "breaker"
    assert answer["summary"].endswith(": connection refused")
    assert "has taken no calls since 20" in answer["summary"]
    stage.open_pbx("branch", logged_in=False)
    stage.hopper.login_turn("branch", refused=-1, nonce="n", lease_s=30, spacing_s=0)
    assert kinds(tell, put(stage, pbx="branch")) == ["login"]


def test_why_of_jobs_that_have_begun(tell: Run, stage: Stage) -> None:
    job_id = put(stage)
    stage.release()
    assert why(tell, job_id)["summary"].startswith("handed to a worker 1 s ago, it waits for a free slot")
    stage.hopper.pause("hq")
    assert kinds(tell, job_id) == ["pbx_paused", "slot"]
    stage.hopper.resume("hq")
    stage.go(job_id, "n1")
    answer = why(tell, job_id)
    assert answer["summary"].startswith("nothing: a worker has been placing the call since 20")
    assert answer["earliest"] is None


def test_why_of_a_job_in_doubt_and_of_the_one_behind_it(tell: Run, stage: Stage) -> None:
    job_id, _ = doubted(stage)
    waits = put(stage)
    [looking] = why(tell, job_id)["obstacles"]
    assert looking["kind"] == "doubt"
    assert "the reply of the PBX was lost; PBX hq is looked at until 20" in looking["sentence"]
    assert tell("why", job_id).stdout.startswith(f"job        {job_id}, in doubt\n")
    assert why(tell, waits)["summary"].startswith(f"extension 1001 may be in a call, that of job {job_id}")


def test_why_of_ended_jobs(tell: Run, stage: Stage) -> None:
    lost = unknown(stage)
    answer = why(tell, lost)
    assert (answer["state"], answer["needs_person"]) == ("unknown", True)
    assert any(f"`outdial resolve {lost}`" in advice for advice in answer["advice"])
    placed, claim = stage.claimed("1002", outto=NUMBER, nonce="n2")
    stage.finish(placed, "n2", claim)
    answer = why(tell, placed)
    assert answer["summary"].startswith("placed with callid 1.1, at 20")
    assert answer["result"]["callid"] == "1.1"
    assert tell("why", placed.upper()).exit_code == 0


def test_why_of_a_job_that_is_not_there(tell: Run) -> None:
    result = tell("why", NOBODY)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no job" in result.stderr


# --- status


def test_status_tells_the_life_of_a_job_and_who_acted(tell: Run, stage: Stage) -> None:
    job_id = put(stage)
    stage.release()
    stage.hopper.hand_back(job_id, reason="log-in")
    assert tell("cancel", job_id).exit_code == 0
    plain = json.loads(tell("status", job_id, "--json").stdout)
    assert [(one["state"], one["reason"]) for one in plain["timeline"]] == (
        [("enqueued", None), ("released", None), ("waiting", "log-in"), ("cancelled", None)]
    )
    assert plain["timeline"][-1]["by"].startswith(getpass.getuser()[:20])
    assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}\.[0-9]{3}Z", plain["timeline"][0]["at"])
    assert plain["timeline_left_out"] == 0
    assert (plain["waits_for"], plain["doubt"], plain["resolution"]) == (None, None, None)
    lines = tell("status", job_id).stdout.partition("timeline\n")[2].splitlines()
    assert [line.split()[1] for line in lines] == ["enqueued", "released", "waiting", "cancelled"]


def test_status_shows_a_job_in_doubt_as_being_looked_after(tell: Run, stage: Stage) -> None:
    job_id, _ = doubted(stage)
    plain = json.loads(tell("status", job_id, "--json").stdout)
    assert (plain["state"], plain["doubt"]["why"]) == ("claimed", "lost_reply")
    assert plain["doubt"]["since"] < plain["doubt"]["until"]
    assert "state        claimed, in doubt: it is being looked after\n" in tell("status", job_id).stdout


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("extid", None, "extid is missing"),
        ("pbx", "Hq!", "pbx is not readable"),
        ("state", "bogus", "state is not one of a job"),
        ("state", None, "state is missing"),
        ("attempts", "many", "attempts is not readable"),
        ("metadata", "{not json", "its result is not readable"),
        ("n", "x", "n is not readable"),
    ],
)
def test_a_damaged_record_is_shown_and_not_dialed(
    tell: Run, stage: Stage, field: str, value: str | None, said: str
) -> None:
    job_id = put(stage)
    spoil(stage, job_id, field, value)
    for command in ("status", "why"):
        result = tell(command, job_id)
        assert result.exit_code == 0
        assert f"its record is damaged, so nothing dials it any more: {said}" in result.stdout
        assert json.loads(tell(command, job_id, "--json").stdout)["state"] == "damaged"


def test_a_record_that_is_no_hash_or_no_text_is_shown(tell: Run, stage: Stage) -> None:
    first, second = put(stage), put(stage)
    stage.hopper.client.delete(stage.hopper.keys.job(first))
    stage.hopper.client.set(stage.hopper.keys.job(first), "x")
    spoil(stage, second, "error", b"\xff\xfe")  # type: ignore[arg-type]
    for job_id, said in ((first, "its record is not a hash"), (second, "waiting")):
        for command in ("status", "why"):
            result = tell(command, job_id)
            assert (result.exit_code, said in result.stdout) == (0, True), result.output
    refused = tell("resolve", first, "--failed")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "has a damaged record" in refused.stderr


def test_one_that_was_set_aside_is_shown(tell: Run, stage: Stage) -> None:
    job_id = put(stage)
    spoil(stage, job_id, "extid", None)
    assert stage.release() == []
    assert [note.job_id for note in stage.hopper.set_aside_list()] == [job_id]
    assert "extid is missing" in tell("status", job_id).stdout
    result = tell("cancel", job_id)
    assert (result.exit_code, result.stdout) == (
        1,
        f"{job_id} is damaged: it was set aside, and nothing dials it any more\n",
    )


# --- resolve


def test_a_call_that_rang_is_placed_and_says_who_said_so(tell: Run, stage: Stage) -> None:
    job_id = unknown(stage)
    words = ("--placed", "1495710387.333", "--by", "Anna Jürgens, Leitstand Süd", "--reason", f"called {NUMBER}")
    result = tell("resolve", job_id, *words)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{job_id} is placed now\n", "")
    again = tell("resolve", job_id, *words)
    assert again.exit_code == 0
    assert "was resolved so already (placed, says Anna Jürgens, Leitstand Süd at 20" in again.stdout
    plain = json.loads(tell("status", job_id, "--json").stdout)
    assert (plain["state"], plain["callid"], plain["error"]) == ("placed", "1495710387.333", None)
    assert plain["resolution"]["by"] == "Anna Jürgens, Leitstand Süd"
    assert plain["resolution"]["reason"] == "called xxxxxxxx67"
    assert [one["state"] for one in plain["timeline"][-2:]] == ["resolved", "placed"]
    assert "resolved     placed, says Anna Jürgens" in tell("status", job_id).stdout
    assert NUMBER not in str({k: v for k, v in stage.hopper.record(job_id).items() if k != "outto"})
    another = tell("resolve", job_id, "--placed", "7.8")
    assert (another.exit_code, another.stdout) == (1, "")
    assert "is placed already (placed, says Anna" in another.stderr


def test_a_call_that_did_not_ring_fails_by_whoever_is_logged_in(tell: Run, stage: Stage) -> None:
    job_id = unknown(stage)
    plain = json.loads(tell("resolve", job_id, "--failed", "--json").stdout)
    assert (plain["job_id"], plain["outcome"], plain["state"]) == (job_id, "resolved", "failed")
    assert plain["resolution"]["by"].startswith(f"{getpass.getuser()}@"[:64])
    assert plain["resolution"]["reason"] is None
    assert json.loads(tell("resolve", job_id, "--failed", "--json").stdout)["outcome"] == "again"
    assert stage.state(job_id) == "failed"


def test_a_redial_waits_in_its_lane_again(tell: Run, stage: Stage) -> None:
    job_id = unknown(stage)
    result = tell("resolve", job_id, "--redial")
    assert (result.exit_code, "waits again" in result.stdout) == (0, True)
    assert tell("resolve", job_id, "--redial").exit_code == 0
    assert stage.state(job_id) == "waiting"
    assert json.loads(tell("status", job_id, "--json").stdout)["resolution"]["verdict"] == "redial"
    assert why(tell, job_id)["place"] == 1


def test_a_redial_after_its_time_says_what_is_right(tell: Run, stage: Stage, clock: StepClock) -> None:
    job_id = unknown(stage, expires_at=in_s(60))
    clock.advance(61)
    result = tell("resolve", job_id, "--redial")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "ran out of time at 20" in result.stderr
    assert "say --failed, or hand in a new job" in result.stderr
    plain = json.loads(tell("resolve", job_id, "--redial", "--json").stdout)
    assert (plain["outcome"], plain["state"]) == ("expired", "unknown")


def test_only_unknown_jobs_are_resolved(tell: Run, stage: Stage) -> None:
    waits = put(stage, "1009", not_before=in_s(60))
    in_doubt, _ = doubted(stage)
    claimed, claim = stage.claimed("1002", outto=NUMBER, nonce="n2")
    for job_id, said in (
        (waits, "is waiting, not unknown; `outdial cancel` withdraws it"),
        (in_doubt, "is still being looked after"),
        (claimed, "is being placed at this moment"),
    ):
        result = tell("resolve", job_id, "--failed")
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr
        assert result.stderr.count("\n") == 1
    stage.finish(claimed, "n2", claim)
    late = tell("resolve", claimed, "--failed", "--json")
    assert late.exit_code == 1
    assert json.loads(late.stdout)["outcome"] == "not_unknown"
    assert "is placed already; only a job that is unknown" in late.stderr
    assert tell("resolve", NOBODY, "--failed").exit_code == 2


@pytest.mark.parametrize("callid", [NUMBER, "090-1234-567", "84901234567", "(090)1234567"])
def test_the_number_of_the_job_is_no_callid(tell: Run, stage: Stage, callid: str) -> None:
    job_id = unknown(stage)
    result = tell("resolve", job_id, "--placed", callid)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the number the job dials; give the PBX's id of the call" in result.stderr
    assert stage.state(job_id) == "unknown"


# --- results, lanes, doctor


def test_results_of_unknown_jobs_and_of_calls_known_by_their_outbound_leg(tell: Run, stage: Stage) -> None:
    lost = unknown(stage)
    adopted, claim = stage.claimed("1002", outto=NUMBER, nonce="n2")
    stage.hopper.finish(adopted, "n2", JobState.PLACED, claim, outboundid="1495705009.316")
    assert lost in tell("results", "--state", "unknown").stdout
    assert adopted not in tell("results", "--state", "unknown").stdout
    assert "out:1495705009.316" in tell("results", "--state", "placed").stdout
    [row] = tell("results", "--state", "placed", "--format", "ndjson").stdout.splitlines()
    assert (json.loads(row)["callid"], json.loads(row)["outboundid"]) == (None, "1495705009.316")


def test_lanes_show_breakers_and_doubts(tell: Run, stage: Stage) -> None:
    doubted(stage)
    hq, branch = json.loads(tell("lanes", "--json").stdout)
    assert (hq["in_doubt"], hq["breaker"], hq["barred_since"], hq["barred_reason"]) == (1, "closed", None, "")
    assert branch["breaker"] == "closed"
    stage.hopper.login_turn("hq", refused=stage.log_in(), nonce="m", lease_s=30, spacing_s=0)
    stage.hopper.login_done("hq", "m", block_s=610, reason="log-in refused")
    hq = json.loads(tell("lanes", "--json").stdout)[0]
    assert (hq["breaker"], hq["barred_reason"]) == ("open", "log-in refused")
    assert hq["barred_since"].endswith("Z")
    assert 600 < hq["barred_s"] <= 610
    assert "for 10 min more: log-in refused" in tell("lanes").stdout


def test_lanes_say_that_a_pbx_takes_calls_only_while_calls_may_begin(tell: Run, stage: Stage) -> None:
    def hq() -> tuple[bool, str | None]:
        found = json.loads(tell("lanes", "--json").stdout)[0]
        return found["takes_calls"], found["why_not"]

    assert hq() == (True, None)
    stage.hopper.heartbeat("w", slots=4, ttl_s=600, held_why="Redis may throw jobs away; set it to noeviction")
    assert hq() == (False, "no call begins: Redis may throw jobs away")
    stage.hopper.heartbeat("w", slots=0, ttl_s=600)
    assert hq() == (False, "no worker is running")
    assert "takes calls" not in tell("lanes").stdout


def test_the_doctor_says_that_redis_is_full(config: str, stage: Stage) -> None:
    settings = Settings.load(config)
    stage.hopper.client.delete(stage.hopper.keys.token("hq"))  # no worker has told of it yet
    stage.hopper.client.config_set("maxmemory", 1)
    try:
        said = {finding.subject: finding for finding in examine(settings)}
    finally:
        stage.hopper.client.config_set("maxmemory", 0)

    assert said["memory"].level == said["pbx hq"].level == "bad"
    assert "raise maxmemory" in said["pbx hq"].advice


def test_a_full_redis_is_said_to_have_stored_nothing(tell: Run, stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "leads.csv"
    file.write_text(f"extid,outto\n1001,{NUMBER}\n")
    before = stage.snapshot()
    stage.hopper.client.config_set("maxmemory", 1)
    try:
        one, many = tell("enqueue", "1001", NUMBER), tell("import", str(file))
        held = why_not(tell)
    finally:
        stage.hopper.client.config_set("maxmemory", 0)
    assert (one.exit_code, many.exit_code) == (3, 3)
    assert one.stderr.endswith("is full and takes no jobs; give it more memory. Nothing was stored\n")
    assert "may have been stored" not in many.stderr
    assert held == "Redis is full: it takes no jobs, and no call begins"
    assert stage.snapshot() == before


def why_not(tell: Run) -> str:
    found: str = json.loads(tell("lanes", "--json").stdout)[0]["why_not"]
    return found


def test_the_doctor_looks_at_all_but_the_pbxs_where_their_passwords_are_not(config: str, stage: Stage) -> None:
    text = Path(config).read_text()
    Path(config).write_text(text.replace('password = "', 'password_file = "/run/secrets/', 1))
    command = [sys.executable, "-P", "-m", "worker", "--config", config, "doctor"]
    seen = subprocess.run(command, capture_output=True, text=True, check=False, timeout=GENEROUS_S)
    assert (seen.returncode, seen.stderr) == (2, "")
    assert "BAD  secrets: pbx.hq.password_file: /run/secrets/" in seen.stdout
    assert "run it where the workers run (in containers: docker compose exec worker outdial doctor)" in seen.stdout
    assert "ok   workers: 1 alive" in seen.stdout
    assert "pbx hq:" not in seen.stdout


def test_the_doctor_leaves_the_limits_that_the_workers_keep_to(config: str, stage: Stage) -> None:
    settings = Settings.load(config)
    stage.hopper.register("hq", settings.pbx["hq"].model_copy(update={"calls_per_second": 7.5}))
    list(examine(settings))
    assert stage.hopper.overview(["hq"]).pbxs[0].calls_per_second == 7.5


def test_the_doctor_warns_of_a_hook_that_takes_get(config: str, stage: Stage) -> None:
    sources = "[source.link]\nkind = 'generic'\nmethods = ['POST', 'GET']\n[source.crm]\nkind = 'generic'\n"
    Path(config).write_text(Path(config).read_text() + sources)
    found = [one for one in examine(Settings.load(config), pbxs=False) if one.subject.startswith("source")]
    assert [(one.level, one.subject) for one in found] == [("warning", "source link")]


def test_the_doctor_warns_of_secrets_that_every_user_may_read(config: str, stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "hq").write_text("s3cret")
    Path(config).write_text(Path(config).read_text().replace('password = "x"', 'password_file = "hq"'))
    Path(config).chmod(0o600)
    (tmp_path / "hq").chmod(0o644)
    settings = Settings.load(config)
    said = [finding for finding in examine(settings, pbxs=False) if finding.subject == "secrets"]
    assert {finding.advice.split(" (")[0] for finding in said} == {f"chmod 600 {tmp_path / 'hq'}"}
    assert not [finding for finding in examine(settings, pbxs=False) if finding.subject.startswith("pbx")]


def test_the_doctor_warns_of_breakers_and_unknown_jobs(config: str, stage: Stage) -> None:
    unknown(stage)
    for _ in range(3):
        stage.hopper.unreachable("hq", reason="connection refused", by="look")

    def warnings() -> list[Finding]:
        return [finding for finding in examine(Settings.load(config)) if finding.level == "warning"]

    said = {finding.subject: finding for finding in warnings()}
    assert said["unknown"].text == "1 job of the last day may have rung, and nobody knows"
    assert "`outdial results --state unknown`" in said["unknown"].advice
    assert said["pbx hq"].text.startswith("its breaker is ")
    assert said["pbx hq"].text.endswith(": connection refused")
    assert "see that the PBX is up" in said["pbx hq"].advice


def test_the_doctor_asks_for_the_password_of_a_pbx_that_refused_it(config: str, stage: Stage) -> None:
    stage.hopper.login_turn("hq", refused=stage.log_in(), nonce="m", lease_s=30, spacing_s=0)
    stage.hopper.login_done("hq", "m", block_s=610, reason="log-in refused")
    [breaker] = [found for found in examine(Settings.load(config)) if found.text.startswith("its breaker is ")]
    assert breaker.advice.endswith("correct username and password, then `outdial reload`")
