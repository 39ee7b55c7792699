"""Names and reasons in a timeline, cut to their places."""

import pytest
import redis

from tests.integration.hopper.stage import Stage
from worker.hopper import Hopper
from worker.jobs import JobState


@pytest.mark.parametrize("before", range(25))
def test_a_name_too_long_for_a_timeline_is_not_cut_within_a_character(
    stage: Stage, client: "redis.Redis", namespace: str, before: int
) -> None:
    job_id, claim = stage.claimed()
    actor = Hopper(client, namespace=namespace, retain_s=600, actor="a" * before + "üß€" * 8)
    actor.finish(job_id, "n1", JobState.FAILED, claim, errno="ü" * 40, error="x")
    last = stage.hopper.timeline(job_id)[-1]
    assert is_cut_of(last.who, "a" * before + "üß€" * 8, most=24)
    assert is_cut_of(last.reason, "ü" * 40, most=64)


def is_cut_of(shown: str, whole: str, *, most: int) -> bool:
    return whole.startswith(shown) and len(shown.encode()) <= most
