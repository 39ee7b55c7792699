"""A process reads its settings again, or goes on with those it has."""

from typing import Any

import pytest
import structlog

from tests.conftest import pbx_settings
from worker.errors import ConfigurationError
from worker.reloading import Reloader
from worker.settings import Current, Settings

HERE = {"redis_url": "redis://127.0.0.1:1/0"}


class Redis:
    """Takes what a reload brings."""

    def __init__(self) -> None:
        self.adopted: list[Settings] = []

    def adopt(self, settings: Settings) -> None:
        self.adopted.append(settings)


def settings(**given: Any) -> Settings:
    return Settings(**HERE, **given)


def reloader(current: Current, read: Settings | Exception, check: Any = lambda _settings: None) -> Reloader:
    def reading() -> Settings:
        if isinstance(read, Exception):
            raise read
        return read

    made = Reloader(current, reading, Redis(), check=check)  # type: ignore[arg-type]
    made._stopping.set()  # it rests no longer than it must
    return made


def test_settings_that_are_right_replace_those_in_force() -> None:
    current = Current(settings())
    names = current.derived(lambda present: list(present.pbx))
    assert names() == []
    with structlog.testing.capture_logs() as lines:
        assert reloader(current, settings(pbx={"hq": pbx_settings()})).reload()
    assert names() == ["hq"]
    [line] = lines
    assert (line["event"], line["changed"]) == ("settings_reloaded", ["pbx.hq (new)"])


@pytest.mark.parametrize("error", [ConfigurationError(["pbx.hq.burst: is 0"]), RuntimeError("secret")])
def test_settings_that_are_wrong_change_nothing_and_are_reported(error: Exception) -> None:
    current = Current(before := settings())
    with structlog.testing.capture_logs() as lines:
        assert not reloader(current, error).reload()
    assert current.settings is before
    assert lines[-1]["event"] == "settings_refused"
    assert lines[-1]["log_level"] == "error"
    assert "secret" not in str(lines[-1])


def test_settings_that_the_process_cannot_use_change_nothing() -> None:
    def refuse(_settings: Settings) -> None:
        raise ConfigurationError(["source.crm.kind: is missing"])

    current = Current(before := settings())
    assert not reloader(current, settings(log_level="debug"), refuse).reload()
    assert current.settings is before


def test_what_takes_a_restart_is_named_each_time() -> None:
    current = Current(settings())
    made = reloader(current, settings(namespace="other"))
    with structlog.testing.capture_logs() as lines:
        assert made.reload()
        assert made.reload()
    assert [line["settings"] for line in lines if line["event"] == "settings_need_restart"] == [["namespace"]] * 2
