"""How well the limit is kept and used, and how long an idle dialer takes from a job to its POST."""

import statistics
import time

from ops.bench.rig import ended, rig, wait_until
from worker.hopper import Hopper
from worker.jobs import DialJob

RATE, SECONDS, PROCESSES = 20, 20, 4
_SINGLES = 60


def most_in_a_second(times: list[float]) -> int:
    """Return the largest number of *times* in any half-open second."""
    ordered, first, most = sorted(times), 0, 0
    for last, at in enumerate(ordered):
        while at - ordered[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def limit() -> tuple[int, int, float]:
    """Return the most claims and POSTs in any sliding second, and the share of the limit that was used."""
    with rig() as bench:
        hopper = Hopper.from_settings(bench.settings(calls_per_second=RATE, burst=1))
        jobs = RATE * (SECONDS + 4)
        wishes = [DialJob(extid=str(1000 + n % 100), outto="0205550100", pbx="hq") for n in range(jobs)]
        ids = [receipt.id for receipt in hopper.put_many(wishes) if not isinstance(receipt, Exception)]
        with bench.workers(processes=PROCESSES):
            wait_until(lambda: ended(hopper) == jobs, within_s=90, what="all jobs to end")
        claims = sorted(float(hopper.record(job_id)["claimed_at"]) for job_id in ids)
        # From two seconds in, when every process is up.
        begin = claims[0] + 2
        used = sum(begin <= at < begin + SECONDS for at in claims) / (RATE * SECONDS)
        return most_in_a_second(claims), most_in_a_second(bench.posts()), used


def idle_to_post_ms() -> float:
    """Return the median time from the call of put to the POST at the PBX, with nothing else to do, in ms."""
    with rig() as bench:
        hopper = Hopper.from_settings(bench.settings())
        put_at: list[float] = []
        with bench.workers():
            wait_until(lambda: len(hopper.workers_alive()) == 2, within_s=20, what="the workers")
            for number in range(_SINGLES + 2):
                put_at.append(time.time())
                hopper.put(DialJob(extid=str(1000 + number), outto="0205550100", pbx="hq"))
                wait_until(lambda done=number + 1: ended(hopper) == done, within_s=10, what="a job to end")
                time.sleep(0.15)
        # The first calls log in and open connections.
        waits = [post - put for put, post in zip(put_at, bench.posts(), strict=True)][2:]
        return statistics.median(waits) * 1000
