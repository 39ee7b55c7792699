"""Settings that change while calls are under way: by SIGHUP, and by `outdial reload`."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ops.children import blocks_hang_ups, children_of
from ops.embedded_redis import EmbeddedRedis
from ops.installation import PATIENT, Installation, eventually, installation
from producers import Dialer

HUP = signal.SIGHUP


@pytest.fixture
def site(redis_server: EmbeddedRedis, tmp_path: Path, namespace: str) -> Iterator[Installation]:
    options = ("--extensions", "1000-1009", "--ring-s", "0.02", "--talk-s", "0.05", "--log-level", "warning")
    with installation(tmp_path, redis_server, namespace, hq=options, east=options) as site:
        site.write_settings(calls_per_second=20, **PATIENT)
        yield site


def without(section: str, text: str) -> str:
    """Return settings without a section."""
    return re.sub(rf"\[{re.escape(section)}\]\n[^\[]*", "", text)


def enqueue(site: Installation, count: int, pbx: str) -> list[str]:
    dialer = Dialer(site.settings, site.hopper)
    return [dialer.enqueue(extid=f"100{n % 10}", outto=f"0205550{n:03d}", pbx=pbx).id for n in range(count)]


def ended(site: Installation, jobs: list[str]) -> list[str]:
    return [str(result.state) for result in site.hopper.results(jobs) if result.state.is_final]


def hang_up(supervisor: "subprocess.Popen[str]") -> list[int]:
    """Send SIGHUP to a supervisor and to its processes, and return those."""
    processes = children_of(supervisor.pid)
    for pid in (supervisor.pid, *processes):
        with suppress(ProcessLookupError):
            os.kill(pid, HUP)
    return processes


def test_a_hang_up_brings_limits_and_a_pbx_while_a_call_is_under_way(site: Installation) -> None:
    whole = site.config.read_text()
    site.config.write_text(without("pbx.east", whole))
    with site.workers(processes=2) as supervisor:
        processes = children_of(supervisor.pid)
        site.pbxs["hq"].fault(kind="delay", delay_s=2)
        [slow] = enqueue(site, 1, "hq")
        [waiting] = enqueue(site, 1, "east")
        eventually(lambda: site.hopper.record(slow)["state"] == "claimed")

        site.config.write_text(whole.replace("calls_per_second = 20", "calls_per_second = 7"))
        os.kill(supervisor.pid, HUP)

        eventually(lambda: site.hopper.registered("hq")["calls_per_second"] == "7.0")
        assert eventually(lambda: ended(site, [slow, waiting])[1:]) == ["placed"]
        assert children_of(supervisor.pid) == processes
        assert len({report.version for report in site.hopper.settings_reports()}) == 1
    assert [len(pbx.rings()) for pbx in site.pbxs.values()] == [1, 1]


def test_a_wrong_file_leaves_the_old_settings_in_force_and_is_reported(site: Installation) -> None:
    with site.workers() as supervisor:
        site.config.write_text(site.config.read_text().replace("calls_per_second = 20", "calls_per_second = -1"))
        os.kill(supervisor.pid, HUP)
        [report] = eventually(lambda: [one for one in site.hopper.settings_reports() if one.refused])
        assert "pbx.hq.calls_per_second" in report.refused

        reload = site.outdial("reload")
        assert (reload.returncode, "pbx.east.calls_per_second" in reload.stderr) == (2, True)
        assert site.hopper.registered("hq")["calls_per_second"] == "20.0"
        jobs = enqueue(site, 3, "hq")
        assert eventually(lambda: ended(site, jobs)[2:]) == ["placed"]
    assert "settings_refused" in site.worker_log.read_text()


def test_hang_ups_from_the_first_moment_to_the_last_end_no_process(site: Installation) -> None:
    with site.supervisor(site.worker_log, processes=2, concurrency=2) as supervisor:
        # Before that Python has not run a line of ours, and nothing has begun that could be cut.
        eventually(lambda: blocks_hang_ups(supervisor.pid))
        known: set[int] = set()

        def are_ready() -> bool:
            known.update(hang_up(supervisor))
            return len(site.hopper.workers_alive()) == 2

        eventually(are_ready)
        jobs = enqueue(site, 4, "hq")
        eventually(lambda: hang_up(supervisor) and len(ended(site, jobs)) == len(jobs))
        assert len(known) == 2
        supervisor.terminate()
        while supervisor.poll() is None:
            hang_up(supervisor)
            with suppress(subprocess.TimeoutExpired):
                supervisor.wait(0.02)
        assert supervisor.returncode == 0
    assert len(site.pbxs["hq"].rings()) == len(jobs)


def test_reload_reaches_every_process_of_every_host_and_names_what_takes_a_restart(site: Installation) -> None:
    with site.workers() as one, site.supervisor(site.worker_log, processes=1, concurrency=1) as other, site.api():
        eventually(lambda: len(site.hopper.settings_reports()) == 3)
        text = site.config.read_text().replace("open_call_s = 0.25", "open_call_s = 0.5")
        site.config.write_text(f"retain_s = 700\n{text}")
        reload = site.outdial("reload")
        assert reload.returncode == 0, reload.stderr
        lines = reload.stdout.splitlines()
        assert sum(f"dialer1.{one.pid}@" in line or f"dialer1.{other.pid}@" in line for line in lines) == 2
        assert sum("api." in line for line in lines) == 1
        assert "retain_s" in reload.stdout
        assert eventually(lambda: site.hopper.registered("hq")["open_call_s"] == "0.5")
