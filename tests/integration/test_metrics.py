"""What a host tells at /metrics: the state of a real Redis, which may hang, and what this process has counted."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from structlog.testing import capture_logs

from ops.embedded_redis import EmbeddedRedis
from ops.installation import eventually
from ops.ports import reserve_port
from ops.tcp_proxy import TcpProxy
from tests.conftest import pbx_settings
from tests.integration.hopper.stage import Stage
from tests.scrapes import ask, scrape, value
from worker import metrics
from worker.jobs import DialResult
from worker.metrics import catalogue, files, serving
from worker.metrics.catalogue import families_of
from worker.settings import Settings
from worker.webhooks.endpoints import EndpointSettings


@pytest.fixture
def proxy(redis_server: EmbeddedRedis) -> Iterator[TcpProxy]:
    with TcpProxy("127.0.0.1", redis_server.port) as proxy:
        yield proxy


@pytest.fixture
def settings(redis_server: EmbeddedRedis, namespace: str, proxy: TcpProxy) -> Settings:
    endpoint = EndpointSettings(url="https://crm.example.com/", secret=())
    url = redis_server.url.replace(f":{redis_server.port}/", f":{proxy.port}/")
    pbxs = {"hq": pbx_settings(calls_per_second=7), "branch": pbx_settings()}
    return Settings(redis_url=url, namespace=namespace, pbx=pbxs, webhook={"crm": endpoint})


@pytest.fixture
def redis_within_s() -> float:
    """How long a scrape waits for Redis: as long as a busy machine may take."""
    return 60.0


@pytest.fixture
def port(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_within_s: float
) -> Iterator[int]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(serving, "_REDIS_WITHIN_S", redis_within_s)
    port = reserve_port()
    with serving.told_by_workers(settings, port):
        eventually(lambda: scrape(port))
        yield port


def count_everything(result: DialResult) -> None:
    metrics.jobs_released(2)
    metrics.job_claimed("hq")
    metrics.looked("hq", 1)
    metrics.posted("hq", 0.07)
    metrics.call_placed("hq", 3.1)
    metrics.attempt_ended("hq", "in_doubt", "no_reply", is_retry=True)
    metrics.jobs_ended([result])
    metrics.job_parked("hq", "pacing")
    metrics.job_doubted("hq")
    metrics.doubt_resolved("hq", "adopt")
    metrics.breaker_opened("hq")
    metrics.logged_in("hq", "ok")
    metrics.redis_was_away()
    metrics.delivery_attempted("crm", "delivered")
    metrics.delivery_sent("crm", 0.2)
    metrics.request_served("/v1/dial-jobs", "POST", 202, 0.01)
    metrics.jobs_accepted("api")
    metrics.process_started()


def told_names(port: int) -> dict[str, set[str]]:
    """Names of series to the labels that they have."""
    names: dict[str, set[str]] = defaultdict(set)
    for name, labels in scrape(port):
        names[name] |= {label for label, _ in labels if label != "le"}
    return names


def test_every_metric_of_the_catalogue_is_told(port: int, settings: Settings, stage: Stage) -> None:
    job_id, claim = stage.claimed()
    result = stage.finish(job_id, "n1", claim)
    assert result is not None
    count_everything(result)
    by_workers = told_names(port)
    other = reserve_port()
    with serving.told_by_intake(settings, other):
        count_everything(result)
        by_intake = eventually(lambda: told_names(other))
    for told, source in ((by_workers, "worker"), (by_intake, "api")):
        families = families_of("installation", source, "both")
        assert told == {name: set(family.labels) for family in families for name in family.series}


def test_the_state_is_that_of_the_hopper(port: int, stage: Stage, settings: Settings) -> None:
    for name, limits in settings.pbx.items():
        stage.hopper.register(name, limits)
    stage.put("1001", priority="urgent")
    stage.put_each(["1002", "1003"])
    stage.hopper.pause("branch")
    stage.hopper.heartbeat("dialer1", slots=16, ttl_s=60)
    stage.hopper.set_aside("message", "it is no dial job's")

    found = scrape(port)

    assert value(found, "outdial_redis_up") == 1
    assert value(found, "outdial_waiting_jobs", pbx="hq", priority="urgent") == 1
    assert value(found, "outdial_waiting_jobs", pbx="hq") == 3
    assert value(found, "outdial_oldest_waiting_seconds", pbx="hq", priority="normal") > 0
    assert value(found, "outdial_oldest_waiting_seconds", pbx="hq", priority="bulk") == 0
    assert value(found, "outdial_calls_per_second_limit", pbx="hq") == 7
    assert value(found, "outdial_breaker_state", pbx="hq", state="closed") == 1
    assert value(found, "outdial_breaker_state", pbx="hq") == 1
    assert [value(found, "outdial_paused", pbx=name) for name in ("hq", "branch")] == [0, 1]
    assert value(found, "outdial_everything_paused") == 0
    assert value(found, "outdial_workers") == 1
    assert value(found, "outdial_worker_slots") == 16
    assert value(found, "outdial_set_aside") == 1
    assert value(found, "outdial_webhook_endpoint_state", endpoint="crm", state="well") == 1
    assert value(found, "outdial_redis_aof_enabled") == 1
    assert value(found, "outdial_redis_memory_bytes") > 100_000


def test_a_refused_log_in_is_told_apart_from_a_pbx_that_is_down(port: int, stage: Stage) -> None:
    stage.hopper.register("hq", pbx_settings(username="somebody else"))
    stage.hopper.login_turn("hq", refused=-1, nonce="m", lease_s=60, spacing_s=0)
    stage.hopper.login_done("hq", "m", block_s=600, reason="wrong password")
    found = scrape(port)
    assert value(found, "outdial_login_barred", pbx="hq") == 1
    assert value(found, "outdial_breaker_state", pbx="hq", state="open") == 1
    assert value(found, "outdial_login_barred", pbx="branch") == 0


@pytest.mark.parametrize("redis_within_s", [0.2])
def test_a_redis_that_hangs_leaves_the_counts_of_the_host(port: int, proxy: TcpProxy) -> None:
    metrics.job_claimed("hq")
    proxy.hold()
    found = scrape(port)
    assert value(found, "outdial_redis_up") == 0
    assert ("outdial_redis_up", frozenset()) in found
    assert value(found, "outdial_claims_total", pbx="hq") == 1
    assert not [name for name, _ in found if name in ("outdial_waiting_jobs", "outdial_workers")]
    proxy.pass_on()
    eventually(lambda: value(scrape(port), "outdial_redis_up") == 1)


def test_what_prometheus_asks_for_is_told_in_its_strict_format(port: int, stage: Stage) -> None:
    job_id, claim = stage.claimed()
    result = stage.finish(job_id, "n1", claim)
    assert result is not None
    count_everything(result)
    answer = ask(port, accept="application/openmetrics-text;version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name for family in openmetrics.text_string_to_metric_families(answer.text)}
    assert families == {name.removesuffix("_total") for name in catalogue() if told_by(name) != "api"}
    only = ask(port, "/metrics?name[]=outdial_workers").text
    assert [line for line in only.splitlines() if line[0] != "#"] == ["outdial_workers 0.0"]


def told_by(name: str) -> str:
    return catalogue()[name].source


def test_only_metrics_are_served(port: int) -> None:
    assert ask(port, "/").status_code == 404
    assert ask(port).headers["content-type"].startswith("text/plain")


def test_a_port_that_is_taken_is_served_as_soon_as_it_is_free(
    port: int, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_LISTEN_AGAIN_S", 0.02)
    other = reserve_port()
    with capture_logs() as logs, serving.told_by_intake(settings, other):
        eventually(lambda: scrape(other))
        with serving.told_by_intake(settings, other):
            eventually(lambda: [line for line in logs if line["event"] == "metrics_not_told"])
    [line] = [line for line in logs if line["event"] == "metrics_not_told"]
    assert (line["port"], line["error"]) == (other, "Address already in use")


def test_processes_are_told_where_to_count_and_nothing_is_left_of_it(settings: Settings, tmp_path: Path) -> None:
    with serving.told_by_workers(settings, 0) as environment:
        assert environment == {}
    with serving.told_by_workers(settings, reserve_port()) as environment:
        folder = Path(environment[files.VARIABLE])
        assert folder.is_dir()
    assert not folder.exists()
