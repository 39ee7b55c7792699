"""What holds a job back, as one step lists it."""

from typing import Any

import pytest

from tests.integration.hopper.stage import Stage, eventually, in_s


def facts(stage: Stage, job_id: str) -> dict[str, Any]:
    """Ask, and see that asking changes nothing."""
    before = stage.snapshot()
    found = stage.hopper.why(job_id)
    assert stage.snapshot() == before
    return found


def test_nothing_is_known_of_a_job_that_never_was(stage: Stage) -> None:
    assert facts(stage, "nobody") == {}


def test_a_job_that_may_go_now_is_held_back_by_nothing(stage: Stage) -> None:
    found = facts(stage, stage.put())

    assert (found["state"], found["pbx"], found["extid"]) == ("waiting", "hq", "1001")
    assert (found["known"], found["breaker"], found["logged_in"]) == (True, "closed", True)
    assert (found["paused"], found["all_paused"], found["logging_in"]) == (False, False, False)
    assert (found["position"], found["lanes_ahead"], found["permit_in_s"]) == (0, 0, 0)
    assert (found["lines"], found["most_lines"], found["lease_until"], found["leased_to"]) == (0, 1000, 0, "")
    assert found["now"] == pytest.approx(stage.hopper.now(), abs=5)


def test_its_place_behind_others_of_its_lane_and_behind_other_lanes(stage: Stage) -> None:
    stage.put_each(["1002", "1003"], priority="urgent")
    first, second, third = stage.put_each(["1001", "1001", "1001"])

    assert [facts(stage, job_id)["position"] for job_id in (first, second, third)] == [0, 1, 2]
    assert [facts(stage, job_id)["ahead"] for job_id in (first, second, third)] == ["", first, second]
    assert facts(stage, first)["lanes_ahead"] == 2


def test_the_job_that_has_its_extension_and_until_when(stage: Stage) -> None:
    stage.open_pbx(open_call_s=40, extension_rest_s=7, max_open_calls=2)
    holder, _ = stage.claimed("1001")
    first_over, _ = stage.doubted("1002", nonce="n2")

    found = facts(stage, stage.put("1001"))

    assert found["leased_to"] == holder
    assert found["lease_until"] == pytest.approx(stage.score("exts:hq", "1001"), rel=0, abs=1e-3)
    assert (found["lines"], found["most_lines"]) == (2, 2)
    assert found["line_free_at"] == pytest.approx(stage.score("lines:hq", first_over), rel=0, abs=1e-3)
    assert (found["open_call_s"], found["extension_rest_s"]) == (40, 7)


@pytest.mark.parametrize("what", ["pbx", "everything"])
def test_a_pause(stage: Stage, what: str) -> None:
    job_id = stage.put()
    stage.hopper.pause("hq" if what == "pbx" else "*")

    found = facts(stage, job_id)
    assert (found["paused"], found["all_paused"]) == (what == "pbx", what == "everything")


def test_an_open_breaker_and_a_half_open_one(stage: Stage) -> None:
    job_id = stage.put()
    stage.unreachable(base_s=0.05)

    found = facts(stage, job_id)
    assert found["barred_reason"] == "down"
    assert found["breaker"] == "open"
    assert 0 < found["barred_until"] - found["now"] <= 0.05
    assert eventually(lambda: facts(stage, job_id)["breaker"] == "half-open")


def test_its_time_has_not_come(stage: Stage) -> None:
    due, expires = in_s(60), in_s(120)
    found = facts(stage, stage.put(not_before=due, expires_at=expires))

    assert found["due"] == pytest.approx(due.timestamp(), abs=1e-3)
    assert found["expires_at"] == pytest.approx(expires.timestamp(), abs=1e-3)
    assert found["position"] == -1


def test_no_permit(stage: Stage) -> None:
    stage.open_pbx(calls_per_second=0.1, burst=1)
    stage.claimed("1001")

    assert 9 < facts(stage, stage.put("1002"))["permit_in_s"] <= 10.2


def test_a_pbx_nobody_knows_or_nobody_is_logged_in_to(stage: Stage) -> None:
    stage.open_pbx("branch", logged_in=False)
    job_id = stage.put(pbx="branch")

    assert facts(stage, stage.put(pbx="new"))["known"] is False
    assert (facts(stage, job_id)["logged_in"], facts(stage, job_id)["logging_in"]) == (False, False)
    stage.hopper.login_turn("branch", refused=-1, nonce="a", lease_s=30, spacing_s=0)
    assert facts(stage, job_id)["logging_in"] is True


def test_a_doubt_since_when_and_of_what_kind(stage: Stage) -> None:
    job_id, _ = stage.doubted()

    found = facts(stage, job_id)
    assert (found["state"], found["doubt"]) == ("claimed", "lost_reply")
    assert found["claimed_at"] <= found["doubted_at"] <= found["now"]


def test_a_spoiled_record(stage: Stage) -> None:
    job_id = stage.put()
    stage.hopper.client.hset(stage.hopper.keys.job(job_id), "rank", "?")

    assert facts(stage, job_id) == {"state": "damaged", "damage": "rank is not readable"}
    stage.hopper.cancel(job_id)
    stage.hopper.client.hset(stage.hopper.keys.job(job_id), "rank", "1")
    stage.release()
