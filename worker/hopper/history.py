"""What has become of jobs over time, for those who count; nothing here changes anything."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from worker.hopper.looking import FIRST_LINES, LAST_LINES, Looking
from worker.jobs import JobState

_FIELDS = (
    *("state", "pbx", "extid", "errno", "error", "attempts"),
    *("enqueued_at", "not_before", "placed_at", "finished_at"),
)
_LINES = tuple(f"~{number}" for number in range(1, FIRST_LINES + LAST_LINES + 1))


@dataclass(frozen=True, slots=True)
class EndedJob:
    """
    A job that ended, as much of it as is counted; never its number.

    Times are unix seconds. `due_at`: when it could first go; `placed_at` is 0 where no call was placed. `claims`:
    when its attempts began, as far as its timeline tells (of more than about six, the first and the last ones).
    `entry`: the one value of its metadata that was asked for, None if it has none.
    """

    id: str
    state: JobState
    pbx: str
    extid: str
    errno: str
    error: str
    attempts: int
    enqueued_at: float
    due_at: float
    placed_at: float
    finished_at: float
    claims: tuple[float, ...]
    entry: str | None = None

    @classmethod
    def from_record(cls, job_id: str, record: Mapping[str, str | None], *, entry: str = "") -> "EndedJob":
        """
        Read one out of a job's record.

        Args:
            job_id: The job.
            record: Fields as stored.
            entry: Name of the entry of the metadata that is wanted; empty for none.

        Raises:
            ValueError: If the job has not ended, or somebody spoiled the record.
        """
        state = JobState(record.get("state") or "")
        if not state.is_final:
            raise ValueError(f"it is {state}")
        enqueued_at = _time(record, "enqueued_at")
        return cls(
            id=job_id,
            state=state,
            pbx=record.get("pbx") or "",
            extid=record.get("extid") or "",
            errno=record.get("errno") or "",
            error=record.get("error") or "",
            attempts=int(record.get("attempts") or 0),
            enqueued_at=enqueued_at,
            due_at=max(enqueued_at, _time(record, "not_before")),
            placed_at=_time(record, "placed_at"),
            finished_at=_time(record, "finished_at"),
            claims=tuple(_claims(record)),
            entry=_entry(record, entry) if entry else None,
        )


class History(Looking):
    """Part of `worker.hopper.Hopper`."""

    def ended_jobs(
        self, since: float, until: float = math.inf, *, page: int = 500, entry: str = ""
    ) -> Iterator[EndedJob]:
        """
        Yield the jobs that ended from *since* until before *until* (unix seconds), oldest first.

        Jobs that end meanwhile come too, and one that ends again comes again. Those whose record has expired, or
        was spoiled, are left out. No more than a page is held at any time. *entry* names one entry of the metadata
        that each brings.
        """
        for job_ids in self._ended_ids(since, until, page):
            yield from self._ended_jobs(job_ids, entry)

    def last_ended(self, since: float, *, most: int) -> tuple[list[EndedJob], bool]:
        """
        Return the jobs that ended last, at or after *since* (unix seconds), oldest first.

        Args:
            since: The time.
            most: Jobs looked at; keeps this quick however many ended.

        Returns:
            The jobs, and whether all since then were looked at.
        """
        ids = self._client.zrange(self.keys.ended, "+inf", since, byscore=True, desc=True, offset=0, num=most + 1)
        newest = ids[:most][::-1]
        pages = (newest[first : first + 1000] for first in range(0, len(newest), 1000))
        return [job for page in pages for job in self._ended_jobs(page)], len(ids) <= most

    def ended_by(self, times: Sequence[float]) -> list[int]:
        """Return for each time (unix seconds) how many of the jobs with a record had ended before it."""
        with self._client.pipeline(transaction=False) as pipe:
            for moment in times:
                pipe.zcount(self.keys.ended, "-inf", f"({moment!r}")
            return list(pipe.execute())

    def handed_in_by(self, times: Sequence[float]) -> list[int]:
        """
        Return for each time (unix seconds) how many of the jobs with a record had been handed in before it.

        Jobs are numbered as they come, so each count is found by halving, all of them side by side: about twenty
        pairs of round trips for a million jobs. A record that is gone counts as an early one.
        """
        total = int(self._client.zcard(self.keys.arrivals))
        bounds = [(0, total) for _ in times]
        while any(low < high for low, high in bounds):
            middles = [(low + high) // 2 for low, high in bounds]
            came = self._handed_in_at(middles)
            bounds = [
                (low, high) if low >= high else (middle + 1, high) if at < moment else (low, middle)
                for (low, high), middle, at, moment in zip(bounds, middles, came, times, strict=True)
            ]
        return [low for low, _ in bounds]

    def _handed_in_at(self, places: Sequence[int]) -> list[float]:
        with self._client.pipeline(transaction=False) as pipe:
            for place in places:
                pipe.zrange(self.keys.arrivals, place, place)
            found = pipe.execute()
        with self._client.pipeline(transaction=False) as pipe:
            for ids in found:
                pipe.hmget(self.keys.job(ids[0] if ids else ""), "enqueued_at")
            rows = pipe.execute(raise_on_error=False)
        return [_time({"at": row[0]} if isinstance(row, list) else {}, "at") for row in rows]

    def _ended_jobs(self, job_ids: Sequence[str], entry: str = "") -> Iterator[EndedJob]:
        names = (*_FIELDS, *_LINES, *(["metadata"] if entry else []))
        with self._client.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hmget(self.keys.job(job_id), names)
            rows = pipe.execute(raise_on_error=False)
        for job_id, row in zip(job_ids, rows, strict=True):
            # An error stands in the place of a record that is no hash any more.
            if isinstance(row, list):
                with suppress(ValueError):
                    yield EndedJob.from_record(job_id, dict(zip(names, row, strict=True)), entry=entry)


def _time(record: Mapping[str, str | None], name: str) -> float:
    """A time that somebody spoiled is none."""
    try:
        moment = float(record.get(name) or 0)
    except ValueError:
        return 0.0
    return moment if math.isfinite(moment) else 0.0


def _entry(record: Mapping[str, str | None], name: str) -> str | None:
    try:
        metadata = json.loads(record.get("metadata") or "{}")
    except ValueError:
        return None
    value = metadata.get(name) if isinstance(metadata, dict) else None
    return value if isinstance(value, str) else None


def _claims(record: Mapping[str, str | None]) -> Iterator[float]:
    for name in _LINES:
        text = record.get(name)
        # An actor may be called so too, but stands behind the state.
        if text and "|claimed|" in text:
            at, state, _ = text.split("|", 2)
            if state == "claimed":
                with suppress(ValueError):
                    yield float(at)
