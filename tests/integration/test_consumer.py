"""How a worker's consumer takes up a connection that is gone."""

import json
from urllib.parse import urlsplit

import pytest
import redis

from ops.embedded_redis import EmbeddedRedis
from ops.tcp_proxy import TcpProxy
from worker.app import build_app, dial_message
from worker.broker import Connection, Consumer
from worker.messages import job_id_in
from worker.settings import Settings

JOB = "00000000-0000-4000-8000-00000000beef"


class Third(Consumer):
    """Celery's consumer without a worker; its third failed try brings Redis back."""

    def __init__(self, proxy: TcpProxy) -> None:
        self.proxy = proxy
        self.failed: list[Exception] = []

    def _say_away(self, error: Exception) -> None:
        self.failed.append(error)
        if len(self.failed) == 3:
            self.proxy.pass_on()


def test_a_redis_that_was_away_is_found_within_a_second(
    redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits_s: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", waits_s.append)
    address = urlsplit(redis_server.url)
    assert address.port is not None
    with TcpProxy("127.0.0.1", address.port) as proxy:
        proxy.refuse()
        consumer = Third(proxy)
        with Connection(redis_server.url.replace(f":{address.port}/", f":{proxy.port}/")) as connection:
            assert consumer.ensure_connected(connection).connected
        assert len(consumer.failed) == 3
        assert sum(waits_s) == 3, "one second after each failure; Celery's own waits are 2, 4 and 6 s"


def test_a_message_that_comes_after_its_consumer_is_put_back_as_it_came(
    redis_server: EmbeddedRedis,
) -> None:
    # given: a job's message, which a worker took from the queue while it stopped
    settings = Settings(redis_url=redis_server.url, namespace="put-back")
    with build_app(settings) as app, redis.Redis.from_url(redis_server.url) as client:
        message = dial_message(app).replace("@TAG@", "1").replace("@ID@", JOB)
        with Connection(redis_server.url, transport_options=app.conf.broker_transport_options) as connection:
            channel = connection.channel()
            # when: it is delivered to a queue that nobody consumes any more
            connection.transport._deliver(json.loads(message), settings.queue)
            channel.close()
        # then: the next worker's gate lets it in
        left = client.lrange(settings.queue, 0, -1)
        client.delete(settings.queue)
    assert [job_id_in(found) for found in left] == [JOB]
