"""An upgrade may replace the program's files while it runs: every call under way keeps its outcome."""

import shutil
import sys
from pathlib import Path

from ops.children import child
from ops.embedded_redis import EmbeddedRedis
from ops.installation import GENEROUS_S, Installation, eventually, installation
from worker.jobs import DialJob, DialResult, JobState

ROOT = Path(__file__).parents[2]
PACKAGES = ("worker", "producers", "ops")
OPTIONS = ("--extensions", "1000-1099", "--ring-s", "0.02", "--talk-s", "0.05", "--log-level", "warning")
CALLS = 8


def test_a_worker_whose_files_are_gone_reports_every_outcome(tmp_path: Path, namespace: str) -> None:
    tree = tmp_path / "tree"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    log = tmp_path / "moved.log"
    command = [sys.executable, "-m", "worker", "--config", str(tmp_path / "outdial.toml"), "worker"]
    command += ["--processes", "1", "--concurrency", "4"]
    with (
        EmbeddedRedis(tmp_path / "redis") as server,
        installation(tmp_path, server, namespace, hq=OPTIONS) as site,
        log.open("a") as lines,
    ):
        site.write_settings(sections={"look": {"within_s": 1, "quiet_s": 0.5}})
        # Python then reports each import on stderr.
        environment = site.environment | {"PYTHONPROFILEIMPORTTIME": "1"}
        with child(command, stdout=lines, stderr=lines, cwd=tree, env=environment):
            eventually(site.hopper.workers_alive)
            tree.rename(tmp_path / "gone")

            placed = [ended(site, number) for number in range(CALLS)]
            site.pbxs["hq"].fault(kind="errno", errno="10004")
            failed = ended(site, CALLS)
            site.pbxs["hq"].fault(kind="drop_before_ring")
            unknown = ended(site, CALLS + 1)

        assert {(result.state, bool(result.callid)) for result in placed} == {(JobState.PLACED, True)}
        assert (failed.state, failed.errno) == (JobState.FAILED, "10004")
        assert (unknown.state, unknown.errno) == (JobState.UNKNOWN, "reply_lost")
        celery = site.plain_celery()
        for result in (*placed, failed, unknown):
            assert celery.AsyncResult(result.job_id).get(timeout=GENEROUS_S, propagate=False) is not None
    before, _, after = log.read_text().partition('"worker_ready"')
    assert "import time:" in before
    assert "import time:" not in after


def ended(site: Installation, number: int) -> DialResult:
    job = DialJob(extid=str(1000 + number), outto=f"02055501{number:02d}", pbx="hq")
    return site.end_of(site.hopper.put(job).id)
