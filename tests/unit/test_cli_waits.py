"""What is said about one job as a whole: the sentence of `status`, and `why` with its earliest time."""

import json
from dataclasses import replace

from producers.facts import Facts
from producers.obstacles import obstacles
from producers.waits import Explanation
from tests.unit.test_cli_obstacles import CLAIMED, LOCKED, NOW, OPEN, READY, RELEASED, TAKEN
from worker.jobs import DialResult

ENDED = {"pbx": "hq", "extid": "1001", "attempts": "1", "enqueued_at": str(NOW - 60), "finished_at": str(NOW - 30)}
TEXT_KEYS = {"job", "held by", "now", "so", "also", "place", "earliest", "expires", ""}


def explained(facts: Facts, result: DialResult | None = None) -> Explanation:
    return Explanation("ID", facts, tuple(obstacles(facts)), result)


def line(facts: Facts, name: str) -> str:
    lines = {text[:10].strip(): text[11:] for text in explained(facts).lines()}
    assert set(lines) <= TEXT_KEYS
    return lines[name]


def test_the_sentence_of_status_holds_the_main_obstacle_and_what_to_do() -> None:
    assert explained(READY).waits_for == "nothing; its turn on PBX hq comes at once"
    paused = explained(replace(READY, paused=True, due=NOW + 5))
    assert paused.waits_for == "PBX hq is paused; `outdial resume hq` lifts that"
    assert explained(replace(READY, lease_until=NOW + 2)).waits_for == "extension 1001 rests for 2 s more"
    assert "has been placing" in str(explained(CLAIMED).waits_for)
    assert explained(replace(READY, state="placed")).waits_for is None
    assert explained(Facts(state="damaged", damage="extid is missing")).waits_for is None
    assert "`outdial resolve ID`" in str(explained(replace(READY, state="unknown")).waits_for)


# --- the earliest time


def test_without_obstacles_it_may_go_now() -> None:
    assert line(READY, "earliest") == "now"
    assert explained(READY).plain()["earliest"] == "2026-11-23T09:00:00.000Z"
    assert explained(READY).plain()["earliest_in_s"] == 0


def test_the_latest_of_all_that_is_sure_is_the_earliest_time() -> None:
    facts = replace(READY, **LOCKED, **TAKEN, leased_state="placed", permit_in_s=3)
    assert explained(facts).earliest == NOW + 42
    assert line(facts, "earliest").startswith("2026-11-23T09:00:42Z, in 42 s; not before that, and later if")
    assert explained(facts).plain()["earliest_in_s"] == 42


def test_a_lease_that_may_end_early_bounds_nothing() -> None:
    facts = replace(READY, **TAKEN, leased_state="claimed")
    assert explained(facts).earliest == 0
    assert line(facts, "earliest") == "at any moment"


def test_where_a_person_has_to_act_no_time_is_promised() -> None:
    assert line(replace(READY, paused=True), "earliest") == "at any moment, once a person has acted"
    facts = replace(READY, paused=True, due=NOW + 60)
    assert line(facts, "earliest").startswith("2026-11-23T09:01:00Z, in 60 s, once a person has acted; ")
    assert explained(facts).plain()["needs_person"] is True


def test_a_job_whose_time_runs_out_before_it_may_go() -> None:
    facts = replace(READY, **LOCKED, expires_at=NOW + 20)
    assert line(facts, "expires") == "2026-11-23T09:00:20Z, in 20 s: before it may go"
    assert explained(facts).plain()["expires_first"] is True
    assert line(replace(READY, expires_at=NOW + 20), "expires") == "2026-11-23T09:00:20Z, in 20 s"
    assert line(replace(READY, expires_at=NOW - 1), "expires") == "2026-11-23T08:59:59Z, which is over"


def test_a_call_that_has_begun_has_no_earliest_time() -> None:
    assert explained(CLAIMED).plain()["earliest"] is None
    assert [text.split()[0] for text in explained(CLAIMED).lines()] == ["job", "now"]
    assert explained(RELEASED).plain()["earliest"] is not None


# --- its place


def test_the_place_is_told_once() -> None:
    assert line(replace(READY, lane_length=3), "place") == "1st of 3 in the lane of extension 1001"
    behind = replace(READY, position=1, lane_length=3, ahead="J")
    assert "\n".join(explained(behind).lines()).count("2nd of 3") == 1
    plain = explained(behind).plain()
    assert (plain["place"], plain["lane_length"], plain["behind"], plain["lanes_ahead"]) == (2, 3, "J", None)
    assert explained(CLAIMED).plain()["place"] is None


# --- ends


def test_an_unknown_job_says_what_to_look_at() -> None:
    facts = replace(READY, state="unknown", claimed_at=NOW - 30, errno="no_reply", error="lost", position=-1)
    said = "\n".join(explained(facts).lines())
    assert "nobody knows whether the phone rang; no_reply: lost" in said
    assert "call records of PBX hq for a call of extension 1001 at 2026-11-23T08:59:30Z" in said
    assert "`outdial resolve ID` and --placed CALLID, --redial or --failed" in said
    assert explained(facts).plain()["needs_person"] is True


def test_an_ended_job_says_what_came_of_it_and_when() -> None:
    result = DialResult.from_record(
        "ID", {**ENDED, "state": "failed", "errno": "10006", "error": "no such number"}
    )
    account = explained(replace(READY, state="failed", position=-1), result)
    assert account.summary == "failed: 10006: no such number, at 2026-11-23T08:59:30Z, 30 s ago"
    assert list(account.lines())[1] == f"so         {account.summary}"
    assert account.plain()["result"] == result.plain()


def test_a_damaged_record_says_what_is_wrong_without_a_number() -> None:
    account = explained(Facts(state="damaged", damage="0901234567 is missing"))
    assert "so nothing dials it any more: xxxxxxxx67 is missing" in account.summary
    assert account.advice == ("enqueue the job again, under another key",)
    assert json.loads(json.dumps(account.plain()))["as_of"] is None


def test_all_that_is_said_is_json() -> None:
    for facts in (READY, RELEASED, CLAIMED, replace(READY, **OPEN, **TAKEN)):
        assert json.loads(json.dumps(explained(facts).plain()))["state"] == facts.state


def test_facts_of_a_later_version_are_left_out() -> None:
    assert Facts.of({"state": "waiting", "moon": "full"}) == Facts(state="waiting")
