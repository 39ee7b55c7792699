"""What operators do by the command line has an author and a reason, is shown, and is recorded."""

import json
import re
from typing import Any

import pytest

from producers import Dialer
from producers.actor import login_name
from tests.conftest import pbx_settings
from tests.integration.conftest import Run
from worker.health import examine
from worker.hopper import Hopper
from worker.settings import Settings

ANNA = ("--by", "anna", "--reason", "the PBX is being replaced")


def plain(text: str) -> str:
    """Return a text with its times and its login name written alike."""
    text = re.sub(r"[0-9]{4}-[0-9-]{5}T[0-9:]{8}Z", "TIME", text)
    return text.replace(login_name(), "ME")


def audited(run: Run, *args: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run("audit", "--json", *args).stdout.splitlines()]


# --- pause and resume ------------------------------------------------------------------------------------------


def test_pause_and_resume_of_one_pbx(run: Run, hopper: Hopper) -> None:
    assert run("pause", "hq").stdout == "PBX hq is paused.\n"
    assert plain(run("pause", "hq", *ANNA).stdout) == "PBX hq was paused already (since TIME, by ME).\n"
    assert hopper.paused() == {"hq"}
    assert plain(run("resume", "hq").stdout) == "PBX hq is no longer paused. ME had paused it at TIME.\n"
    assert run("resume", "hq").stdout == "PBX hq was not paused.\n"
    assert hopper.paused() == set()


def test_a_resume_reports_who_had_paused_it_and_why(run: Run) -> None:
    run("pause", "hq", *ANNA)
    assert plain(run("resume", "hq").stdout) == (
        "PBX hq is no longer paused. anna had paused it at TIME: the PBX is being replaced.\n"
    )


def test_resume_of_one_pbx_does_not_lift_the_kill_switch(run: Run, hopper: Hopper) -> None:
    run("pause", "hq")
    run("pause", "--all", *ANNA)
    result = run("resume", "hq")
    assert result.exit_code == 1
    assert plain(result.stderr) == (
        "outdial: hq stays still, for everything is paused (since TIME, by anna): the PBX is being replaced; "
        "`outdial resume --all` lifts that.\n"
    )
    assert hopper.paused() == {"*"}


def test_resume_all_lifts_the_kill_switch_and_lists_what_stays_paused(run: Run, hopper: Hopper) -> None:
    run("pause", "hq", *ANNA)
    run("pause", "--all")
    run("pause", "hq", "--extension", "1002", "--reason", "on holiday")
    hopper.client.sadd(hopper.keys.paused, "gone-from-the-settings")
    result = run("resume", "--all")
    assert result.exit_code == 0
    assert plain(result.stdout) == (
        "Everything is no longer paused. ME had paused it at TIME.\n"
        "PBX gone-from-the-settings stays paused by itself; `outdial resume gone-from-the-settings` lifts that.\n"
        "PBX hq stays paused by itself (since TIME, by anna): the PBX is being replaced; "
        "`outdial resume hq` lifts that.\n"
        "Extension 1002 of PBX hq stays paused by itself (since TIME, by ME): on holiday; "
        "`outdial resume hq --extension 1002` lifts that.\n"
    )
    assert hopper.paused() == {"gone-from-the-settings", "hq"}
    assert run("resume", "--all").stdout.startswith("Everything was not paused.\n")


def test_pause_and_resume_of_one_extension(run: Run, hopper: Hopper) -> None:
    assert run("pause", "hq", "--extension", "1002", *ANNA).stdout == "Extension 1002 of PBX hq is paused.\n"
    again = run("pause", "hq", "--extension", "1002")
    assert plain(again.stdout) == (
        "Extension 1002 of PBX hq was paused already (since TIME, by anna): the PBX is being replaced.\n"
    )
    assert [(pause.pbx, pause.extid) for pause in hopper.pauses()] == [("hq", "1002")]

    stays = run("resume", "hq").stdout
    assert stays.startswith("PBX hq was not paused.\nExtension 1002 of PBX hq stays paused by itself")
    run("pause", "hq")
    result = run("resume", "hq", "--extension", "1002")
    assert result.exit_code == 1
    assert result.stdout.startswith("Extension 1002 of PBX hq is no longer paused. anna had paused it at ")
    assert "extension 1002 stays still, for PBX hq is paused" in result.stderr
    assert run("resume", "hq").stdout.count("\n") == 1


def test_a_pause_of_an_extension_needs_a_pbx_of_the_settings(run: Run, hopper: Hopper) -> None:
    refused = run("pause", "nowhere", "--extension", "1002")
    assert (refused.exit_code, hopper.pauses()) == (2, [])
    assert "there is no PBX 'nowhere' in the settings; choose one of" in refused.stderr
    hopper.pause("gone", "1002")
    assert run("resume", "gone", "--extension", "1002").exit_code == 0


# --- where it is shown -------------------------------------------------------------------------------------------


def test_lanes_show_who_paused_a_pbx_and_its_extensions(run: Run, dialer: Dialer, hopper: Hopper) -> None:
    hopper.register("hq", pbx_settings())
    hopper.heartbeat("w", slots=1, ttl_s=600)
    for extid in ("1001", "1002", "1002"):
        dialer.enqueue(extid=extid, outto="41000")
    run("pause", "hq", "--extension", "1002", *ANNA)

    assert (
        "takes calls; extension 1002 is paused (since TIME, by anna): the PBX is being replaced (2 waiting)"
        in (plain(run("lanes").stdout))
    )
    lines = plain(run("lanes", "-v").stdout).splitlines()
    assert [line.split()[:3] for line in lines[2:4]] == [["1001", "1", "free"], ["1002", "2", "paused"]]
    assert lines[3].endswith("paused (since TIME, by anna): the PBX is being replaced")
    hq = json.loads(run("lanes", "--json").stdout)[0]
    assert (hq["waiting"], hq["paused"], hq["pause"], hq["paused_extensions"]) == (1, False, None, ["1002"])
    assert [(lane["waiting"], lane["pause"] and lane["pause"]["by"]) for lane in hq["lanes"]] == [
        (1, None),
        (2, "anna"),
    ]

    run("pause", "hq", "--extension", "1003")
    assert "takes calls; 2 extensions are paused (2 waiting)" in run("lanes").stdout
    run("pause", "hq", *ANNA)
    run("pause", "--all", "--reason", "fire drill")
    assert "everything is paused (since TIME, by ME): fire drill; paused (since TIME, by anna): the PBX is" in (
        plain(run("lanes").stdout)
    )
    hq = json.loads(run("lanes", "--json").stdout)[0]
    assert (hq["pause"]["reason"], hq["everything_pause"]["reason"]) == ("the PBX is being replaced", "fire drill")


def test_why_and_status_name_the_author_of_each_pause(run: Run, dialer: Dialer, hopper: Hopper) -> None:
    hopper.register("hq", pbx_settings())
    hopper.heartbeat("w", slots=1, ttl_s=600)
    job_id = dialer.enqueue(extid="1002", outto="41000").id
    for args in (("--all",), ("hq",), ("hq", "--extension", "1002")):
        run("pause", *args, *ANNA)

    found = json.loads(run("why", job_id, "--json").stdout)["obstacles"]
    author = "(since TIME, by anna): the PBX is being replaced"
    assert [(one["kind"], plain(one["sentence"]), one["advice"]) for one in found[:3]] == [
        ("everything_paused", f"everything is paused {author}", "`outdial resume --all` lifts that"),
        ("pbx_paused", f"PBX hq is paused {author}", "`outdial resume hq` lifts that"),
        (
            "extension_paused",
            f"extension 1002 of PBX hq is paused {author}",
            "`outdial resume hq --extension 1002` lifts that",
        ),
    ]
    assert all(one["needs_person"] for one in found[:3])
    for args in (("--all",), ("hq",)):
        run("resume", *args)
    assert "extension 1002 of PBX hq is paused" in json.loads(run("status", job_id, "--json").stdout)["waits_for"]
    run("resume", "hq", "--extension", "1002")
    assert "paused" not in run("status", job_id).stdout


def test_the_doctor_names_the_authors(run: Run, hopper: Hopper, config: str) -> None:
    for args in (("--all",), ("hq",), ("hq", "--extension", "1002")):
        run("pause", *args, *ANNA)
    hopper.pause("gone")
    settings = Settings.load(config)
    hopper.unreachable("hq", reason="down", by="look", asked_rest_s=60)  # no request leaves for it

    found = {(one.subject, plain(one.text), one.advice) for one in examine(settings)}

    author, later = "(since TIME, by anna): the PBX is being replaced", "when dialing may go on"
    assert {
        ("pause", f"everything is paused {author}", f"`outdial resume --all` {later}"),
        (
            "pause",
            "PBX gone is paused (since TIME), and that PBX is not in the settings",
            f"`outdial resume gone` {later}",
        ),
        ("pbx hq", f"is paused {author}", f"`outdial resume hq` {later}"),
        ("pbx hq", f"extension 1002 is paused {author}", f"`outdial resume hq --extension 1002` {later}"),
    } <= found


def test_a_watch_names_the_authors(run: Run) -> None:
    run("pause", "hq", "--extension", "1002", *ANNA)
    run("pause", "branch", *ANNA)
    shown = run("watch", "--once").stdout
    assert re.search(r"· branch is paused \([0-9]+ s ago, by anna\)", shown)
    assert re.search(r"· hq: extension 1002 is paused.* -> outdial resume hq --extension 1002", shown)


# --- cancel ------------------------------------------------------------------------------------------------------


def test_a_cancelled_job_shows_who_cancelled_it_and_why(run: Run, dialer: Dialer) -> None:
    job_id = dialer.enqueue(extid="1001", outto="0901234567").id
    reason = "the lead asked not to be called, says the sales department; number 0901234567"
    author = "anna.of.the.night.shift@dialer-1"
    assert run("cancel", job_id, "--by", author, "--reason", reason).exit_code == 0
    assert run("cancel", job_id, "--reason", "again").exit_code == 0

    last = json.loads(run("status", job_id, "--json").stdout)["timeline"][-1]
    assert (last["state"], last["by"]) == ("cancelled", author)
    assert last["reason"].startswith("the lead asked not to be called, says the sales department; number x")
    assert "the sales department" in run("status", job_id).stdout
    assert [(one["by"], one["act"], one["subject"], one["details"]) for one in audited(run)] == [
        (author, "cancel", job_id, {"jobs": 1})
    ]


# --- audit -------------------------------------------------------------------------------------------------------


@pytest.fixture
def busy_day(run: Run, dialer: Dialer) -> str:
    """Some acts; the id of the job that was cancelled."""
    job_id = dialer.enqueue(extid="1001", outto="41000").id
    run("pause", "--all", *ANNA)
    run("pause", "hq", "--extension", "1002", "--by", "bert")
    run("cancel", job_id, "--by", "anna", "--reason", "wrong campaign " * 10)
    run("resume", "--all")
    key_id = json.loads(run("keys", "create", "crm", "--json").stdout)["id"]
    run("keys", "revoke", key_id, "--by", "bert", "--reason", "leaked")
    return job_id


def test_the_audit_lists_who_did_what_oldest_first(run: Run, busy_day: str) -> None:
    assert [(one["by"], one["act"]) for one in audited(run)] == [
        ("anna", "pause"),
        ("bert", "pause"),
        ("anna", "cancel"),
        (login_name(), "resume"),
        (login_name(), "create_key"),
        ("bert", "revoke_key"),
    ]
    first = audited(run)[0]
    assert (first["subject"], first["reason"], first["details"]) == ("*", "the PBX is being replaced", {})
    lines = run("audit").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert [plain(line) for line in lines[:5]] == [
        "at                    act               subject",
        "TIME  pause             everything",
        "                      by anna: the PBX is being replaced",
        "TIME  pause             extension 1002 of PBX hq",
        "                      by bert",
    ]
    assert any(line.endswith(busy_day) for line in lines)


@pytest.mark.parametrize(
    ("args", "count"),
    [
        (["--act", "pause"], 2),
        (["--act", "pause,resume"], 3),
        (["--act", "pause", "--act", "revoke_key"], 3),
        (["--by", "bert"], 2),
        (["--by", "bert", "--act", "pause"], 1),
        (["--since", "1h"], 6),
        (["--until", "1h"], 0),
        (["--since", "2999-01-01T00:00:00Z"], 0),
    ],
)
def test_the_audit_is_filtered(run: Run, busy_day: str, args: list[str], count: int) -> None:
    assert len(audited(run, *args)) == count


def test_the_audit_of_an_installation_where_nobody_acted(run: Run) -> None:
    assert run("audit", "--json").stdout == ""
    assert run("audit").stdout == "at                    act               subject\n"
