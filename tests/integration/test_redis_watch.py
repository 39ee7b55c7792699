"""A worker finds out that its Redis is no longer what it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import structlog

from ops.embedded_redis import EmbeddedRedis
from tests.conftest import pbx_settings
from tests.integration.hopper.stage import Stage, eventually
from worker.hopper import Back, Hopper, connect
from worker.redis_watch import RedisWatch
from worker.settings import PbxSettings

Lines = list[dict[str, object]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """One that a test may empty and configure."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def client(server: EmbeddedRedis) -> Iterator["redis.Redis"]:
    with connect(server.url) as client:
        yield client


@pytest.fixture
def stage(client: "redis.Redis") -> Stage:
    made = Stage(Hopper(client, namespace="watch", retain_s=600), queue="watch.dial")
    made.open_pbx()
    return made


class Clock:
    """Seconds that pass when a test lets them."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def watch_of(
    stage: Stage, name: str = "w", pbxs: dict[str, PbxSettings] | None = None, now: Clock | None = None
) -> RedisWatch:
    given = pbxs or {"hq": pbx_settings()}
    return RedisWatch(stage.hopper, lambda: given, name=name, slots=4, now=now or Clock())


def beat_for_long(watch: RedisWatch, now: Clock) -> None:
    """Two beats: the second when a reload under way would have reached every worker."""
    watch.beat()
    now.seconds += 10
    watch.beat()


def lines_of(lines: Lines, event: str) -> Lines:
    return [line for line in lines if line["event"] == event]


def test_an_empty_redis_gets_the_pbxs_again(stage: Stage, client: "redis.Redis") -> None:
    watches = [watch_of(stage, name) for name in ("a", "b")]
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            for watch in watches:
                watch.beat()
        assert lines == []
        client.flushall()  # of the server that this test started
        job_id = stage.put()
        assert stage.release() == []
        for watch in watches:
            watch.beat()
        stage.log_in()

        assert stage.release() == [job_id]
        stage.go(job_id, "n")
        for watch in watches:
            watch.beat()
    assert len(lines_of(lines, "redis_came_back_empty")) == len(watches)


def test_no_call_begins_on_a_redis_that_may_throw_jobs_away(stage: Stage, client: "redis.Redis") -> None:
    watch = watch_of(stage)
    watch.beat()
    released, waiting = stage.put("1001"), stage.put("1002")
    assert stage.release(most=1) == [released]
    with structlog.testing.capture_logs() as lines:
        client.config_set("maxmemory-policy", "allkeys-lru")
        for _ in range(3):
            watch.beat()
        assert stage.claim(released) == Back()
        assert stage.release() == []
        assert "allkeys-lru" in stage.hopper.why(waiting)["held_why"]

        client.config_set("maxmemory-policy", "noeviction")
        for _ in range(3):
            watch.beat()
    assert sorted(stage.release()) == sorted([released, waiting])
    [held] = lines_of(lines, "calls_held")
    assert "allkeys-lru" in str(held["reason"])
    assert len(lines_of(lines, "calls_go_on")) == 1


def test_one_worker_that_sees_it_holds_the_calls_of_all(stage: Stage, client: "redis.Redis") -> None:
    job_id = stage.put()
    client.config_set("maxmemory-policy", "volatile-ttl")
    watch_of(stage).beat()
    assert stage.release() == []
    client.config_set("maxmemory-policy", "noeviction")
    watch_of(stage, "another").beat()
    assert stage.release() == [job_id]


def test_other_limits_of_another_host_are_named(stage: Stage) -> None:
    here, there = pbx_settings(calls_per_second=10), pbx_settings(calls_per_second=2)
    now = Clock()
    watch = watch_of(stage, "here", {"hq": here}, now)
    stage.hopper.register("hq", here)
    watch.beat()
    with structlog.testing.capture_logs() as lines:
        stage.hopper.register("hq", there)
        watch_of(stage, "there", {"hq": there}).beat()
        watch.beat()
        assert watch.differences == ()
        for _ in range(3):
            beat_for_long(watch, now)
    assert watch.differences == ("pbx.hq.calls_per_second is 10.0 there, and 2.0 is in force",)
    [line] = lines_of(lines, "settings_differ")
    assert (line["worker"], line["pbx"], line["setting"]) == ("there", "hq", "calls_per_second")
    assert (line["here"], line["in_force"]) == ("10.0", "2.0")


def test_a_replaced_and_a_renamed_pbx_are_named(stage: Stage) -> None:
    now = Clock()
    watch = watch_of(stage, "here", now=now)
    watch.beat()
    replaced = {"hq": pbx_settings(base_url="http://127.0.0.1:9"), "main": pbx_settings()}
    with structlog.testing.capture_logs() as lines:
        for name, pbx in replaced.items():
            stage.hopper.register(name, pbx)
        watch_of(stage, "there", replaced).beat()
        beat_for_long(watch, now)
    found = [(line["pbx"], line["setting"]) for line in lines_of(lines, "settings_differ")]
    assert found == [("main", "section"), ("hq", "base_url, username or password")]
    assert "127.0.0.1" not in str(lines)


def test_the_settings_of_a_worker_that_left_differ_no_more(stage: Stage) -> None:
    there = watch_of(stage, "there", {"hq": pbx_settings(burst=3)})
    there.beat()
    there.leave()
    with structlog.testing.capture_logs() as lines:
        assert watch_of(stage, "here").beat() == 4
    assert lines == []


def test_a_reload_registers_what_changed_and_withdraws_what_is_gone(stage: Stage) -> None:
    settings = {"hq": pbx_settings(), "east": pbx_settings()}
    present = [settings]
    watch = RedisWatch(stage.hopper, lambda: present[-1], name="w", slots=4)
    stage.hopper.register("east", settings["east"])
    watch.beat()
    waiting = stage.put(pbx="hq")
    present.append({"east": pbx_settings(burst=3)})
    assert watch.is_behind
    watch.beat()

    assert not watch.is_behind
    assert stage.hopper.registered("east")["burst"] == "3"
    assert stage.hopper.known() == {"east"}
    assert stage.release() == []
    present.append(settings)
    watch.beat()
    assert eventually(stage.release) == [waiting]


def test_a_pbx_that_another_host_removed_is_kept_by_the_workers_that_have_it(stage: Stage) -> None:
    now = Clock()
    watch = watch_of(stage, "here", now=now)
    stage.hopper.withdraw("hq")
    watch_of(stage, "there", {"east": pbx_settings()}).beat()
    beat_for_long(watch, now)
    assert "hq" in stage.hopper.known()


def test_names_of_metadata_are_indexed_after_a_reload_and_on_an_empty_redis(
    stage: Stage, client: "redis.Redis"
) -> None:
    names: list[str] = []
    pbxs = {"hq": pbx_settings()}
    watch = RedisWatch(stage.hopper, lambda: pbxs, name="w", slots=4, indexed=lambda: tuple(names))
    watch.beat()
    names.append("lead")
    watch.beat()
    assert stage.hopper.index_metadata(["lead"]) == []

    client.flushall()  # of the server that this test started
    watch.beat()
    assert stage.hopper.index_metadata(["lead"]) == []
