"""Results around a fail-over: each reaches the new primary's results backend, and every endpoint."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest
import redis

from ops.embedded_redis import EmbeddedRedis
from tests.integration.hopper.stage import Stage, eventually
from worker import results
from worker.app import build_app
from worker.hopper import Hopper, connection
from worker.jobs import DialResult, JobState
from worker.results import Deliverer, _End, never_repeat
from worker.settings import Settings
from worker.webhooks.targets import Announcer

T = TypeVar("T")

# Celery stores by a command for which redis-py has a newer name.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
PASSWORD = "reserved-for-tests"
PBX = '[pbx.hq]\napi = "yeastar-s-v1.0"\nbase_url = "https://127.0.0.1:9"\nusername = "api"\npassword = "x"\n'
WEBHOOK = '[webhook.crm]\nurl = "https://127.0.0.1:9/"\nsecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"\n'


class Servers:
    """
    A primary and its replica behind one address, which leads to one of them, as a virtual address leads to a host.

    The address is a link to the socket of either. Open connections stay with the server they were made to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = folder / "redis.sock"
        self.old = EmbeddedRedis(folder / "a", password=PASSWORD, more=[f"unixsocket {folder / 'a.sock'}"])
        follows = [f"replicaof 127.0.0.1 {self.old.port}", f"masterauth {PASSWORD}"]
        self.new = EmbeddedRedis(
            folder / "b", password=PASSWORD, more=[f"unixsocket {folder / 'b.sock'}", *follows]
        )

    def lead_to(self, name: str) -> None:
        link = self.folder / "next.sock"
        link.symlink_to(self.folder / f"{name}.sock")
        link.replace(self.address)

    def promote(self) -> None:
        """Make the replica a primary once it is in step; the address still leads to the former one."""
        with redis.Redis.from_url(self.old.url) as old, redis.Redis.from_url(self.new.url) as new:
            offset = old.info("replication")["master_repl_offset"]
            assert eventually(lambda: new.info("replication")["slave_repl_offset"] >= offset)
            new.replicaof("NO", "ONE")

    def fail_over_around(self, step: Callable[..., T]) -> Callable[..., T]:
        """Return *step* with a fail-over: the primary dies right after the first call, unreplicated."""
        calls = count()

        def around(*args: object, **options: object) -> T:
            is_first = next(calls) == 0
            if is_first:
                self.promote()
            answer = step(*args, **options)
            if is_first:
                self.lead_to("b")
                self.old.end_process(kill=True)
            return answer

        return around


class NoEvents:
    """In the place of Celery's event dispatcher: Flower is not looked at here."""

    def send(self, *_: object, **__: object) -> None: ...

    def flush(self) -> None: ...


@dataclass
class World:
    """A worker's deliverer, and the servers that it delivers to, after a first result."""

    servers: Servers
    stage: Stage
    deliverer: Deliverer

    def end(self, extid: str, state: JobState = JobState.PLACED) -> DialResult:
        job_id, claim = self.stage.claimed(extid)
        result = self.stage.finish(job_id, "n1", claim, state)
        assert result is not None
        return result

    def deliver(self, result: DialResult) -> None:
        self.deliverer._deliver([_End(result, None)], NoEvents())

    def deliver_what_is_left(self) -> list[DialResult]:
        """Do what a sweep has a worker do, and return the results that were still in the outbox."""
        left = list(self.stage.hopper.results(self.stage.sweep()))
        for result in left:
            self.deliver(result)
        return left

    def status(self, result: DialResult) -> str | None:
        """Return the status of a job in the new primary's results backend."""
        with redis.Redis.from_url(self.servers.new.url_of_database(1)) as backend:
            stored = backend.get(f"celery-task-meta-{result.job_id}")
        return stored and json.loads(stored)["status"]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    servers = Servers(tmp_path)
    with servers.old, servers.new, redis.Redis.from_url(servers.old.url) as old:
        old.config_set("repl-diskless-sync-delay", 0)
        with redis.Redis.from_url(servers.new.url) as new:
            assert eventually(lambda: new.info("replication")["master_link_status"] == "up")
        servers.lead_to("a")
        yield servers


@pytest.fixture
def world(servers: Servers, tmp_path: Path, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    file = tmp_path / "outdial.toml"
    url = f"redis+socket://:{PASSWORD}@{servers.address}?virtual_host="
    top = f'redis_url = "{url}0"\nresult_backend = "{url}1"\nnamespace = "{namespace}"\nretain_s = 600\n'
    file.write_text(top + PBX + WEBHOOK)
    settings = Settings.load(file)
    # Every step looks whether its connection was closed, as it does after half a second without a step.
    monkeypatch.setattr(connection.Scripts, "_IDLE_S", 0.0)
    hopper = Hopper.from_settings(settings)
    stage = Stage(hopper, queue=f"{namespace}.dial")
    stage.open_pbx()
    app = build_app(settings)
    never_repeat(app.backend)
    world = World(servers, stage, Deliverer(app, hopper, "w@test", Announcer(hopper, settings)))
    world.deliver(world.end("1000"))
    assert world.deliver_what_is_left() == []
    yield world
    hopper.client.close()
    app.backend.client.close()
    app.close()


@pytest.mark.parametrize("state", [JobState.PLACED, JobState.FAILED, JobState.UNKNOWN])
def test_a_result_that_a_primary_took_just_before_it_died_is_stored_again(
    world: World, monkeypatch: pytest.MonkeyPatch, state: JobState
) -> None:
    monkeypatch.setattr(results, "store", world.servers.fail_over_around(results.store))
    result = world.end("1001", state)

    world.deliver(result)

    assert world.status(result) is None
    assert world.deliver_what_is_left() == [result]
    assert world.status(result) == ("SUCCESS" if state is JobState.PLACED else "FAILURE")
    assert world.deliver_what_is_left() == []


def test_an_announcement_that_a_primary_took_just_before_it_died_is_repeated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Announcer, "announce", world.servers.fail_over_around(Announcer.announce))
    result = world.end("1001")

    world.deliver(result)

    assert world.stage.score("due:crm", f"{result.job_id}_1_crm") is None
    assert world.deliver_what_is_left() == [result]
    assert world.stage.score("due:crm", f"{result.job_id}_1_crm")
    assert world.deliver_what_is_left() == []


def test_a_former_primary_that_still_takes_results_is_left(world: World) -> None:
    world.servers.promote()
    world.servers.lead_to("b")
    with redis.Redis.from_url(world.servers.old.url, decode_responses=True) as old:
        [open_still] = [row["id"] for row in old.client_list() if row["db"] == "1"]
        for row in old.client_list(_type="normal"):
            if row["id"] not in (open_still, str(old.client_id())):
                old.client_kill_filter(_id=row["id"])
        result = world.end("1001")

        world.deliver(result)

        assert open_still not in {row["id"] for row in old.client_list()}
    assert world.status(result) is None
    assert world.deliver_what_is_left() == [result]
    assert world.status(result) == "SUCCESS"
