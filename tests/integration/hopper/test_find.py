"""Listing jobs page by page: the newest first, each once, however few pass the filters."""

import pytest

from tests.integration.hopper.stage import Stage, job
from worker.hopper import JobFilter, Order, Receipt
from worker.jobs import JobState, RefusedJob


def pages(stage: Stage, wanted: JobFilter, *, most: int, most_looked_at: int = 1000) -> list[list[str]]:
    found, below = [], ""
    while True:
        page, below = stage.hopper.find(wanted, below=below, most=most, most_looked_at=most_looked_at)
        found.append([result.job_id for result in page])
        if not below:
            return found


def test_pages_hold_every_job_once_the_newest_first(stage: Stage) -> None:
    ids = stage.put_each([str(1000 + i) for i in range(7)])

    assert pages(stage, JobFilter(), most=3) == [ids[:3:-1], ids[3:0:-1], ids[:1]]


def test_jobs_that_arrive_between_two_pages_do_not_push_others_twice_into_view(stage: Stage) -> None:
    ids = stage.put_each([str(1000 + i) for i in range(4)])
    first, below = stage.hopper.find(JobFilter(), most=2)
    stage.put("1009")
    second, _ = stage.hopper.find(JobFilter(), below=below, most=2)

    assert [result.job_id for result in (*first, *second)] == ids[::-1]


def test_filters_choose_by_state_pbx_origin_extension_and_time(stage: Stage) -> None:
    stage.open_pbx("branch")
    ended, _ = stage.claimed("1001")
    [hooked] = stage.hopper.put_orders([Order(job("1002"), origin="hook:crm")])
    other = stage.put("1001", pbx="branch")
    [refused] = stage.hopper.put_orders([Order(RefusedJob("invalid_number", "outto: is no number"))])
    assert isinstance(hooked, Receipt)
    assert isinstance(refused, Receipt)
    now = stage.hopper.now()

    def found(**filters: object) -> list[str]:
        return pages(stage, JobFilter(**filters), most=10)[0]  # type: ignore[arg-type]

    assert found(states=(JobState.WAITING,)) == [other, hooked.id]
    assert found(states=(JobState.REFUSED, JobState.CLAIMED)) == [refused.id, ended]
    assert found(pbxs=("branch",)) == [other]
    assert found(pbxs=("hq",)) == [hooked.id, ended]
    assert found(origins=("hook:crm",)) == [hooked.id]
    assert found(extids=("1002",)) == [hooked.id]
    assert found(since=now + 1) == []
    assert found(before=now + 1) == [refused.id, other, hooked.id, ended]
    assert found(before=1.0) == []


def test_a_page_looks_at_so_many_jobs_and_says_where_to_go_on(stage: Stage) -> None:
    ids = stage.put_each(["1001"] * 3 + ["1002"] * 450)

    found = pages(stage, JobFilter(extids=("1001",)), most=10, most_looked_at=200)

    assert [job_id for page in found for job_id in page] == ids[2::-1]
    assert found[0] == []


@pytest.mark.parametrize("spoil", ["gone", "no hash", "state"])
def test_a_record_that_cannot_be_read_is_left_out(stage: Stage, spoil: str) -> None:
    ids = stage.put_each(["1001", "1002", "1003"])
    record = stage.hopper.keys.job(ids[1])
    if spoil == "state":
        stage.hopper.client.hset(record, "state", "?")
    else:
        stage.hopper.client.delete(record)
    if spoil == "no hash":
        stage.hopper.client.set(record, "x")

    assert pages(stage, JobFilter(), most=10) == [[ids[2], ids[0]]]
    stage.release()
