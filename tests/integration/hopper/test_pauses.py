"""Pauses have an author, and one extension can be paused alone."""

import json

import pytest

from tests.integration.hopper.stage import Stage, eventually, in_s
from worker.hopper import Back, Hopper, LaneView, Pause
from worker.jobs import Priority


def acting(stage: Stage, name: str) -> Hopper:
    return stage.hopper.acting_as(name)


def calls(stage: Stage, name: str) -> int:
    """How often the server has run a command, those within scripts included."""
    found = stage.hopper.client.info("commandstats").get(f"cmdstat_{name}", {"calls": 0})
    return int(found["calls"])


# --- authors -------------------------------------------------------------------------------------------------


def test_a_pause_keeps_who_set_it_when_and_why(stage: Stage) -> None:
    before = stage.hopper.now()
    acting(stage, "anna@dialer-1").pause("hq", reason="the PBX is being replaced")
    acting(stage, "crm@api").pause()
    acting(stage, "bert@dialer-1").pause("hq", "1002", reason="on holiday")

    everything, hq, extension = stage.hopper.pauses()
    assert (everything.pbx, everything.extid, everything.by, everything.reason) == ("*", "", "crm@api", "")
    assert (hq.pbx, hq.extid, hq.by, hq.reason) == ("hq", "", "anna@dialer-1", "the PBX is being replaced")
    assert (extension.pbx, extension.extid, extension.by) == ("hq", "1002", "bert@dialer-1")
    assert before - 1 <= hq.at <= stage.hopper.now()
    assert [pause.subject for pause in stage.hopper.pauses()] == [
        "everything",
        "PBX hq",
        "extension 1002 of PBX hq",
    ]


@pytest.mark.parametrize("extid", ["", "1002"])
def test_a_pause_that_stands_keeps_its_first_author(stage: Stage, extid: str) -> None:
    assert acting(stage, "anna").pause("hq", extid, reason="first")
    assert not acting(stage, "bert").pause("hq", extid, reason="second")

    [pause] = stage.hopper.pauses()
    assert (pause.by, pause.reason) == ("anna", "first")


@pytest.mark.parametrize("place", [("hq", ""), ("hq", "1002"), ("*", "")])
def test_a_resume_returns_who_had_paused_it(stage: Stage, place: tuple[str, str]) -> None:
    acting(stage, "anna").pause(*place, reason="why")

    lifted = stage.hopper.resume(*place)

    assert lifted is not None
    assert (lifted.pbx, lifted.extid, lifted.by, lifted.reason) == (*place, "anna", "why")
    assert stage.hopper.resume(*place) is None
    assert stage.hopper.pauses() == []


def test_a_pause_of_an_older_version_has_no_author_and_can_be_lifted(stage: Stage) -> None:
    stage.hopper.client.sadd(stage.hopper.keys.paused, "hq", "*")

    assert stage.hopper.pauses() == [Pause("*"), Pause("hq")]
    seen = stage.hopper.overview(["hq"])
    assert (seen.everything_pause, seen.pbxs[0].pause) == (Pause("*"), Pause("hq"))
    assert stage.hopper.view("hq").pause == Pause("hq")
    assert not stage.hopper.pause("hq", reason="it stands already")
    assert stage.hopper.resume("hq") == Pause("hq")
    assert stage.hopper.resume() == Pause("*")


def test_the_author_of_a_pause_that_an_older_version_lifted_is_not_that_of_the_next(stage: Stage) -> None:
    acting(stage, "anna").pause("hq", reason="first")
    stage.hopper.client.srem(stage.hopper.keys.paused, "hq")
    assert stage.hopper.pauses() == []
    assert stage.hopper.overview(["hq"]).pbxs[0].pause is None

    acting(stage, "bert").pause("hq")
    [pause] = stage.hopper.pauses()
    assert (pause.by, pause.reason) == ("bert", "")


@pytest.mark.parametrize("spoiled", ["", "nonsense", "[]", '{"at": "x"}', '{"at": null}'])
def test_a_spoiled_author_is_no_author(stage: Stage, spoiled: str) -> None:
    stage.hopper.pause("hq")
    stage.hopper.client.hset(stage.hopper.keys.pauses, "hq", spoiled)

    assert stage.hopper.pauses() == [Pause("hq")]
    assert stage.hopper.overview(["hq"]).pbxs[0].pause == Pause("hq")


def test_numbers_and_secrets_in_a_reason_are_masked(stage: Stage) -> None:
    stage.hopper.pause("hq", reason="asked by +44 20 7946 0123,\ntoken=abcdef")

    [pause] = stage.hopper.pauses()
    assert "7946" not in pause.reason
    assert "abcdef" not in pause.reason
    assert "\n" not in pause.reason


def test_an_overview_and_a_view_show_the_authors(stage: Stage) -> None:
    acting(stage, "anna").pause("hq", reason="one")
    acting(stage, "bert").pause(reason="two")

    seen = stage.hopper.overview(["hq", "other"])
    assert seen.everything_pause is not None
    assert (seen.everything_pause.by, seen.everything_pause.reason) == ("bert", "two")
    assert [glance.pause and glance.pause.by for glance in seen.pbxs] == ["anna", None]
    view = stage.hopper.view("hq")
    assert view.pause is not None
    assert (view.paused, view.pause.by) == (True, "anna")
    assert (stage.hopper.view("other").paused, stage.hopper.view("other").pause) == (True, None)


# --- one extension -------------------------------------------------------------------------------------------


def test_a_paused_extension_waits_and_holds_up_no_other(stage: Stage) -> None:
    held, other = stage.put("1002"), stage.put("1001")
    stage.hopper.pause("hq", "1002")

    assert stage.release() == [other]
    assert stage.release() == []
    stage.hopper.resume("hq", "1002")
    assert stage.release() == [held]


def test_the_same_extension_of_another_pbx_goes_on(stage: Stage) -> None:
    stage.open_pbx("branch")
    stage.hopper.pause("hq", "1002")
    stage.put("1002")
    other = stage.put("1002", pbx="branch")

    assert stage.release() == [other]


def test_a_job_put_for_a_paused_extension_waits(stage: Stage) -> None:
    stage.hopper.pause("hq", "1002")
    held = stage.put("1002", priority="urgent")

    assert stage.release() == []
    stage.hopper.resume("hq", "1002")
    assert stage.release() == [held]


def test_a_job_whose_time_comes_while_its_extension_is_paused_waits(stage: Stage) -> None:
    due = in_s(0.05)
    held = stage.put("1002", not_before=due)
    stage.hopper.pause("hq", "1002")

    eventually(lambda: stage.hopper.now() > due.timestamp())
    assert stage.release() == []
    stage.hopper.resume("hq", "1002")
    assert stage.release() == [held]


def test_a_pause_between_release_and_claim_sends_the_job_of_the_extension_back(stage: Stage) -> None:
    job_id = stage.put("1002")
    stage.release()
    stage.hopper.pause("hq", "1002")

    back = stage.claim(job_id)
    assert isinstance(back, Back)
    assert (back.pbx, back.reason) == ("hq", "paused")
    assert stage.hopper.record(job_id).get("attempts", "0") == "0"
    assert stage.release() == []
    stage.hopper.resume("hq", "1002")
    assert stage.release() == [job_id]


def test_a_pause_of_an_extension_does_not_touch_its_call_under_way(stage: Stage) -> None:
    job_id, claim = stage.claimed("1002")
    stage.hopper.pause("hq", "1002")

    assert stage.finish(job_id, "n1", claim) is not None


def test_a_paused_extension_is_no_reason_for_the_pacer_to_look_again(stage: Stage) -> None:
    stage.open_pbx(open_call_s=0.05, extension_rest_s=0.01)
    job_id, claim = stage.claimed("1002")
    stage.put("1002")
    stage.hopper.pause("hq", "1002")
    stage.finish(job_id, "n1", claim)
    eventually(lambda: (stage.score("exts:hq", "1002") or 0) < stage.hopper.now())

    assert eventually(lambda: stage.release() == [] and stage.sleep_s is None)
    assert stage.score("ring:hq:1", "1002") is None
    assert stage.score("pbxs", "hq") is None


def test_a_resume_of_an_extension_wakes_the_pacer(stage: Stage) -> None:
    stage.hopper.pause("hq", "1002")
    stage.put("1002")
    stage.release()
    stage.hopper.client.delete(stage.hopper.keys.wake)

    stage.hopper.resume("hq", "1002")

    assert stage.hopper.client.llen(stage.hopper.keys.wake) == 1
    assert stage.score("ring:hq:1", "1002") is not None


def test_a_resume_of_the_pbx_leaves_its_paused_extensions(stage: Stage) -> None:
    held, other = stage.put("1002"), stage.put("1001")
    stage.hopper.pause("hq", "1002")
    stage.hopper.pause("hq")
    assert stage.release() == []

    stage.hopper.resume("hq")
    stage.hopper.resume()

    assert stage.release() == [other]
    stage.hopper.pause("hq")
    stage.hopper.resume("hq", "1002")
    assert stage.release() == []
    stage.hopper.resume("hq")
    assert stage.release() == [held]


def test_jobs_of_a_paused_extension_can_be_cancelled_and_expire(quick: Stage) -> None:
    cancelled, expiring = quick.put("1002"), quick.put("1002", expires_at=in_s(0.05))
    quick.hopper.pause("hq", "1002")

    assert quick.hopper.cancel(cancelled) == ("cancelled", "cancelled")
    assert eventually(lambda: quick.sweep() and quick.state(expiring) == "expired")
    assert quick.hopper.resume("hq", "1002")
    assert quick.release() == []


def test_jobs_of_paused_extensions_are_not_counted_as_those_that_may_go(stage: Stage) -> None:
    stage.put_each(["1002", "1002"])
    stage.put("1002", priority="bulk")
    stage.hopper.client.hset(
        stage.hopper.keys.job(stage.put("1001")), "enqueued_at", f"{stage.hopper.now() - 500:.6f}"
    )
    acting(stage, "anna").pause("hq", "1002", reason="on holiday")

    [glance] = stage.hopper.overview(["hq"]).pbxs
    assert glance.waiting == {Priority.URGENT: 0, Priority.NORMAL: 1, Priority.BULK: 0}
    assert glance.oldest_s[Priority.BULK] == 0
    [lane] = glance.paused_lanes
    assert lane.pause is not None
    assert (lane.extid, lane.waiting, lane.busy_s, lane.pause.by) == ("1002", 3, 0, "anna")
    assert not glance.is_paused

    view = stage.hopper.view("hq")
    assert view.waiting == 1
    assert view.lanes == (LaneView("1001", 1, 0.0), lane)
    assert (view.paused, view.pause) == (False, None)


def test_why_names_the_pause_of_an_extension(stage: Stage) -> None:
    job_id = stage.put("1002")
    acting(stage, "anna").pause("hq", "1002", reason="on holiday")

    found = stage.hopper.why(job_id)
    assert (found["extension_paused"], found["paused"], found["all_paused"]) == (True, False, False)
    assert json.loads(found["pauses"]["hq/1002"])["by"] == "anna"
    assert stage.hopper.why(stage.put("1001"))["pauses"] in ({}, [])


def test_the_gate_costs_one_command_a_claim_and_one_a_round(stage: Stage) -> None:
    stage.open_pbx(calls_per_second=1000, burst=100)
    job_ids = stage.put_each([str(extid) for extid in range(1000, 1010)])
    before = calls(stage, "hexists")
    assert sorted(stage.release()) == sorted(job_ids)
    assert calls(stage, "hexists") == before, "where nothing is paused, releases look once for all"
    for number, job_id in enumerate(job_ids):
        stage.go(job_id, f"n{number}")
    assert calls(stage, "hexists") == before + 10
