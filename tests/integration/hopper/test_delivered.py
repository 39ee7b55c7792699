"""Results leave the outbox only on the server that holds them, and their announcements."""

import json

import pytest
import redis

from tests.integration.hopper.post import Post
from tests.integration.hopper.stage import QUICK, QUICK_LOOKS, Stage, in_s
from worker.hopper import Delivered, Hopper
from worker.jobs import DialResult


@pytest.fixture(params=[0, 1], ids=["the jobs' database", "another database"])
def beside(request: pytest.FixtureRequest, client: "redis.Redis", namespace: str) -> Stage:
    """A hopper whose results are on its own server."""
    hopper = Hopper(
        client, namespace=namespace, retain_s=600, limits=QUICK, looks=QUICK_LOOKS, result_database=request.param
    )
    made = Stage(hopper, queue=f"{namespace}.dial")
    made.open_pbx()
    return made


def end(stage: Stage, extid: str = "1001") -> DialResult:
    """Place one call, and return its result."""
    job_id, claim = stage.claimed(extid)
    result = stage.finish(job_id, "n1", claim)
    assert result is not None
    return result


def store(stage: Stage, result: DialResult, *, status: str = "SUCCESS") -> dict[str, str]:
    """Store a result as Celery does; returns its key."""
    key = f"{stage.hopper.keys.namespace}:result:{result.job_id}"
    where = stage.hopper.client.get_connection_kwargs() | {"db": stage.hopper._result_database}
    with redis.Redis(**{name: where[name] for name in ("host", "port", "password", "db")}) as backend:
        backend.set(key, json.dumps({"status": status, "result": result.plain()}), ex=60)
    return {result.job_id: key}


def test_a_result_leaves_the_outbox_of_the_server_that_holds_it(beside: Stage) -> None:
    result = end(beside)

    assert beside.hopper.delivered([result], keys=store(beside, result)) == Delivered(taken=(result,))
    assert beside.sweep() == []


def test_a_result_that_another_server_took_stays(beside: Stage) -> None:
    result = end(beside)

    lost = beside.hopper.delivered([result], keys={result.job_id: "celery-task-meta-elsewhere"})
    assert lost == Delivered(missing=(result,))
    assert beside.sweep() == [result.job_id]
    # The next attempt is an ordinary one, on a connection made anew.
    assert beside.hopper.delivered([result], keys=store(beside, result)).taken == (result,)


def test_an_older_result_does_not_stand_for_a_newer_one(beside: Stage) -> None:
    job_id, claim = beside.unknown()
    older = beside.hopper.result(job_id)
    assert older is not None
    keys = store(beside, older, status="FAILURE")
    newer = beside.finish(job_id, "n1", claim)
    assert newer is not None

    assert beside.hopper.delivered([newer], keys=keys).missing == (newer,)
    assert beside.hopper.delivered([newer], keys=store(beside, newer)).taken == (newer,)


def test_a_success_that_celery_does_not_overwrite_ends_the_matter(beside: Stage) -> None:
    # The holder of the claim stored it, and the primary that knew it was replaced by one that found out nothing.
    job_id, _ = beside.unknown()
    unknown = beside.hopper.result(job_id)
    assert unknown is not None
    placed = unknown.model_copy(update={"finished_at": in_s(-60)})

    assert beside.hopper.delivered([unknown], keys=store(beside, placed, status="FAILURE")).missing == (unknown,)
    assert beside.hopper.delivered([unknown], keys=store(beside, placed)).taken == (unknown,)


def test_one_missing_result_does_not_hold_up_the_others(beside: Stage) -> None:
    here, elsewhere = end(beside, "1001"), end(beside, "1002")
    keys = store(beside, here) | {elsewhere.job_id: "celery-task-meta-elsewhere"}

    assert beside.hopper.delivered([elsewhere, here], keys=keys) == Delivered((here,), (elsewhere,))
    assert beside.sweep() == [elsewhere.job_id]


def test_a_result_in_a_place_of_another_kind_is_missing(beside: Stage) -> None:
    result = end(beside)

    known = beside.hopper.keys.job(result.job_id)  # a hash; in another database nothing
    assert beside.hopper.delivered([result], keys={result.job_id: known}).missing == (result,)


def test_results_of_another_backend_are_not_looked_for(stage: Stage) -> None:
    result = end(stage)

    assert stage.hopper.delivered([result], keys={result.job_id: "celery-task-meta-x"}).taken == (result,)


def test_a_result_whose_announcement_another_server_took_stays(stage: Stage) -> None:
    result = end(stage)

    assert stage.hopper.delivered([result], announced={result.job_id}).missing == (result,)
    assert stage.sweep() == [result.job_id]
    assert Post(stage).announce(result.job_id, "crm") == 1
    assert stage.hopper.delivered([result], announced={result.job_id}).taken == (result,)


def test_the_announcement_of_an_older_end_does_not_stand_for_a_newer_one(quick: Stage) -> None:
    job_id, claim = quick.unknown()
    Post(quick).announce(job_id, "crm")
    newer = quick.finish(job_id, "n1", claim)
    assert newer is not None

    assert quick.hopper.delivered([newer], announced={job_id}).missing == (newer,)
    Post(quick).announce(job_id, "crm")
    assert quick.hopper.delivered([newer], announced={job_id}).taken == (newer,)
