"""A stage, a settings file, the command line and the door of producers, on the run's own Redis."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ops.embedded_redis import EmbeddedRedis
from ops.pbx_simulator.certificate import Certificate, keep_certificate
from producers import Dialer
from producers.cli import cli
from tests.integration.clock import StepClock, step_clock
from tests.integration.endpoints import Serve, endpoint
from tests.integration.hopper.stage import Stage
from worker.hopper import Hopper

Run = Callable[..., Result]


@pytest.fixture
def clock() -> Iterator[StepClock]:
    """The clock that the steps of the hopper see; only the test and `eventually` move it."""
    with step_clock() as running:
        yield running


@pytest.fixture
def stage(hopper: Hopper, namespace: str) -> Stage:
    """A hopper with one PBX that sets no limit, at the product's time limits."""
    made = Stage(hopper, queue=f"{namespace}.dial")
    made.open_pbx()
    return made


@pytest.fixture
def config(redis_server: EmbeddedRedis, namespace: str, tmp_path: Path) -> str:
    """A settings file of two PBXs, of which hq is the default."""
    pbx = 'api = "yeastar-s-v1.0"\nbase_url = "https://127.0.0.1:9"\nusername = "api"\npassword = "x"\n'
    file = tmp_path / "outdial.toml"
    file.write_text(
        f'redis_url = "{redis_server.url}"\nnamespace = "{namespace}"\nretain_s = 600\ndefault_pbx = "hq"\n'
        f"[pbx.hq]\n{pbx}[pbx.branch]\n{pbx}"
    )
    return str(file)


@pytest.fixture
def run(config: str) -> Run:
    def run_it(*args: str, stdin: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(cli, ["--config", config, *args], input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run_it


@pytest.fixture
def dialer(config: str) -> Dialer:
    return Dialer.from_config(config)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return keep_certificate(tmp_path_factory.mktemp("tls"), host="127.0.0.1")


@pytest.fixture
def serve(certificate: Certificate) -> Iterator[Serve]:
    """Start CRM endpoints that answer as they are told to."""
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(endpoint(certificate, answer))
