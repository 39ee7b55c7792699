"""Whatever lies on Celery's queue and whatever Redis does in between: workers live, and dialing goes on."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from ops.children import children_of
from ops.embedded_redis import EmbeddedRedis
from ops.installation import Installation, eventually, installation, log_lines
from ops.ports import reserve_port
from ops.tcp_proxy import TcpProxy
from tests.acceptance.test_deaths import OPTIONS, QUICK, put, states
from worker.app import build_app, dial_message
from worker.jobs import JobState

NOBODYS = "11111111-2222-5333-8444-555555555555"
NUMBER = "0205550199"  # in every message below: must show nowhere
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


@pytest.fixture
def site(tmp_path: Path, namespace: str) -> Iterator[Installation]:
    with (
        EmbeddedRedis(tmp_path / "redis") as server,
        installation(tmp_path, server, namespace, hq=OPTIONS) as site,
    ):
        site.write_settings(sections={"limits": QUICK})
        yield site


def garbage(site: Installation) -> dict[str, bytes | str]:
    """Return messages that no Celery worker can use, by what is wrong with them."""
    good = dial_message(build_app(site.settings)).replace("@ID@", NOBODYS).replace("@TAG@", "1")

    def but(**changes: Any) -> str:
        return json.dumps(json.loads(good) | {name.replace("_", "-"): value for name, value in changes.items()})

    def called_with(*arguments: object) -> str:
        return but(body=json.dumps([*arguments, EMBED]))

    headers = json.loads(good)["headers"]
    return {
        "not JSON": f"ring {NUMBER}",
        "empty": "",
        "not UTF-8": b"\xff\xfe\x00" + NUMBER.encode(),
        "a list": json.dumps([NUMBER]),
        "null": "null",
        "nested deeply": "[" * 60_000,
        "no body": but(body=None),
        "no properties": but(properties=None, body=NUMBER),
        "headers in a list": but(headers=[NUMBER]),
        "bad base64": but(body=f"%%{NUMBER}", properties={"body_encoding": "base64", "delivery_tag": "1"}),
        "body not JSON": but(body=f"ring {NUMBER}"),
        "unknown content type": but(content_type="application/x-python-serialize"),
        "not compressed": but(headers=headers | {"compression": "application/x-gzip"}),
        "unknown task": but(headers=headers | {"task": "crm.ring"}, body=json.dumps([[NUMBER], {}, EMBED])),
        "a task of Celery's own": but(headers=headers | {"task": "celery.backend_cleanup"}),
        "task in a list": but(headers=headers | {"task": [NUMBER]}),
        "no argument": called_with([], {}),
        "too many arguments": called_with([NOBODYS, NUMBER], {}),
        "named arguments": called_with([NOBODYS], {NUMBER: NUMBER}),
        "no job id": called_with([NUMBER], {}),
        "long": NUMBER * 100_000,
    }


def test_garbage_on_the_queue_is_set_aside_and_dialing_goes_on(site: Installation) -> None:
    queue, messages = site.settings.queue, garbage(site)
    with site.workers(concurrency=4) as supervisor:
        workers = children_of(supervisor.pid)
        jobs = []
        for message in messages.values():
            site.hopper.client.lpush(queue, message)
            jobs += put(site, 2)
        eventually(lambda: states(site, jobs) == {JobState.PLACED: len(jobs)})
        eventually(lambda: site.hopper.set_aside_count() == len(messages))
        assert children_of(supervisor.pid) == workers
        doctor = site.outdial("doctor").stdout
    log = site.worker_log.read_text()
    assert log.count("message_set_aside") == len(messages)
    assert "worker_died" not in log
    assert "Traceback" not in log
    assert "it is not JSON" in str(site.hopper.set_aside_list())
    assert f"{len(messages)} could not be used" in doctor
    for told in (log, doctor, str(site.hopper.set_aside_list())):
        assert NUMBER not in told


def test_a_thousand_garbage_messages_in_front_hold_up_nobody(site: Installation) -> None:
    with site.workers(concurrency=4) as supervisor:
        workers = children_of(supervisor.pid)
        with site.hopper.client.pipeline(transaction=False) as pipe:
            for _ in range(1000):
                pipe.lpush(site.settings.queue, NUMBER)
            pipe.execute()
        jobs = put(site, 20)
        eventually(lambda: states(site, jobs) == {JobState.PLACED: len(jobs)})
        assert site.hopper.set_aside_count() == 1000
        assert children_of(supervisor.pid) == workers


def test_a_strangers_headers_have_no_effect(site: Installation) -> None:
    # given messages of real jobs that ask Celery for a time, a limit, a link: each for the same waiting job
    [job] = put(site, 1)
    site.hopper.pause()
    good = json.loads(dial_message(build_app(site.settings)).replace("@ID@", job).replace("@TAG@", "1"))
    odd: tuple[dict[str, object], ...] = (
        {"timelimit": "abc"},
        {"eta": "soon"},
        {"eta": "2990-01-01T00:00:00"},
        {"expires": "soon"},
        {"retries": "many"},
        {"id": ["x"]},
        {"group": 17, "root_id": {}, "ignore_result": "no"},
    )
    with site.workers(concurrency=4) as supervisor:
        workers = children_of(supervisor.pid)
        for headers in odd:
            site.hopper.client.lpush(
                site.settings.queue, json.dumps(good | {"headers": good["headers"] | headers})
            )
        linked = [[job], {}, EMBED | {"callbacks": [{"task": "crm.ring", "args": [NUMBER]}]}]
        site.hopper.client.lpush(
            site.settings.queue,
            json.dumps(
                good
                | {
                    "body": base64.b64encode(json.dumps(linked).encode()).decode(),
                    "properties": {"body_encoding": "base64"},
                }
            ),
        )
        # when the job may go
        eventually(lambda: site.hopper.client.llen(site.settings.queue) == 0)
        site.hopper.resume()
        # then it rings once, and nothing was disturbed
        assert site.end_of(job).state is JobState.PLACED
        assert children_of(supervisor.pid) == workers
        assert site.hopper.set_aside_count() == 0
        assert site.hopper.client.llen(site.settings.queue) == 0
    assert len(site.pbxs["hq"].rings()) == 1
    assert "Traceback" not in site.worker_log.read_text()


Fault = Callable[[redis.Redis], Callable[[], object]]


def another_password(client: redis.Redis) -> Callable[[], object]:
    [password] = client.config_get("requirepass").values()
    client.config_set("requirepass", "another")
    return lambda: client.config_set("requirepass", password)


def a_replica_of_nobody(client: redis.Redis) -> Callable[[], object]:
    client.replicaof("127.0.0.1", reserve_port())
    return lambda: client.replicaof("NO", "ONE")


def a_replica_that_lost_its_master(client: redis.Redis) -> Callable[[], object]:
    client.config_set("replica-serve-stale-data", "no")
    return a_replica_of_nobody(client)


def full_memory(client: redis.Redis) -> Callable[[], object]:
    client.config_set("maxmemory", "1mb")
    return lambda: client.config_set("maxmemory", "0")


def too_few_replicas(client: redis.Redis) -> Callable[[], object]:
    client.config_set("min-replicas-to-write", "1")
    return lambda: client.config_set("min-replicas-to-write", "0")


@pytest.mark.parametrize(
    "fault",
    [another_password, a_replica_of_nobody, a_replica_that_lost_its_master, full_memory, too_few_replicas],
)
def test_a_redis_that_refuses_is_asked_until_it_is_well(site: Installation, fault: Fault) -> None:
    with site.workers(concurrency=4) as supervisor:
        workers = children_of(supervisor.pid)
        # given a server that refuses, first on open connections and then on new ones
        until_the_consumer_reads(site)
        make_well = fault(site.hopper.client)
        site.hopper.client.client_kill_filter(_type="normal", skipme=True)
        eventually(lambda: told(site, "redis_away", "consumer"))
        # when it is well again
        make_well()
        # then the same process goes on
        eventually(lambda: told(site, "redis_back", "consumer"))
        jobs = put(site, 5)
        eventually(lambda: states(site, jobs) == {JobState.PLACED: len(jobs)})
        assert children_of(supervisor.pid) == workers
    assert "worker_died" not in site.worker_log.read_text()


def test_a_queue_that_is_no_list_ends_no_worker(site: Installation) -> None:
    queue, client = site.settings.queue, site.hopper.client
    with site.workers(concurrency=4) as supervisor:
        workers = children_of(supervisor.pid)
        until_the_consumer_reads(site)
        client.set(queue, NUMBER)
        eventually(lambda: told(site, "redis_away", "consumer"))
        client.delete(queue)
        jobs = put(site, 5)
        eventually(lambda: states(site, jobs) == {JobState.PLACED: len(jobs)})
        assert children_of(supervisor.pid) == workers


def until_the_consumer_reads(site: Installation) -> None:
    """A worker counts as alive a moment before its consumer has a connection to lose."""
    jobs = put(site, 1)
    eventually(lambda: states(site, jobs) == {JobState.PLACED: 1})


def told(site: Installation, event: str, thread: str) -> bool:
    wanted = {"event": event, "thread": thread}
    return any(wanted.items() <= line.items() for line in log_lines(site.worker_log))


def test_a_half_open_connection_deafens_nobody(site: Installation) -> None:
    port = urlsplit(site.settings.redis_url).port
    assert port is not None
    with TcpProxy("127.0.0.1", port) as proxy:
        site.config.write_text(site.config.read_text().replace(f":{port}/", f":{proxy.port}/"))
        with site.workers(concurrency=4) as supervisor:
            workers = children_of(supervisor.pid)
            # given connections of consumer, pacer and sweeper that still stand and will never say anything again
            proxy.swallow_replies()
            eventually(lambda: proxy.deaf() >= 3)
            proxy.pass_on()
            jobs = put(site, 5)
            # then they are given up for new ones
            eventually(lambda: states(site, jobs) == {JobState.PLACED: len(jobs)})
            eventually(lambda: not site.hopper.client.exists(f"{site.namespace}:outbox"))
            assert children_of(supervisor.pid) == workers
