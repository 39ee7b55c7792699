"""How a worker's consumer takes up a connection that is gone."""

import time
from urllib.parse import urlsplit

from ops.embedded_redis import EmbeddedRedis
from ops.tcp_proxy import TcpProxy
from worker.broker import Connection, Consumer


class Third(Consumer):
    """Celery's consumer without a worker; its third failed try brings Redis back."""

    def __init__(self, proxy: TcpProxy) -> None:
        self.proxy = proxy
        self.failed: list[Exception] = []

    def _say_away(self, error: Exception) -> None:
        self.failed.append(error)
        if len(self.failed) == 3:
            self.proxy.pass_on()


def test_a_redis_that_was_away_is_found_within_a_second(redis_server: EmbeddedRedis) -> None:
    address = urlsplit(redis_server.url)
    assert address.port is not None
    with TcpProxy("127.0.0.1", address.port) as proxy:
        proxy.refuse()
        consumer, began = Third(proxy), time.monotonic()
        with Connection(redis_server.url.replace(f":{address.port}/", f":{proxy.port}/")) as connection:
            assert consumer.ensure_connected(connection).connected
        # Celery's own waits would have been 2, 4 and 6 s.
        assert time.monotonic() - began < 5
        assert len(consumer.failed) == 3
