"""Results by every way a job can end, in Redis and in another results backend, and as Flower shows them."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from celery.exceptions import TimeoutError as CeleryTimeoutError

from ops.children import child
from ops.embedded_redis import EmbeddedRedis, free_port
from ops.installation import Installation, eventually, installation
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
        site.write_settings()
        yield site


def put(site: Installation, extid: str, **fields: Any) -> str:
    return site.hopper.put(DialJob(extid=extid, outto=NUMBER, pbx="hq", metadata={"crm": "7"}, **fields)).id


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Celery leaves SQLAlchemy's connections to the collector
def test_a_plain_celery_client_gets_every_end(site: Installation) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    site.pbxs["hq"].fault(kind="drop_before_ring", extid="1003")
    site.hopper.pause()
    cancelled, expired = put(site, "1004"), put(site, "1005", expires_at=soon)
    assert site.hopper.cancel(cancelled)[0] == "cancelled"
    time.sleep(0.6)
    site.hopper.resume()
    celery = site.plain_celery()
    with site.workers():
        placed, failed, unknown = put(site, "1001"), put(site, "1999"), put(site, "1003")
        got = celery.AsyncResult(placed).get(timeout=10)
        ends: dict[str, CallNotPlaced] = {}
        for job in (failed, unknown, cancelled, expired):
            with pytest.raises(CallNotPlaced) as raised:
                celery.AsyncResult(job).get(timeout=10)
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
        site.write_settings()
        site.hopper.pause("hq")
        with site.workers():
            job = put(site, "1001")
            with pytest.raises(CeleryTimeoutError):
                site.plain_celery().AsyncResult(job).get(timeout=0.5)
            site.hopper.resume("hq")
            assert site.plain_celery().AsyncResult(job).get(timeout=10)["state"] == "placed"


def test_flower_shows_every_end_and_no_number(redis_server: EmbeddedRedis, tmp_path: Path, namespace: str) -> None:
    with installation(tmp_path, redis_server, namespace, hq=OPTIONS) as site:
        site.write_settings()
        settings = site.config.read_text()
        port = free_port()
        site.config.write_text(f'{settings}\n[flower]\nport = {port}\npassword = "flower-secret"\n')
        command = [*site.outdial_command(), "flower"]
        with (
            (site.folder / "flower.log").open("w") as log,
            child(command, stdout=log, stderr=log) as _,
            site.workers(),
        ):
            base = f"http://127.0.0.1:{port}"
            eventually(lambda: answers(f"{base}/healthcheck"))
            site.pbxs["hq"].fault(kind="errno", errno="30001", extid="1002")
            jobs = {"SUCCESS": put(site, "1001"), "FAILURE": put(site, "1999"), "retried": put(site, "1002")}
            site.hopper.pause("hq")
            jobs["REVOKED"] = put(site, "1004")
            site.hopper.cancel(jobs["REVOKED"])
            site.hopper.resume("hq")
            results = {name: site.end_of(job) for name, job in jobs.items()}

            assert requests.get(f"{base}/api/tasks", timeout=5).status_code == 401
            login = ("operator", "flower-secret")

            def shown() -> dict[str, Any]:
                tasks: dict[str, Any] = requests.get(f"{base}/api/tasks", auth=login, timeout=5).json()
                done = all(
                    tasks.get(job, {}).get("state") in ("SUCCESS", "FAILURE", "REVOKED") for job in jobs.values()
                )
                return tasks if done else {}

            tasks = eventually(shown)
            pages = [requests.get(f"{base}/task/{job}", auth=login, timeout=5).text for job in jobs.values()]
            forbidden = requests.post(f"{base}/api/worker/shutdown/any", auth=login, timeout=5)

    for name in ("SUCCESS", "FAILURE", "REVOKED"):
        assert tasks[jobs[name]]["state"] == name
        assert tasks[jobs[name]]["name"] == "worker.tasks.dial"
    assert str(results["SUCCESS"].callid) in tasks[jobs["SUCCESS"]]["result"]
    assert "10006" in tasks[jobs["FAILURE"]]["exception"]
    assert tasks[jobs["retried"]]["state"] == "SUCCESS"
    assert forbidden.status_code == 403
    text = repr(tasks) + "".join(pages) + (site.folder / "flower.log").read_text()
    for secret in (NUMBER, "flower-secret", site.environment["TEST_PBX_PASSWORD"]):
        assert secret not in text


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.ConnectionError:
        return False
