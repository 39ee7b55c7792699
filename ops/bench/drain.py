"""Drained jobs per second, with every promise on, against plain Celery doing the same POST."""

import json
import os
import subprocess
import sys

import redis

from ops.bench.rig import ended, rig, wait_until
from worker.hopper import Hopper
from worker.jobs import DialJob

JOBS = 4000
_EXTENSIONS = 200
# Starting up and running dry are left out of the rate.
_EDGE = 0.05


def _rate(posts: list[float]) -> float:
    edge = int(len(posts) * _EDGE)
    steady = sorted(posts)[edge : len(posts) - edge]
    return (len(steady) - 1) / (steady[-1] - steady[0])


def outdial_rate(jobs: int = JOBS) -> float:
    """Return jobs/s from a full hopper; every job must end as placed, with its result delivered."""
    with rig() as bench:
        settings = bench.settings()
        hopper = Hopper.from_settings(settings)
        wishes = [DialJob(extid=str(1000 + n % _EXTENSIONS), outto="0205550100", pbx="hq") for n in range(jobs)]
        receipts = list(hopper.put_many(wishes))
        assert len(receipts) == jobs
        with bench.workers():
            wait_until(lambda: ended(hopper) == jobs, within_s=120, what="all jobs to end")
            results = redis.Redis.from_url(settings.result_backend_url)
            wait_until(lambda: results.dbsize() >= jobs, within_s=20, what="all results")
        posts = bench.posts()
        assert len(posts) == jobs, f"{len(posts)} POSTs for {jobs} jobs"
        return _rate(posts)


def plain_rate(*, events: bool, jobs: int = JOBS) -> float:
    """Return jobs/s of plain Celery from a full queue, results stored."""
    with rig() as bench:
        calls = f"for n in range({jobs}): dial.delay(str(n % 200), '0205550100')"
        code = f"from ops.bench.plain_celery import dial\n{calls}"
        subprocess.run([sys.executable, "-c", code], env=bench.plain_environment(), check=True)
        results = redis.Redis.from_url(bench.server.url_of_database(3))
        with bench.plain_workers(events=events):
            wait_until(lambda: results.dbsize() >= jobs, within_s=120, what="all results")
        return _rate(bench.posts())


if __name__ == "__main__":
    os.environ.setdefault("C_FORCE_ROOT", "1")
    rates = {"outdial": outdial_rate(), "plain": plain_rate(events=False), "plain+events": plain_rate(events=True)}
    print(json.dumps(rates))
