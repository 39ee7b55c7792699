"""Counting the jobs of the last day that are unknown still, a piece at a time."""

import pytest
import redis

from tests.integration.hopper.stage import Stage
from worker.hopper import Unknowns
from worker.jobs import JobState


def end_as_unknown(stage: Stage, count: int) -> list[str]:
    jobs = []
    for n in range(count):
        job_id, claim = stage.claimed(str(1000 + n), nonce=f"n{n}")
        assert stage.finish(job_id, f"n{n}", claim, JobState.UNKNOWN) is not None
        jobs.append(job_id)
    return jobs


def test_unknown_jobs_are_counted_however_few_are_looked_at_in_one_go(stage: Stage) -> None:
    first = end_as_unknown(stage, 5)
    unknowns = Unknowns(stage.hopper, most=2)
    assert [(unknowns.count(), unknowns.is_complete) for _ in range(4)] == [
        (2, False),
        (4, False),
        (5, True),
        (5, True),
    ]
    stage.hopper.resolve(first[0], "failed")
    stage.hopper.resolve(first[4], "redial")
    counts = [unknowns.count() for _ in range(4)]
    assert counts[-1] == 3


def test_an_unknown_job_that_ends_now_is_counted_at_once(stage: Stage) -> None:
    unknowns = Unknowns(stage.hopper)
    assert unknowns.count() == 0
    assert unknowns.is_complete
    [job_id] = end_as_unknown(stage, 1)
    assert unknowns.count() == 1
    stage.hopper.resolve(job_id, "placed", callid="1790000000.1")
    assert unknowns.count() == 0


def test_counting_unknown_jobs_goes_on_after_redis_was_away(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    unknowns = Unknowns(stage.hopper)
    unknowns.count()
    end_as_unknown(stage, 2)
    with monkeypatch.context() as patched:

        def away(*_args: object, **_options: object) -> None:
            raise redis.ConnectionError

        patched.setattr(unknowns._client, "pipeline", away)
        with pytest.raises(redis.ConnectionError):
            unknowns.count()
    assert unknowns.count() == 2
