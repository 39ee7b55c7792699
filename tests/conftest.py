"""Shared by all tests: a Redis of our own, and a hopper with a key space of its own for each test."""

import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, settings

from ops.embedded_redis import EmbeddedRedis
from tests.examples import HUNTED
from worker.hopper import Hopper, connect
from worker.settings import PbxSettings

# Each run tries the same examples, so that a failure is news about the change under test; EXAMPLES=1000 hunts for
# others. How long an example takes, or how many are thrown away, is no reason to fail.
settings.register_profile(
    "outdial",
    settings.get_profile("default"),
    deadline=None,
    derandomize=HUNTED is None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    **({"max_examples": HUNTED} if HUNTED else {}),
)
settings.load_profile("outdial")

# What the environment of those who run the tests may hold, and what of ours reads it.
FROM_OUTSIDE = re.compile(
    r"""
    OUTDIAL_.* | REDIS_URL                                   # our own settings
    | (HTTP|HTTPS|ALL|NO)_PROXY                              # requests, Chromium, OpenTelemetry
    | (REQUESTS_CA|CURL_CA)_BUNDLE | SSL_CERT_(FILE|DIR)     # requests, OpenSSL
    | (NO|FORCE)_COLOR | COLUMNS | LINES | TTY_.*            # rich, click
    | CELERY_.* | FLOWER_.* | OTEL_.* | PROMETHEUS_.*        # settings of libraries
    | NOTIFY_SOCKET | WATCHDOG_.*                            # systemd
    | MPLBACKEND | MATPLOTLIBRC                              # the drawings of reports
    | PYTHONDONTWRITEBYTECODE                                # it costs each process 2 s to compile the product
    """,
    re.VERBOSE | re.IGNORECASE,
)


def pytest_configure() -> None:
    """Take out of the environment what would change the outcome, before anything is imported that reads it."""
    for name in filter(FROM_OUTSIDE.fullmatch, list(os.environ)):
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
