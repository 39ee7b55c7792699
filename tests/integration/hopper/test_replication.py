"""A claim and the replicas: told to have it only by those that do, also over a new connection."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ops.children import frozen
from ops.embedded_redis import EmbeddedRedis
from tests.integration.hopper.stage import Stage, eventually
from worker.hopper import Hopper, connect
from worker.settings import ReplicationSettings


class Pair:
    """A primary and its replica."""

    def __init__(self, folder: Path) -> None:
        at_once = ["repl-diskless-sync-delay 0"]
        self.primary = EmbeddedRedis(folder / "a", append_only=False, password="pw", more=at_once)
        more = [f"replicaof 127.0.0.1 {self.primary.port}", "masterauth pw"]
        self.replica = EmbeddedRedis(folder / "b", append_only=False, password="pw", more=more)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("pair"))
    with made.primary, made.replica, connect(made.replica.url) as replica:
        assert eventually(lambda: replica.info("replication")["master_link_status"] == "up")
        yield made


@pytest.fixture
def redis_server(pair: Pair) -> EmbeddedRedis:
    return pair.primary


@pytest.fixture
def client(redis_server: EmbeddedRedis) -> Iterator[redis.Redis]:
    with connect(redis_server.url) as connected:
        yield connected


@pytest.fixture
def stage(client: redis.Redis, namespace: str) -> Stage:
    replication = ReplicationSettings(wait_replicas=1, wait_s=0.3)
    hopper = Hopper(client, namespace=namespace, retain_s=600, replication=replication)
    made = Stage(hopper, queue=f"{namespace}.dial")
    made.open_pbx()
    return made


def test_a_claim_the_replica_has_is_replicated(stage: Stage, pair: Pair) -> None:
    job_id, _ = stage.claimed(nonce="n1")
    assert stage.hopper.is_replicated(job_id, "n1")
    with connect(pair.replica.url) as replica:
        assert replica.hget(stage.hopper.keys.job(job_id), "nonce") == "n1"


def test_a_claim_the_replica_has_not_is_not_also_over_a_new_connection(stage: Stage, pair: Pair) -> None:
    job_id = stage.put()
    stage.release()
    eventually(lambda: stage.hopper.client.execute_command("WAIT", 1, 1000))
    with frozen(pair.replica.pid):
        stage.go(job_id, "n1")
        assert not stage.hopper.is_replicated(job_id, "n1")
        # A claim whose reply was lost is asked for again, on a connection that has written nothing.
        stage.hopper._scripts._connection().disconnect()
        stage.go(job_id, "n1")
        assert not stage.hopper.is_replicated(job_id, "n1")
    assert eventually(lambda: stage.hopper.is_replicated(job_id, "n1"))


def test_a_claim_that_a_new_primary_never_heard_of_is_not_replicated(stage: Stage) -> None:
    released = stage.put()
    stage.release()
    claimed, _ = stage.claimed("1002", nonce="mine")
    assert not stage.hopper.is_replicated(released, "n1")
    assert not stage.hopper.is_replicated(claimed, "another")
    assert not stage.hopper.is_replicated("gone", "n1")


def test_scripts_may_be_flushed_in_between(stage: Stage) -> None:
    job_id, _ = stage.claimed(nonce="n1")
    stage.hopper.client.script_flush()
    assert stage.hopper.is_replicated(job_id, "n1")


def test_no_replica_is_asked_where_none_is_wanted(client: redis.Redis, namespace: str) -> None:
    hopper = Hopper(client, namespace=namespace, retain_s=1)
    assert hopper.is_replicated("whatever", "n1")
