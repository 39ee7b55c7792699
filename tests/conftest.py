"""Shared by all tests: a Redis of our own, and a hopper with a key space of its own for each test."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, settings

from ops.embedded_redis import EmbeddedRedis
from worker.hopper import Hopper, connect
from worker.settings import PbxSettings

# How long an example takes says how busy the machine is: other tests run beside it.
settings.register_profile("outdial", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("outdial")


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside() -> None:
    """Whoever runs the tests may have settings of their own in the environment."""
    for name in [name for name in os.environ if name.startswith("OUTDIAL_") or name == "REDIS_URL"]:
        del os.environ[name]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """A real server started for this run; nobody else's is ever touched."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def namespace() -> str:
    """Key prefix of one test."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def client(redis_server: EmbeddedRedis) -> Iterator[redis.Redis]:
    """A client as the product makes it."""
    with connect(redis_server.url) as connected:
        yield connected


@pytest.fixture
def hopper(client: redis.Redis, namespace: str) -> Hopper:
    """An empty hopper."""
    return Hopper(client, namespace=namespace, retain_s=600)


def pbx_settings(**changes: object) -> PbxSettings:
    """Settings of a PBX that sets no limit a test does not ask for."""
    values: dict[str, object] = {
        "api": "yeastar-s-v1.0",
        "base_url": "https://127.0.0.1:9",
        "username": "api",
        "password": "simulator",
        "calls_per_second": 1000,
        "burst": 1000,
        "max_open_calls": 1000,
        "open_call_s": 0,
        "extension_rest_s": 0,
    }
    return PbxSettings.model_validate(values | changes)


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """A folder for a server of a test's own."""
    return tmp_path / "data"
