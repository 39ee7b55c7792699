"""Asking Redis for what a watch shows: the only file here that does."""

import time
from itertools import islice

from producers.watching.recent import HOUR_S, MINUTE_S, RATE_S, Recent
from producers.watching.scene import PbxScene, Scene, Slow
from worker.hopper import EndedJob, Hopper, Unknowns, server_view
from worker.settings import Settings
from worker.webhooks.targets import target_names

# Ends read at once: at the start (half a second), and with each look after it.
_MOST_AT_START = 10_000
_MOST_PER_LOOK = 4_000
# A watch so far behind the ends goes on with the latest ones.
_TOO_FAR_BEHIND_S = 30.0
# What changes slowly or costs more is asked so far apart.
_SLOW_S = 15.0
_MOST_LOOKED_AT = 20_000
_MOST_ENDPOINTS = 20


class Looker:
    """
    Takes one look at an installation after the other.

    Each look is one overview (50 µs for each PBX), the ends since the last one, and what changes slowly: it does
    not depend on how many jobs wait, and is bounded however many ended.

    Args:
        hopper: Where the jobs are.
        settings: Which PBXs and endpoints there are.
    """

    def __init__(self, hopper: Hopper, settings: Settings) -> None:
        self._hopper = hopper
        self._settings = settings
        self._names = list(settings.pbx)
        self._recent: Recent | None = None
        self._began_at = 0.0
        self._after = 0.0
        self._seen: set[str] = set()
        self._unknowns = Unknowns(hopper, most=_MOST_LOOKED_AT)
        self._slow: Slow | None = None
        self._slow_at = 0.0

    def look(self) -> Scene:
        """
        Return how things stand now.

        Raises:
            redis.exceptions.RedisError: If Redis does not answer; the next look may be taken all the same.
        """
        started = time.monotonic()
        overview = self._hopper.overview(self._names)
        recent = self._follow(overview.at)
        recent.forget_before(overview.at)
        lately, minute = recent.placed(RATE_S), recent.placed(MINUTE_S)
        failing = recent.not_placed(MINUTE_S)
        slow = self._slowly(overview.at)
        hour = recent.ended(HOUR_S, overview.at)
        return Scene(
            overview=overview,
            slow=slow,
            pbxs=tuple(
                PbxScene(one, lately[one.name], minute[one.name], failing[one.name]) for one in overview.pbxs
            ),
            minute=recent.ended(MINUTE_S, overview.at),
            hour=hour,
            since_start=recent.since_start(),
            began_at=self._began_at,
            taken_s=time.monotonic() - started,
            sentences={errno: recent.sentence(errno) for errno, _ in hour.by_errno},
        )

    def _follow(self, now: float) -> Recent:
        if self._recent is None:
            self._began_at = now
            self._recent = Recent(now)
            jobs, is_all = self._hopper.last_ended(now - HOUR_S, most=_MOST_AT_START)
            if not is_all:
                self._recent.leave_out(jobs[0].finished_at if jobs else now)
        else:
            fresh = (job for job in self._hopper.ended_jobs(self._after) if job.id not in self._seen)
            jobs = list(islice(fresh, _MOST_PER_LOOK))
        self._recent.add(jobs)
        self._go_on_behind(jobs, now)
        return self._recent

    def _go_on_behind(self, jobs: list[EndedJob], now: float) -> None:
        """Begin behind the last job next time; others may have ended at the same moment."""
        assert self._recent is not None
        # What ends is stamped by the server's clock, so nothing will come that is older than the last look.
        last = jobs[-1].finished_at if jobs else max(self._after, now - RATE_S)
        same = {job.id for job in jobs if job.finished_at == last}
        self._seen = same | (self._seen if last == self._after else set())
        self._after = last
        if len(jobs) >= _MOST_PER_LOOK and now - last > _TOO_FAR_BEHIND_S:
            self._recent.leave_out(now)
            self._after, self._seen = now - RATE_S, set()

    def _slowly(self, now: float) -> Slow:
        if self._slow is None or not 0 <= now - self._slow_at < _SLOW_S:
            self._slow, self._slow_at = self._ask_slowly(), now
        return self._slow

    def _ask_slowly(self) -> Slow:
        hopper, settings = self._hopper, self._settings
        targets = target_names(settings)
        return Slow(
            server=server_view(hopper),
            unknowns=self._unknowns.count(),
            counted_all_unknowns=self._unknowns.is_complete,
            endpoints=tuple(hopper.endpoint(name) for name in targets[:_MOST_ENDPOINTS]),
            endpoint_count=len(targets),
            couriers=len(hopper.couriers_alive()),
            wait_replicas=settings.replication.wait_replicas,
        )
