"""Jobs are found by their metadata: exactly, with an index or without, and whenever the index began."""

import random

import pytest

from tests.integration.hopper.stage import Stage, job
from worker.hopper import JobFilter, Order
from worker.jobs import JobState

JOBS_PER_BLOCK = 4096


def found(stage: Stage, **metadata: str) -> list[str]:
    return [result.job_id for result in stage.hopper.find_each(JobFilter(metadata=metadata))]


@pytest.mark.parametrize("indexed", [[], ["lead"], ["lead", "campaign"], ["other"]])
def test_all_and_only_the_jobs_with_a_value_are_found(stage: Stage, indexed: list[str]) -> None:
    chance = random.Random(7)
    stage.hopper.index_metadata(indexed)
    leads = [str(chance.randrange(40)) for _ in range(300)]
    ids = [
        stage.put(str(1000 + number), metadata={"lead": lead, "campaign": "a"})
        for number, lead in enumerate(leads)
    ]

    for lead in {*leads, "40"}:
        right = [job_id for job_id, own in zip(ids, leads, strict=True) if own == lead]
        assert found(stage, lead=lead) == right[::-1]
        assert found(stage, lead=lead, campaign="a") == right[::-1]
        assert found(stage, lead=lead, campaign="b") == []


def test_jobs_from_before_the_index_are_found_too(stage: Stage) -> None:
    earlier = stage.put("1001", metadata={"lead": "L-020"})
    stage.hopper.index_metadata(["lead"])
    later = stage.put("1002", metadata={"lead": "L-020"})

    assert found(stage, lead="L-020") == [later, earlier]


def test_an_index_that_was_off_for_a_while_misses_nothing(stage: Stage) -> None:
    stage.hopper.index_metadata(["lead"])
    first = stage.put("1001", metadata={"lead": "1"})
    stage.hopper.index_metadata([])
    second = stage.put("1002", metadata={"lead": "1"})
    stage.hopper.index_metadata(["lead"])
    third = stage.put("1003", metadata={"lead": "1"})

    assert found(stage, lead="1") == [third, second, first]
    assert stage.hopper.index_metadata([]) == []
    assert list(stage.hopper.client.scan_iter(f"{stage.hopper.keys.namespace}:index:*")) == []


def test_each_page_goes_on_where_the_last_one_ended(stage: Stage) -> None:
    stage.hopper.index_metadata(["lead"])
    for extid in range(1000, 1010):
        stage.put(str(extid), metadata={"lead": "1"})
    ids = found(stage, lead="1")

    pages, below = [], ""
    while True:
        page, below = stage.hopper.find(JobFilter(metadata={"lead": "1"}), below=below, most=3)
        pages += [result.job_id for result in page]
        if not below:
            break
    assert pages == ids
    assert len(ids) == 10


def test_the_index_reaches_over_its_blocks(stage: Stage) -> None:
    stage.hopper.index_metadata(["lead"])
    orders = [Order(job(metadata={"lead": str(number % 1000)})) for number in range(2 * JOBS_PER_BLOCK + 10)]
    ids = [receipt.id for receipt in stage.hopper.put_many(orders)]  # type: ignore[union-attr]

    assert found(stage, lead="17") == ids[17::1000][::-1]
    assert found(stage, lead="1000") == []


def test_a_job_that_ended_or_came_back_is_still_found(stage: Stage) -> None:
    stage.hopper.index_metadata(["lead"])
    job_id = stage.put(metadata={"lead": "1"})
    stage.hopper.cancel(job_id)

    assert found(stage, lead="1") == [job_id]
    of_state = JobFilter(metadata={"lead": "1"}, states=(JobState.WAITING,))
    assert list(stage.hopper.find_each(of_state)) == []


def test_a_key_that_comes_again_after_its_record_is_gone_is_found_once(stage: Stage) -> None:
    stage.hopper.index_metadata(["lead"])
    job_id = stage.put(key="k", metadata={"lead": "1"})
    stage.hopper.client.delete(stage.hopper.keys.job(job_id))
    assert stage.put(key="k", metadata={"lead": "1"}) == job_id

    assert found(stage, lead="1") == [job_id]
    stage.release()


def test_sweeps_drop_a_block_none_of_whose_jobs_has_a_record(stage: Stage) -> None:
    stage.hopper.index_metadata(["lead"])
    client, names = stage.hopper.client, stage.hopper.keys.namespace
    stage.put(metadata={"lead": "1"})
    client.set(f"{names}:seq", 3 * JOBS_PER_BLOCK)
    alive = stage.put("1002", metadata={"lead": "1"})
    [first, last] = sorted(client.scan_iter(f"{names}:index:lead:*"))
    client.zremrangebyrank(f"{names}:arrivals", 0, 0)

    for _ in range(5):
        stage.sweep()

    assert list(client.scan_iter(f"{names}:index:lead:*")) == [last]
    assert first.endswith(":0")
    assert found(stage, lead="1") == [alive]
    stage.release()


def test_ten_thousand_jobs_take_at_most_forty_bytes_each(stage: Stage) -> None:
    def memory() -> int:
        names = stage.hopper.client.scan_iter(f"{stage.hopper.keys.namespace}:index*", count=1000)
        return sum(int(stage.hopper.client.memory_usage(name) or 0) for name in names)

    stage.hopper.index_metadata(["lead"])
    list(stage.hopper.put_many(job(metadata={"lead": str(number)}) for number in range(10_000)))

    assert memory() / 10_000 < 10
