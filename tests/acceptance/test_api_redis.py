"""Redis goes away, freezes, fills up, becomes a copy: the intake says so at once, and goes on when it is back."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import requests

from ops.children import frozen
from ops.embedded_redis import EmbeddedRedis
from ops.installation import eventually
from tests.acceptance.intake import PIPEDRIVE, SOURCES, Client, Intake, intake, problem_of

CSV = {"Content-Type": "text/csv"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path_factory.mktemp("redis-of-its-own")) as server:
        yield server


@pytest.fixture(scope="module")
def served(server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    with intake(tmp_path_factory.mktemp("redis-faults"), server.url, "faults", settings=(SOURCES,)) as running:
        yield running


@pytest.fixture(scope="module")
def client(served: Intake) -> Client:
    return served.client()


def expect_unavailable(client: Client) -> str:
    """Try every way in at once; return what a job's refusal says."""
    ways = {
        "job": client.hand_in,
        "job with a key": lambda: client.hand_in(key="k"),
        "job again": lambda: client.hand_in({"Idempotency-Key": "i"}),
        "list": lambda: client.get("/v1/dial-jobs"),
        "PBXs": lambda: client.get("/v1/pbxs"),
        "pause": lambda: client.post("/v1/pbxs/hq:pause"),
        "batch": lambda: client.post("/v1/dial-jobs:batch", data="extid,outto\n1,2\n", headers=CSV),
        "hook": lambda: client.hook(PIPEDRIVE),
        "ready": lambda: client.get("/readyz"),
    }
    with ThreadPoolExecutor(len(ways)) as threads:
        asked = {what: threads.submit(way) for what, way in ways.items()}
        assert client.get("/healthz").status_code == 200
        answers = {what: way.result() for what, way in asked.items()}
    assert {what: answer.status_code for what, answer in answers.items()} == dict.fromkeys(ways, 503)
    ready = answers.pop("ready")
    assert ready.json()["status"] == "unavailable"
    for answer in answers.values():
        assert problem_of(answer)
        assert answer.headers["Retry-After"] == "2"
    return str(answers["job"].json()["detail"])


def expect_service(client: Client) -> None:
    eventually(lambda: client.get("/readyz").status_code == 200)
    # Each of its threads may have to find out that its connection is gone.
    eventually(lambda: client.hand_in().status_code == 202)
    eventually(lambda: client.get("/v1/pbxs").status_code == 200)
    eventually(lambda: client.hook(PIPEDRIVE).status_code == 200)


def test_a_frozen_redis_holds_nobody_up(server: EmbeddedRedis, client: Client) -> None:
    # How long each way waits is tested in tests/unit/producers/api/test_outages.py.
    with frozen(server.pid):
        assert "nothing was done" in expect_unavailable(client)
    expect_service(client)


def test_a_dead_redis_is_said_to_be_away(server: EmbeddedRedis, client: Client) -> None:
    server.end_process(kill=True)
    try:
        expect_unavailable(client)
    finally:
        server.start()
    expect_service(client)


def test_a_full_redis_takes_no_job(server: EmbeddedRedis, client: Client) -> None:
    with redis.Redis.from_url(server.url) as admin:
        admin.config_set("maxmemory", "1mb")
        try:
            answer = client.hand_in(key="when-full")
            assert problem_of(answer)["detail"].endswith("Send it again: there will be one job")
            keyless = client.hand_in()
            assert "is full" in problem_of(keyless)["detail"]
            assert problem_of(keyless)["detail"].endswith("Nothing was stored")
            assert (answer.status_code, keyless.status_code, client.get("/readyz").status_code) == (503,) * 3
            assert client.get("/v1/pbxs").status_code == 200  # looking is possible
        finally:
            admin.config_set("maxmemory", "0")
    expect_service(client)


def test_a_read_only_redis_takes_no_job(server: EmbeddedRedis, client: Client) -> None:
    with redis.Redis.from_url(server.url) as admin:
        admin.replicaof("127.0.0.1", "1")
        try:
            assert client.hand_in().status_code == 503
            assert client.post("/v1/pbxs/hq:pause").status_code == 503
            assert client.get("/readyz").status_code == 503
        finally:
            admin.replicaof("NO", "ONE")
    expect_service(client)


def test_a_batch_cut_short_says_how_far_it_came_and_can_be_sent_again(
    server: EmbeddedRedis, served: Intake, client: Client
) -> None:
    rows = "extid,outto\n" + "".join(f"{1000 + n % 50},{2025550100 + n % 100}\n" for n in range(30_000))
    named = CSV | {"Idempotency-Key": "cut-short"}
    jobs = served.dialer.hopper
    arrivals = f"{jobs.keys.namespace}:arrivals"
    before = jobs.client.zcard(arrivals)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(client.post, "/v1/dial-jobs:batch", data=rows, headers=named)
        eventually(lambda: jobs.client.zcard(arrivals) > before + 2000)
        server.end_process(kill=True)
        cut_short = first.result()
    server.start()
    detail = problem_of(cut_short)["detail"]
    assert (cut_short.status_code, "the rows up to line" in detail) == (503, True), detail
    expect_service(client)

    def sent_again() -> requests.Response | None:
        answer = client.post("/v1/dial-jobs:batch", data=rows, headers=named)
        return answer if answer.status_code == 200 else None

    again = eventually(sent_again)
    assert again.headers["Idempotency-Replayed"] == "true"
    counts = json.loads(again.text.splitlines()[-1])["summary"]
    assert (counts["added"] + counts["already_there"], counts["already_there"] > 0) == (30_000, True)
