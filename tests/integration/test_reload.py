"""`outdial reload` asks every process, waits for each, and reports what came of it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from producers import Dialer
from tests.integration.conftest import Run
from tests.integration.hopper.stage import eventually
from worker import logs
from worker.health import settings_findings
from worker.hopper import Hopper
from worker.reloading import Reloader
from worker.settings import Current, Settings, version_of


@pytest.fixture(autouse=True)
def no_lines() -> Iterator[None]:
    """The processes of these tests are threads, and their lines would stand amid what a command prints."""
    with structlog.testing.capture_logs():
        yield
    logs.set_level("debug")


@contextmanager
def process(hopper: Hopper, config: str, name: str) -> Iterator[Current]:
    """What a process does about its settings, in a thread of this one."""
    current = Current(Settings.load(config))
    reloader = Reloader(current, lambda: Settings.load(config), hopper, name=name)
    reloader.start()
    try:
        eventually(lambda: name in {report.process for report in hopper.settings_reports()})
        yield current
    finally:
        reloader.stop()


def changed(config: str, was: str, now: str) -> None:
    text = Path(config).read_text()
    assert was in text
    Path(config).write_text(text.replace(was, now))


def other_host(config: str) -> str:
    """A settings file of another host, the same at first."""
    file = Path(config).with_name("other.toml")
    file.write_text(Path(config).read_text())
    return str(file)


def test_every_process_follows_and_what_takes_a_restart_is_named(run: Run, config: str, dialer: Dialer) -> None:
    with process(dialer.hopper, config, "w1@a") as one, process(dialer.hopper, config, "w2@a") as two:
        changed(config, "retain_s = 600", 'retain_s = 700\nlog_level = "warning"')
        result = run("reload")
        assert result.exit_code == 0
        assert one.settings.log_level == two.settings.log_level == "warning"
        assert one.settings.retain_s == 600
        assert "retain_s was changed, and takes a restart." in result.stdout
        version = version_of(one.settings)
        assert [line for line in result.stdout.splitlines() if version in line] == [
            f"w1@a has settings {version}.",
            f"w2@a has settings {version}.",
        ]


def test_a_file_that_is_wrong_here_is_refused_before_any_process_is_asked(
    run: Run, config: str, dialer: Dialer
) -> None:
    changed(config, "retain_s = 600", "retain_s = 0")
    result = run("reload")
    assert (result.exit_code, "retain_s" in result.stderr) == (2, True)
    assert dialer.hopper.reloads_asked() == 0


def test_a_process_whose_own_file_is_wrong_keeps_its_settings_and_is_named(
    run: Run, config: str, dialer: Dialer
) -> None:
    elsewhere = other_host(config)
    with process(dialer.hopper, config, "w1@a"), process(dialer.hopper, elsewhere, "w1@b") as there:
        before = there.settings
        changed(elsewhere, "retain_s = 600", 'log_level = "loud"')
        result = run("reload", "--json")
        assert result.exit_code == 2
        assert "w1@b keeps its settings: log_level" in result.stderr
        assert [bool(row["refused"]) for row in json.loads(result.stdout)] == [False, True]
        assert there.settings is before
        shown = run("lanes").stdout
        assert "w1@b refused the settings that it read last: log_level" in shown
        found = list(settings_findings(dialer.hopper.settings_reports(), version_of(before)))
        assert [finding.level for finding in found] == ["bad", "ok"]


def test_hosts_with_other_files_are_shown_by_version(run: Run, config: str, dialer: Dialer) -> None:
    elsewhere = other_host(config)
    changed(elsewhere, "retain_s = 600", 'retain_s = 600\nlog_level = "error"')
    with process(dialer.hopper, config, "w1@a") as here, process(dialer.hopper, elsewhere, "w1@b") as there:
        versions = [version_of(host.settings) for host in (here, there)]
        shown = run("lanes").stdout
        assert all(
            f"Settings {version}: {name}." in shown
            for version, name in zip(versions, ("w1@a", "w1@b"), strict=True)
        )
        [row, *_] = json.loads(run("lanes", "--json").stdout)
        assert row["settings_versions"] == dict(zip(("w1@a", "w1@b"), versions, strict=True))
        [found] = settings_findings(dialer.hopper.settings_reports(), versions[0])
        assert found.level == "warning"


def test_a_process_that_does_not_answer_is_named(run: Run, config: str, dialer: Dialer) -> None:
    held = threading.Event()
    reading = threading.Event()

    def read() -> Settings:
        reading.set()
        held.wait()
        return Settings.load(config)

    reloader = Reloader(Current(Settings.load(config)), read, dialer.hopper, name="slow@a")
    reloader.start()
    try:
        eventually(lambda: bool(dialer.hopper.settings_reports()))
        result = run("reload", "--wait", "0.2")
        assert (result.exit_code, "slow@a has not followed" in result.stderr) == (1, True)
        assert reading.wait(30)
    finally:
        held.set()
        reloader.stop()


def test_without_a_process_there_is_nothing_to_wait_for(run: Run) -> None:
    result = run("reload")
    assert (result.exit_code, "No process runs" in result.stdout) == (0, True)


def test_a_check_asks_no_process(run: Run, dialer: Dialer) -> None:
    assert run("reload", "--check").exit_code == 0
    assert dialer.hopper.reloads_asked() == 0
