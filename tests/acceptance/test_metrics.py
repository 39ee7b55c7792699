"""What a real supervisor tells of its processes, which are killed, and what an intake tells of itself."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from ops.children import children_of
from ops.embedded_redis import EmbeddedRedis
from ops.installation import GENEROUS_S, PATIENT, Installation, eventually, installation
from ops.ports import reserve_port
from producers import apikeys
from tests.scrapes import Scrape, scrape, value
from worker.jobs import DialJob, JobState
from worker.metrics import catalogue
from worker.pbx.codes import CODES

OPTIONS = ("--extensions", "1000-1099", "--ring-s", "0.02", "--talk-s", "600", "--log-level", "warning")
OUTTO = "02079460123"
ENDED = "outdial_jobs_ended_total"


@dataclass(frozen=True)
class Host:
    """Two dialing processes and the intake, and where each of them is told of."""

    site: Installation
    supervisor: "subprocess.Popen[str]"
    port: int
    api_url: str
    api_port: int

    def put(self, extids: range) -> list[str]:
        jobs = [DialJob(extid=str(extid), outto=OUTTO, pbx="hq") for extid in extids]
        return [self.site.hopper.put(job).id for job in jobs]

    def value(self, name: str, **labels: str) -> float:
        return value(scrape(self.port), name, **labels)

    def ended(self) -> float:
        return self.value(ENDED)


@pytest.fixture(scope="module")
def host(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with installation(tmp_path_factory.mktemp("metrics"), redis_server, "metrics", hq=OPTIONS) as site:
        port, api_port = reserve_port(), reserve_port()
        ports = {"port": port, "api_port": api_port}
        site.write_settings(sections={"metrics": ports, "breaker": {"failures": 50}}, open_call_s=30, **PATIENT)
        with site.workers(processes=2, concurrency=4) as supervisor, site.api() as api:
            yield Host(site, supervisor, port, api.url, api_port)


def assert_tells_nobody(found: Scrape, secrets: list[str]) -> None:
    for name, labels in found:
        for label, text in labels:
            assert not [secret for secret in secrets if secret in text and text not in CODES], (name, label)
            assert text in CODES or not re.search(r"[0-9]{4}", text), (name, label, text)


def assert_never_falls(earlier: Scrape, later: Scrape) -> None:
    kinds = {name: family.type for family in catalogue().values() for name in family.series}
    fell = [series for series, seen in earlier.items() if kinds[series[0]] != "gauge" and later[series] < seen]
    assert fell == []


def test_what_came_of_attempts_is_counted_by_its_reason(host: Host) -> None:
    before = host.ended()
    pbx = host.site.pbxs["hq"]
    for rule in (
        {"extid": "1001", "kind": "errno", "errno": "10006"},
        {"extid": "1002", "kind": "errno", "errno": "30001"},
        {"extid": "1003", "kind": "errno", "errno": "2025550143"},
        {"extid": "1004", "kind": "http_status", "status": 422},
    ):
        pbx.fault(**rule)
    jobs = host.put(range(1000, 1005))
    eventually(lambda: host.ended() == before + len(jobs))
    found = scrape(host.port)

    for state, errno, count in (("placed", "", 2), ("failed", "10006", 1), ("failed", "other", 1)):
        assert value(found, ENDED, pbx="hq", state=state, errno=errno) == count
    assert value(found, ENDED, state="failed", errno="http_422") == 1
    attempts = "outdial_attempts_total"
    assert value(found, attempts, outcome="placed") == value(found, "outdial_queue_to_ring_seconds_count") == 2
    assert value(found, attempts, outcome="in_doubt", errno="30001") == 1
    assert value(found, "outdial_retries_total", pbx="hq") == 1
    claims = value(found, "outdial_claims_total", pbx="hq")
    assert claims == value(found, attempts) == value(found, "outdial_post_seconds_count", pbx="hq") == 6
    assert value(found, "outdial_permits_total", use="call") == claims
    assert value(found, "outdial_jobs_released_total") >= len(jobs)
    assert value(found, "outdial_token_logins_total", result="ok") == 1
    assert_tells_nobody(found, [*jobs, *(str(extid) for extid in range(1000, 1005)), OUTTO])


def test_no_count_is_lost_with_killed_processes(host: Host) -> None:
    pbx = host.site.pbxs["hq"]
    ended, rung = host.ended(), len(pbx.rings())
    quick = host.put(range(1010, 1030))
    eventually(lambda: host.ended() == ended + len(quick))
    before = scrape(host.port)

    # Phones ring, the answers are withheld, and the processes that wait for them are killed.
    pbx.fault(kind="hang", ring=True, times=6)
    slow = host.put(range(1030, 1036))
    eventually(lambda: len(pbx.rings()) == rung + len(quick) + len(slow))
    for pid in children_of(host.supervisor.pid):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: host.ended() == ended + len(quick) + len(slow))
    eventually(lambda: host.value("outdial_worker_process_starts_total") == 4)
    last = host.put(range(1040, 1050))
    jobs = quick + slow + last
    assert {host.site.end_of(job).state for job in jobs} == {JobState.PLACED}
    eventually(lambda: host.ended() == ended + len(jobs))
    after = scrape(host.port)

    assert_never_falls(before, after)
    since = after - before
    assert value(since, ENDED, state="placed") == value(since, ENDED) == len(slow + last)
    assert value(since, "outdial_claims_total", pbx="hq") == len(slow + last)
    assert value(since, "outdial_doubts_resolved_total", verdict="adopt") == len(slow)
    assert value(since, "outdial_permits_total", use="look") >= 1
    eventually(lambda: host.value("outdial_workers") == 2)


def test_an_intake_tells_of_itself_on_a_port_of_its_own(host: Host) -> None:
    key = apikeys.create(host.site.hopper, host.site.settings, "crm", scopes=apikeys.SCOPES, pbxs=())[1]
    with requests.Session() as client:
        client.trust_env = False
        client.headers["Authorization"] = f"Bearer {key}"
        url = f"{host.api_url}/v1/dial-jobs"
        job = {"extid": "1060", "outto": OUTTO, "key": "once"}
        accepted, again = (client.post(url, json=job, timeout=GENEROUS_S) for _ in range(2))
        job_id = accepted.json()["job_id"]
        assert (again.json()["job_id"], again.json()["is_new"]) == (job_id, False)
        rows = '{"extid": "1061", "outto": "02079460124"}\n{"extid": "1062"}\n'
        client.post(
            f"{url}:batch", data=rows, headers={"Content-Type": "application/x-ndjson"}, timeout=GENEROUS_S
        )
        for path in (f"/v1/dial-jobs/{job_id}", f"/v1/nothing/{OUTTO}", f"/hooks/nobody/{key}", "/metrics"):
            client.get(host.api_url + path, timeout=GENEROUS_S)
    found = scrape(host.api_port)

    requests_total = "outdial_http_requests_total"
    assert value(found, requests_total, route="/v1/dial-jobs", method="POST", status="202") == 2
    assert value(found, requests_total, route="/v1/dial-jobs/{job_id}", method="GET", status="200") == 1
    assert value(found, requests_total, route="/hooks/{source}/{token}", status="405") == 1
    assert value(found, requests_total, route="none", status="404") >= 2
    assert value(found, "outdial_jobs_accepted_total", door="api") == 1
    assert value(found, "outdial_jobs_accepted_total", door="batch") == 1
    assert value(found, "outdial_redis_up") == 1
    assert_tells_nobody(found, [job_id, key, OUTTO, "1060"])
