"""What the doctor asks: since when a breaker has been open, and how much memory is left."""

import pytest

from tests.integration.hopper.stage import Stage
from worker.health import memory_finding, persistence_finding
from worker.hopper import Breaker, ServerView


def test_a_breaker_remembers_since_when_it_has_been_open(stage: Stage) -> None:
    for _ in range(3):
        stage.hopper.unreachable("hq", reason="no route", by="look")
    since = stage.hopper.breaker("hq").since
    assert abs(stage.hopper.now() - since) < 5
    stage.hopper.client.hset(stage.hopper.keys.pbx("hq"), "barred_until", "1")
    assert stage.hopper.breaker("hq").state == "half-open"
    stage.hopper.unreachable("hq", reason="no route", by="look")
    assert (stage.hopper.breaker("hq").state, stage.hopper.breaker("hq").since) == ("open", since)
    stage.hopper.client.hset(stage.hopper.keys.pbx("hq"), "barred_until", "1")
    job_id, claim = stage.claimed()
    stage.finish(job_id, "n1", claim)
    assert stage.hopper.breaker("hq") == Breaker("closed", 0, 0, "")


@pytest.mark.parametrize(
    ("used", "most", "level", "words"),
    [
        (2**20, 0, "ok", "1 MiB used, maxmemory is not set"),
        (79 * 2**20, 100 * 2**20, "ok", "79 of 100 MiB used"),
        (80 * 2**20, 100 * 2**20, "warning", "80 of 100 MiB used: nearly full"),
        (99 * 2**20, 100 * 2**20, "bad", "99 of 100 MiB used: it is full, takes no jobs, and no call is begun"),
    ],
)
def test_memory_is_told_before_it_runs_out(used: int, most: int, level: str, words: str) -> None:
    finding = memory_finding(ServerView("9.1", used, most, is_append_only=True, replicas=0, is_replica=False))
    assert (finding.level, finding.text) == (level, words)
    assert bool(finding.advice) == (level != "ok")


@pytest.mark.parametrize(
    ("is_append_only", "late_writes", "advice"),
    [(True, 0, ""), (True, 3, "set appendfsync always"), (False, 0, "set appendonly yes")],
)
def test_a_redis_that_may_forget_is_told(is_append_only: bool, late_writes: int, advice: str) -> None:
    server = ServerView(
        "9.1", 0, 0, is_append_only=is_append_only, replicas=0, is_replica=False, late_writes=late_writes
    )
    assert persistence_finding(server).advice.endswith(advice)
    assert persistence_finding(server).level == ("warning" if advice else "ok")
