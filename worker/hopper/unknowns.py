"""How many jobs of the last day are unknown still, told often without looking at all that ended each time."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from worker.hopper.looking import Looking
from worker.jobs import JobState

DAY_S = 86400.0


class Unknowns:
    """
    Remembers which jobs were found unknown; looks at those again, at what ended since, and a piece further back.

    On a busy installation it takes some calls from the first one until the whole day has been looked at; the count
    grows meanwhile. Calls must not overlap.

    Args:
        hopper: Where the jobs are.
        most: Jobs looked at for each of the three reasons in one call: 5,000 take about 50 ms, spent here for the
            most part.

    Attributes:
        is_complete: Whether the last count is of the whole day, and not `most` of it.
    """

    def __init__(self, hopper: Looking, *, most: int = 5000) -> None:
        self._hopper = hopper
        self._client: Any = hopper.client
        self._most = most
        self.is_complete = False
        # Id to when it ended, those looked at longest ago first.
        self._found: dict[str, float] = {}
        # What ended between these two has been looked at.
        self._from = self._to = 0.0

    def count(self) -> int:
        """
        Return how many jobs ended as unknown within a day, and are unknown still.

        Raises:
            redis.exceptions.RedisError: If Redis does not answer; the next call goes on from here.
        """
        now = self._hopper.now()
        if not now - DAY_S < self._to <= now:  # the first call, or another clock
            self._from, self._to, self._found = now, now, {}
        self._look_at(list(islice(self._found.items(), self._most)), now)
        newer = self._ended(self._to, "+inf")
        self._look_at(newer, now)
        self._to = max((at for _, at in newer), default=self._to)
        if self._from > now - DAY_S:
            older = self._ended(f"({self._from}", now - DAY_S, newest_first=True)
            self._look_at(older, now)
            self._from = older[-1][1] if len(older) == self._most else 0.0
        self.is_complete = self._from <= now - DAY_S and len(newer) < self._most
        return len(self._found)

    def _ended(
        self, first: float | str, last: float | str, *, newest_first: bool = False
    ) -> list[tuple[str, float]]:
        options = {"byscore": True, "withscores": True, "offset": 0, "num": self._most, "desc": newest_first}
        return [tuple(row) for row in self._client.zrange(self._hopper.keys.ended, first, last, **options)]

    def _look_at(self, jobs: Iterable[tuple[str, float]], now: float) -> None:
        rows = list(jobs)
        for (job_id, at), state in zip(rows, self._states([job_id for job_id, _ in rows]), strict=True):
            self._found.pop(job_id, None)
            if state == JobState.UNKNOWN and at > now - DAY_S:
                self._found[job_id] = at

    def _states(self, job_ids: list[str]) -> Iterator[object]:
        for first in range(0, len(job_ids), 1000):
            with self._client.pipeline(transaction=False) as pipe:
                for job_id in job_ids[first : first + 1000]:
                    pipe.hget(self._hopper.keys.job(job_id), "state")
                # A record that is no hash any more is an error in its place.
                yield from pipe.execute(raise_on_error=False)
