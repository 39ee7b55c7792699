"""A sleeper whose connection is half open."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis

from ops.embedded_redis import EmbeddedRedis
from ops.tcp_proxy import TcpProxy
from tests.integration.hopper.stage import eventually
from worker.hopper.connection import connect
from worker.hopper.wake import WakeCall


@pytest.fixture
def proxy(redis_server: EmbeddedRedis) -> Iterator[TcpProxy]:
    port = urlsplit(redis_server.url).port
    assert port is not None
    with TcpProxy("127.0.0.1", port) as made:
        yield made


def test_an_overdue_answer_is_an_error_and_the_next_call_a_new_one(
    redis_server: EmbeddedRedis, client: "redis.Redis", proxy: TcpProxy, namespace: str
) -> None:
    key = f"{namespace}:wake"
    port = urlsplit(redis_server.url).port
    with connect(redis_server.url.replace(f":{port}/", f":{proxy.port}/")) as through_proxy:
        call = WakeCall(through_proxy, key, call_s=3600, overdue_s=3600)
        # given a call whose answers are lost
        call.wait(0)
        proxy.swallow_replies()
        client.lpush(key, "1")
        assert eventually(lambda: proxy.deaf() == 1)
        # then the sleeper learns of it, once the answer is overdue
        call.wait(0)
        call._overdue_s = 0
        with pytest.raises(redis.TimeoutError):
            call.wait(0)
        # and hears again on the next connection
        call._overdue_s = 3600
        proxy.pass_on()
        call.wait(0)
        client.lpush(key, "1")
        call.wait(3600)
        assert not client.exists(key)
        call.close()


def test_a_call_answered_in_time_is_no_error(client: "redis.Redis", namespace: str) -> None:
    call = WakeCall(client, f"{namespace}:wake", call_s=0.05, overdue_s=60)
    for _ in range(10):
        call.wait(60)  # as long as the server takes to say that nothing came
    call.close()
