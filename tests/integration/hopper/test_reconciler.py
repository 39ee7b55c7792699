"""The looking itself, against a modelled PBX: how often, for whom, and what is told."""

import time
from typing import Any

import pytest
import redis

from tests.conftest import pbx_settings
from tests.integration.hopper.stage import Stage
from tests.integration.hopper.world import Call, ModelledPbx
from worker.hopper import Finished, Go
from worker.jobs import DialResult, Doubt
from worker.pbx import Directory, Sighting
from worker.reconciler import Reconciler
from worker.settings import Settings


class News:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.results: list[DialResult] = []

    def started(self, job_id: str, claim: Go, *, received_at: float) -> None:
        """Nobody tells this here."""

    def ended(self, result: DialResult) -> None:
        self.results.append(result)

    def parked(self, job_id: str, reason: str) -> None:
        """Not looked at."""

    def let_go(self, job_id: str) -> None:
        """Nobody tells this here."""


class CountingPbx(ModelledPbx):
    looks = 0

    def look(self, token: str) -> Sighting:
        self.looks += 1
        return super().look(token)


@pytest.fixture
def pbx() -> CountingPbx:
    return CountingPbx("hq", ["1001", "1002", "1003"])


@pytest.fixture
def news() -> News:
    return News()


def reconciler(stage: Stage, pbx: ModelledPbx, news: News, *, calls_per_second: float = 1000) -> Reconciler:
    hq = pbx_settings(calls_per_second=calls_per_second)
    settings = Settings(redis_url="redis://127.0.0.1:1/0").model_copy(update={"pbx": {"hq": hq}})
    return Reconciler(stage.hopper, settings, news, Directory(stage.hopper, settings, {"hq": pbx}))


def next_look_in_s(stage: Stage) -> float:
    return (stage.score("looks", "hq") or 0) - stage.hopper.now()


def test_one_look_answers_for_all_doubts_of_a_pbx(stage: Stage, pbx: CountingPbx, news: News) -> None:
    jobs = [stage.doubted(extid, nonce=extid, outto="0205550143")[0] for extid in pbx.extids]
    now = time.time()
    pbx.calls = [Call(jobs[0], 7, "1001", "0205550143", is_answered=True, began_at=now, ends_at=now + 60)]

    looking = reconciler(stage, pbx, news)
    looking.look_once()

    assert pbx.looks == 1
    assert [(result.job_id, result.outboundid, result.callid) for result in news.results] == [
        (jobs[0], "97", None)
    ]
    assert [stage.state(job_id) for job_id in jobs] == ["placed", "claimed", "claimed"]
    assert looking.look_once() > 0, "not again at once"
    assert pbx.looks == 1


@pytest.mark.parametrize(("calls_per_second", "least_s"), [(1000, 0.5), (1, 1.5), (0.5, 3.5), (0.01, 9.5)])
def test_looks_leave_half_of_a_slow_pbxs_permits_to_calls(
    stage: Stage, pbx: CountingPbx, news: News, calls_per_second: float, least_s: float
) -> None:
    stage.doubted()
    reconciler(stage, pbx, news, calls_per_second=calls_per_second).look_once()
    assert least_s < next_look_in_s(stage) <= 10


def test_a_pbx_that_is_down_is_asked_again_and_its_breaker_counts(
    stage: Stage, pbx: CountingPbx, news: News
) -> None:
    job_id, _ = stage.doubted()
    pbx.is_down = True
    reconciler(stage, pbx, news).look_once()

    assert stage.state(job_id) == "claimed"
    assert next_look_in_s(stage) > 0
    assert stage.hopper.client.hget(stage.hopper.keys.pbx("hq"), "failures") == "1"
    assert news.results == []


def test_a_job_whose_doubt_cannot_be_ended_holds_up_no_other(
    stage: Stage, pbx: CountingPbx, news: News, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [stage.doubted(extid, nonce=extid, outto="0205550143")[0] for extid in pbx.extids]
    now = time.time()
    pbx.calls = [
        Call(job, n, extid, "0205550143", is_answered=True, began_at=now, ends_at=now + 60)
        for n, (job, extid) in enumerate(zip(jobs, pbx.extids, strict=True))
    ]
    finish = stage.hopper.finish

    def finish_others(job_id: str, *args: Any, **facts: Any) -> Finished | None:
        if job_id == jobs[0]:
            raise redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")
        return finish(job_id, *args, **facts)

    monkeypatch.setattr(stage.hopper, "finish", finish_others)
    reconciler(stage, pbx, news).look_once()

    assert [stage.state(job_id) for job_id in jobs] == ["claimed", "placed", "placed"]
    assert next_look_in_s(stage) > 0, "its turn comes again"


def test_a_job_with_a_callid_is_placed_at_a_pbx_that_cannot_be_asked(
    stage: Stage, pbx: CountingPbx, news: News
) -> None:
    job_id, _ = stage.claimed()
    callid = "1700000000.17"
    stage.hopper.doubt(job_id, "n1", Doubt.LOST_REPLY, errno="unreported", error="-", callid=callid)
    pbx.is_down = True

    reconciler(stage, pbx, news).look_once()

    [result] = news.results
    assert (stage.state(job_id), result.callid, result.errno) == ("placed", callid, None)
