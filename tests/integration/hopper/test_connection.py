"""The connections that steps run on: one for each thread, gone with it, not shared over a fork."""

import gc
import os
import threading
from pathlib import Path

import pytest
import redis

from ops.embedded_redis import EmbeddedRedis
from ops.ports import reserve_port
from tests.integration.hopper.stage import Stage, eventually
from worker.hopper import Hopper, connect
from worker.hopper.connection import Scripts


def clients(client: "redis.Redis") -> int:
    return len(client.client_list())


def test_a_threads_connection_ends_with_the_thread(stage: Stage, client: "redis.Redis") -> None:
    gc.collect()
    before = clients(client)
    threads = [threading.Thread(target=stage.put, args=(str(1000 + n),)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    del threads, thread
    assert eventually(lambda: clients(client) <= before)


def test_connections_end_with_their_hopper(client: "redis.Redis", namespace: str) -> None:
    gc.collect()
    before = clients(client)
    Hopper(client, namespace=namespace, retain_s=1).pause("hq")
    assert eventually(lambda: clients(client) <= before)
    client.delete(f"{namespace}:paused")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of a process with threads, which is the point
def test_a_fork_takes_a_connection_of_its_own(stage: Stage) -> None:
    stage.put("1001")
    child = os.fork()
    if child == 0:
        try:
            for number in range(200):
                stage.put(str(2000 + number))
            os._exit(0)
        except BaseException:  # noqa: BLE001  whatever it is, the parent shall see it
            os._exit(1)
    for number in range(200):
        stage.put(str(3000 + number))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert stage.hopper.view("hq").waiting == 401


def test_a_connection_the_server_closed_meanwhile_is_replaced(
    stage: Stage, client: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scripts, "_IDLE_S", 0)  # as if it had lain idle for longer
    stage.put("1001")
    client.client_kill_filter(_type="normal", skipme=True)
    stage.put("1002")
    assert stage.hopper.view("hq").waiting == 2


def test_a_server_turned_replica_is_left_for_whoever_has_its_name_next(
    stage: Stage, client: "redis.Redis", data_folder: Path
) -> None:
    with EmbeddedRedis(data_folder, append_only=False) as server, connect(server.url) as own:
        hopper = Hopper(own, namespace="t", retain_s=1)
        hopper.pause("hq")
        before = {row["id"] for row in own.client_list()}
        own.replicaof("127.0.0.1", reserve_port())
        with pytest.raises(redis.exceptions.ReadOnlyError) as refused:
            hopper.pause("other")
        assert refused.value.__notes__ == ["step pause"]
        own.replicaof("NO", "ONE")
        hopper.pause("other")
        assert not before & {row["id"] for row in own.client_list()}
