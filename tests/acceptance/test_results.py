"""Results by every way a job can end, in Redis and in another results backend."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import TimeoutError as CeleryTimeoutError

from ops.embedded_redis import EmbeddedRedis
from ops.installation import GENEROUS_S, PATIENT, Installation, installation
from worker.errors import CallNotPlaced, CallOutcomeUnknown, CallWithdrawn
from worker.jobs import DialJob

OPTIONS = ("--extensions", "1000-1019", "--ring-s", "0.02", "--talk-s", "0.05")
NUMBER = "0205550143"


@pytest.fixture(params=["redis", "sqlite"])
def site(
    request: pytest.FixtureRequest, redis_server: EmbeddedRedis, tmp_path: Path, namespace: str
) -> Iterator[Installation]:
    with installation(tmp_path, redis_server, namespace, hq=OPTIONS) as site:
        if request.param == "sqlite":
            site.result_backend = f"db+sqlite:///{tmp_path / 'results.sqlite'}"
        site.write_settings(**PATIENT)
        yield site


def put(site: Installation, extid: str, **fields: Any) -> str:
    return site.hopper.put(DialJob(extid=extid, outto=NUMBER, pbx="hq", metadata={"crm": "7"}, **fields)).id


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Celery leaves SQLAlchemy's connections to the collector
def test_a_plain_celery_client_gets_every_end(site: Installation) -> None:
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    site.pbxs["hq"].fault(kind="drop_before_ring", extid="1003")
    site.hopper.pause()
    cancelled, expired = put(site, "1004"), put(site, "1005", expires_at=in_an_hour)
    assert site.hopper.cancel(cancelled)[0] == "cancelled"
    site.let_expire(expired)
    site.hopper.resume()
    celery = site.plain_celery()
    with site.workers():
        placed, failed, unknown = put(site, "1001"), put(site, "1999"), put(site, "1003")
        got = celery.AsyncResult(placed).get(timeout=GENEROUS_S)
        ends: dict[str, CallNotPlaced] = {}
        for job in (failed, unknown, cancelled, expired):
            with pytest.raises(CallNotPlaced) as raised:
                celery.AsyncResult(job).get(timeout=GENEROUS_S)
            ends[job] = raised.value

    assert (got["state"], got["metadata"]) == ("placed", {"crm": "7"})
    assert got["callid"] == site.pbxs["hq"].rings("1001")[0].callid
    assert (ends[failed].errno, ends[failed].error) == ("10006", "the extension does not exist")
    assert isinstance(ends[unknown], CallOutcomeUnknown)
    for job, state in ((cancelled, "cancelled"), (expired, "expired")):
        assert isinstance(ends[job], CallWithdrawn)
        assert ends[job].result["state"] == state
        assert celery.AsyncResult(job).state == "REVOKED"
    assert celery.AsyncResult(failed).state == celery.AsyncResult(unknown).state == "FAILURE"
    assert NUMBER not in repr((got, [end.result for end in ends.values()]))


def test_a_waiting_job_has_no_result_yet(redis_server: EmbeddedRedis, tmp_path: Path, namespace: str) -> None:
    with installation(tmp_path, redis_server, namespace, hq=OPTIONS) as site:
        site.write_settings(**PATIENT)
        site.hopper.pause("hq")
        with site.workers():
            job = put(site, "1001")
            with pytest.raises(CeleryTimeoutError):
                site.plain_celery().AsyncResult(job).get(timeout=0.5)
            site.hopper.resume("hq")
            assert site.plain_celery().AsyncResult(job).get(timeout=GENEROUS_S)["state"] == "placed"
