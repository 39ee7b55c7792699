"""A server that the explorer may fill and empty."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ops.embedded_redis import EmbeddedRedis
from worker.hopper import connect


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["redis.Redis"]:
    folder: Path = tmp_path_factory.mktemp("explore")
    with EmbeddedRedis(folder, append_only=False) as server:
        client = connect(server.url)
        yield client
        client.close()
