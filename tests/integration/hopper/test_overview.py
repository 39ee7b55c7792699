"""The installation at a glance."""

import pytest

from tests.integration.hopper.stage import Stage, in_s
from worker.hopper import PbxGlance
from worker.jobs import Priority


def glance(stage: Stage, name: str = "hq") -> PbxGlance:
    [one] = stage.hopper.overview([name]).pbxs
    return one


def test_a_pbx_shows_what_waits_by_priority_and_for_how_long(stage: Stage) -> None:
    stage.open_pbx(open_call_s=60, calls_per_second=3, burst=2, max_open_calls=7)
    stage.claimed("1001")
    stage.put_each(["1001", "1001", "1002"], priority="bulk")
    stage.put("1003", priority="urgent")
    stage.put("1004", not_before=in_s(60))
    stage.release(1)

    seen = glance(stage)

    assert seen.waiting == {Priority.URGENT: 0, Priority.NORMAL: 0, Priority.BULK: 3}
    assert (seen.waiting_in_all, seen.later, seen.released, seen.open_calls) == (3, 1, 1, 1)
    assert seen.oldest_s[Priority.URGENT] == seen.oldest_s[Priority.NORMAL] == 0
    assert 0 < seen.oldest_s[Priority.BULK] == seen.oldest_in_all_s < 60
    assert (seen.calls_per_second, seen.burst, seen.max_open_calls) == (3, 2, 7)
    assert (seen.is_known, seen.is_logged_in, seen.is_paused, seen.in_doubt) == (True, True, False, 0)
    assert (seen.breaker.state, seen.barred_by) == ("closed", "")


def test_a_job_that_comes_back_is_as_old_as_before(stage: Stage) -> None:
    stage.open_pbx()
    job_id = stage.put()
    stage.hopper.client.hset(stage.hopper.keys.job(job_id), "enqueued_at", f"{stage.hopper.now() - 500:.6f}")
    stage.release()
    assert glance(stage).oldest_in_all_s == 0
    stage.hopper.hand_back(job_id)

    assert glance(stage).oldest_in_all_s == pytest.approx(500, abs=60)


def test_everything_that_stops_calls_shows(stage: Stage) -> None:
    stage.open_pbx()
    stage.doubted("1001")
    stage.unreachable()
    stage.hopper.pause("hq")
    stage.hopper.pause()

    seen, all_of_it = glance(stage), stage.hopper.overview(["hq"])

    assert (seen.is_paused, seen.in_doubt, seen.breaker.state, seen.breaker.reason) == (True, 1, "open", "down")
    assert (seen.barred_by, all_of_it.everything_paused) == ("down", True)
    assert seen.breaker.seconds > 0


def test_many_pbxs_come_in_the_order_they_are_asked_for(stage: Stage) -> None:
    stage.open_pbx("last")
    stage.put("1001", pbx="last")
    stage.hopper.heartbeat("w@host", slots=16, ttl_s=60)

    seen = stage.hopper.overview([f"p{number}" for number in range(120)] + ["last"])

    assert [one.name for one in seen.pbxs[:2]] == ["p0", "p1"]
    assert [one.is_known for one in seen.pbxs] == [False] * 120 + [True]
    assert seen.pbxs[-1].waiting_in_all == 1
    assert (seen.workers, seen.undelivered, seen.set_aside) == ({"w@host": 16}, 0, 0)
    assert stage.hopper.overview([]).workers == {"w@host": 16}


def test_jobs_put_and_released_by_an_older_version_are_told_as_far_as_can_be(stage: Stage) -> None:
    stage.open_pbx()
    stage.put_each(["1001", "1001", "1002"])
    waits = f"{stage.hopper.keys.namespace}:waits:hq:1"
    stage.hopper.client.delete(waits)
    assert glance(stage).waiting_in_all == 2, "as many as lanes"
    assert glance(stage).oldest_in_all_s > 0

    gone = stage.release()
    stage.hopper.client.zadd(waits, dict.fromkeys(gone, 1.0))
    assert (glance(stage).waiting_in_all, glance(stage).oldest_in_all_s > 60) == (1, False)
    assert not stage.hopper.client.exists(waits)
