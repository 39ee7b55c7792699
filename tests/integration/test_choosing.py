"""A person finds jobs, cancels them and brings them back: by id, by what they are, and never by accident."""

import json
from pathlib import Path

import pytest

from producers import Dialer
from tests.integration.conftest import Run
from tests.integration.hopper.stage import Stage
from worker.hopper import Order, Receipt
from worker.jobs import DialJob, JobState, RefusedJob

NUMBER = "0901234567"
NOBODY = "9bff261b-c003-5b66-9884-dab128f3cb83"


def put(stage: Stage, extid: str = "1001", **fields: object) -> str:
    return stage.put(extid, outto=NUMBER, **fields)


def ended(stage: Stage, state: JobState, extid: str = "1001", *, errno: str = "10006", **fields: object) -> str:
    job_id = put(stage, extid, **fields)
    if state is JobState.CANCELLED:
        stage.hopper.cancel(job_id)
        return job_id
    stage.release()
    claim = stage.go(job_id, f"n-{job_id}")
    facts = {"callid": "1.2"} if state is JobState.PLACED else {"errno": errno, "error": "refused"}
    stage.hopper.finish(job_id, f"n-{job_id}", state, claim, **facts)
    return job_id


def listed(run: Run, *args: str) -> list[str]:
    result = run("jobs", "--json", *args)
    assert (result.exit_code, result.stderr) == (0, "")
    assert NUMBER not in result.output
    return [json.loads(line)["job_id"] for line in result.stdout.splitlines()]


# --- jobs


def test_jobs_are_found_by_what_they_are(run: Run, stage: Stage) -> None:
    stage.open_pbx("branch")
    failed = ended(stage, JobState.FAILED, "1002", metadata={"lead": "L-021", "campaign": "autumn"})
    first = put(stage, key="order-1", metadata={"lead": "L-020", "campaign": "autumn"})
    other = put(stage, "1001", pbx="branch")
    [receipt] = stage.hopper.put_orders(
        [Order(DialJob(extid="1003", outto=NUMBER, pbx="hq"), origin="api:crm")]  # type: ignore[call-arg]
    )
    by_api = receipt.id  # type: ignore[union-attr]

    assert listed(run) == [by_api, other, first, failed]
    assert listed(run, "--limit", "2") == [by_api, other]
    assert listed(run, "--state", "waiting", "--pbx", "hq") == [by_api, first]
    assert listed(run, "--extension", "1002") == [failed]
    assert listed(run, "--extid", "1002", "--extid", "1003") == [by_api, failed]
    assert listed(run, "--errno", "10006") == [failed]
    assert listed(run, "--origin", "api:crm") == [by_api]
    assert listed(run, "--origin", "cli") == [other, first, failed]
    assert listed(run, "--key", "order-1") == [first]
    assert listed(run, "--key", "order-1", "--state", "failed") == []
    assert listed(run, "--metadata", "lead=L-020") == [first]
    assert listed(run, "--metadata", "campaign=autumn", "--metadata", "lead=L-021") == [failed]
    assert listed(run, "--ended-since", "1h") == [failed]
    assert listed(run, "--ended-until", "1h") == []
    assert listed(run, "--since", "today", "--until", "today", "--timezone", "UTC") in ([], listed(run))
    assert listed(run, "--until", "1h") == []
    assert run("jobs", "--count", "--state", "waiting").stdout == "3\n"


def test_the_table_of_jobs_has_a_line_for_each(run: Run, stage: Stage) -> None:
    failed = ended(stage, JobState.FAILED, "1002")
    waiting = put(stage)

    header, *lines = run("jobs").stdout.splitlines()

    assert header.split() == ["enqueued_at", "job_id", "state", "pbx", "extid", "attempts", "result"]
    assert [line.split()[1:3] for line in lines] == [[waiting, "waiting"], [failed, "failed"]]
    assert lines[1].endswith("10006: refused")
    assert not any(NUMBER in line for line in lines)


def test_a_pbx_that_is_not_known_is_named(run: Run, stage: Stage) -> None:
    result = run("jobs", "--pbx", "hc")
    assert result.exit_code == 2
    assert "pbx: 'hc' is not in the settings; choose one of hq, branch" in result.stderr


def test_results_are_chosen_by_time_pbx_extension_and_key(run: Run, stage: Stage) -> None:
    stage.open_pbx("branch")
    first = ended(stage, JobState.FAILED, "1001", key="k1")
    second = ended(stage, JobState.PLACED, "1002")
    third = ended(stage, JobState.CANCELLED, "1001", pbx="branch")

    def found(*args: str) -> list[str]:
        lines = run("results", "--format", "ndjson", *args).stdout.splitlines()
        return [json.loads(line)["job_id"] for line in lines]

    assert found() == [first, second, third]
    assert found("--pbx", "branch") == [third]
    assert found("--extid", "1001") == [first, third]
    assert found("--key", "k1") == [first]
    assert found("--key", "k1", "--until", "1h") == []
    assert found("--until", "1h") == []
    assert found("--since", "2020-01-01", "--until", "now", "--state", "placed") == [second]


# --- cancel


def test_jobs_that_match_are_cancelled_after_a_count(run: Run, stage: Stage) -> None:
    over, other = ended(stage, JobState.FAILED, "1002"), put(stage, "1003")
    mine = {put(stage, "1002") for _ in range(3)}

    dry = run("cancel", "--extension", "1002", "--dry-run")
    assert (dry.exit_code, dry.stdout) == (0, "3 jobs would be cancelled.\n")
    unasked = run("cancel", "--extension", "1002")
    assert unasked.exit_code == 2
    assert "add --yes, or --count 3 to go on only if so many match" in unasked.stderr
    wrong = run("cancel", "--extension", "1002", "--count", "2")
    assert wrong.exit_code == 2
    assert "--count: 2 were expected, 3 match; nothing was changed" in wrong.stderr
    assert {stage.state(job_id) for job_id in mine} == {"waiting"}

    done = run("cancel", "--extension", "1002", "--count", "3")
    assert (done.exit_code, done.stdout) == (0, "3 jobs cancelled.\n")
    assert {stage.state(job_id) for job_id in mine} == {"cancelled"}
    assert (stage.state(other), stage.state(over)) == ("waiting", "failed")


def test_a_dry_run_of_ids_cancels_nothing(run: Run, stage: Stage) -> None:
    job_id = put(stage)
    assert run("cancel", job_id, "--dry-run").stdout == "1 job would be cancelled.\n"
    assert run("cancel", job_id, "--pbx", "branch", "--yes").stdout == "0 jobs would be cancelled.\n"
    assert stage.state(job_id) == "waiting"


# --- redial


def test_a_failed_job_comes_back_by_its_id(run: Run, stage: Stage) -> None:
    job_id = ended(stage, JobState.FAILED)

    result = run("redial", job_id, "--reason", "the trunk was down", "--by", "anna")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "1 job brought back.\n", "")
    assert stage.state(job_id) == "waiting"
    status = json.loads(run("status", job_id, "--json").stdout)
    assert status["redial"]["by"] == "anna"
    assert status["redial"]["reason"] == "the trunk was down"
    assert [moment["state"] for moment in status["timeline"]][-2:] == ["redialed", "waiting"]
    assert "redialed     by anna at " in run("status", job_id).stdout


def test_jobs_that_match_come_back_after_a_count(run: Run, stage: Stage) -> None:
    failed = {ended(stage, JobState.FAILED) for _ in range(2)}
    other = ended(stage, JobState.FAILED, errno="invalid_number")
    cancelled, unknown = ended(stage, JobState.CANCELLED), ended(stage, JobState.UNKNOWN, "1004")

    dry = run("redial", "--errno", "10006", "--dry-run")
    assert (dry.exit_code, dry.stdout) == (0, "2 jobs would be brought back.\n")
    assert dry.stderr.split() == ["2", "failed"]
    assert run("redial", "--errno", "10006").exit_code == 2
    assert {stage.state(job_id) for job_id in failed} == {"failed"}

    done = run("redial", "--errno", "10006", "--yes")
    assert (done.exit_code, done.stdout) == (0, "2 jobs brought back.\n")
    assert {stage.state(job_id) for job_id in failed} == {"waiting"}
    assert [stage.state(job_id) for job_id in (other, cancelled, unknown)] == ["failed", "cancelled", "unknown"]
    assert run("redial", "--errno", "10006", "--yes").stdout == "0 jobs would be brought back.\n"


def test_an_unknown_job_comes_back_only_if_a_second_ring_is_accepted(run: Run, stage: Stage) -> None:
    job_id = ended(stage, JobState.UNKNOWN)

    stays = run("redial", job_id)
    assert (stays.exit_code, stays.stdout) == (1, "0 jobs brought back.\n")
    assert f"job {job_id} may have rung already; --even-if-rung dials it all the same" in stays.stderr
    counted = run("redial", "--state", "unknown", "--dry-run")
    assert "1  stay as they are: they may have rung; --even-if-rung dials them all the same" in counted.stderr

    assert run("redial", "--state", "unknown", "--even-if-rung", "--yes").stdout == "1 job brought back.\n"
    assert stage.state(job_id) == "waiting"


@pytest.mark.parametrize(
    ("state", "said"),
    [(JobState.PLACED, "was placed, and its phone rang"), (JobState.WAITING, "has not ended: it is waiting")],
)
def test_a_job_that_rang_or_has_not_ended_stays(run: Run, stage: Stage, state: JobState, said: str) -> None:
    job_id = put(stage) if state is JobState.WAITING else ended(stage, state)

    result = run("redial", job_id)

    assert result.exit_code == 1
    assert said in result.stderr
    assert stage.state(job_id) == state


def test_an_id_without_a_job_is_named(run: Run, stage: Stage) -> None:
    job_id = ended(stage, JobState.FAILED)
    result = run("redial", job_id, NOBODY)
    assert (result.exit_code, result.stdout) == (2, "1 job brought back.\n")
    assert f"job {NOBODY} has no record any more" in result.stderr


def test_jobs_move_to_another_pbx(run: Run, stage: Stage) -> None:
    stage.open_pbx("branch")
    job_id = ended(stage, JobState.FAILED)

    dry = run("redial", "--from-pbx", "hq", "--pbx", "branch", "--dry-run")
    assert "1  of them move from hq to branch" in dry.stderr
    done = run("redial", "--from-pbx", "hq", "--pbx", "branch", "--yes", "--json")

    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {
            "job_id": job_id,
            "outcome": "redialed",
            "from_state": "failed",
            "from_pbx": "hq",
            "pbx": "branch",
            "problem": None,
        }
    ]
    record = stage.hopper.record(job_id)
    assert (record["state"], record["pbx"], record["outto"]) == ("waiting", "branch", NUMBER)


def test_a_number_that_the_other_pbx_cannot_dial_for_certain_stays(run: Run, stage: Stage, config: str) -> None:
    with Path(config).open("a") as file:
        file.write('[pbx.branch.numbers]\ncountry = "GB"\n')
    job_id = ended(stage, JobState.FAILED)

    result = run("redial", job_id, "--pbx", "branch")

    assert result.exit_code == 1
    assert "was written for a PBX without number rules" in result.stderr
    assert NUMBER not in result.output
    assert (stage.state(job_id), stage.hopper.record(job_id)["pbx"]) == ("failed", "hq")


def test_the_same_jobs_again_are_dialed_once(run: Run, stage: Stage, dialer: Dialer) -> None:
    job_id = ended(stage, JobState.FAILED)
    run("redial", job_id)

    again = run("redial", job_id)

    assert again.exit_code == 1
    assert "has not ended: it is waiting" in again.stderr
    assert dialer.hopper.record(job_id)["redials"] == "1"


# --- what a rule refused


def refused(stage: Stage, **facts: object) -> str:
    fields: dict[str, object] = {
        "pbx": "hq",
        "extid": "1001",
        "asked": {"extid": "1001", "outto": "+44 909 879 0018"},
    }
    job = RefusedJob("premium_number", "outto: 'xxx18' is a premium-rate number", **fields | facts)  # type: ignore[arg-type]
    [receipt] = stage.hopper.put_orders([Order(job, origin="hook:crm")])
    assert isinstance(receipt, Receipt)
    return receipt.id


def test_a_job_comes_back_once_the_rule_that_refused_it_has_changed(run: Run, stage: Stage, config: str) -> None:
    rules = '[pbx.hq.numbers]\ncountry = "GB"\n'
    settings = Path(config).read_text()
    Path(config).write_text(settings + rules)
    job_id = refused(stage)

    stays = run("redial", "--state", "refused", "--yes")
    assert stays.stdout == "0 jobs would be brought back.\n"
    assert "they have a number that the PBX cannot or must not dial" in stays.stderr
    assert "is a premium-rate number" in run("redial", job_id).stderr
    assert stage.state(job_id) == "refused"

    Path(config).write_text(settings + rules + 'premium = "allow"\n')
    assert run("redial", "--state", "refused", "--yes").stdout == "1 job brought back.\n"
    assert stage.release() == [job_id]
    claim = stage.go(job_id, "n1")
    assert (claim.extid, claim.outto) == ("1001", "09098790018")
    assert "asked" not in stage.hopper.record(job_id)


def test_a_refused_job_may_go_to_another_pbx(run: Run, stage: Stage) -> None:
    stage.open_pbx("branch")
    job_id = refused(stage, pbx="", asked={"extid": "1001", "outto": "41000", "priority": "urgent"})

    assert run("redial", job_id, "--pbx", "branch").stdout == "1 job brought back.\n"

    assert (stage.hopper.record(job_id)["pbx"], stage.hopper.record(job_id)["rank"]) == ("branch", "0")
    assert stage.release() == [job_id]


def test_a_job_that_was_refused_without_a_number_stays(run: Run, stage: Stage) -> None:
    job_id = refused(stage, asked={})
    result = run("redial", job_id)
    assert result.exit_code == 1
    assert "was refused before it had a number; enqueue it again" in result.stderr
