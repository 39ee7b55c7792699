"""Looking into the hopper; nothing here changes anything."""

import copy
import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

import redis

from worker.hopper.answers import Breaker, LaneView, Moment, Pause, PbxView, SetAside
from worker.hopper.connection import Scripts
from worker.hopper.job_filter import JobFilter
from worker.hopper.keys import Keys
from worker.jobs import DialResult, Priority

KILL_SWITCH = "*"
# As in `scripts/shared/timeline.lua`.
FIRST_LINES, LAST_LINES = 4, 16
_BREAKER = ("barred_until", "barred_since", "barred_reason")


class Looking:
    """The reading half of `worker.hopper.Hopper`."""

    def __init__(self, client: "redis.Redis", namespace: str, *, actor: str = "") -> None:
        self.client = client
        self._scripts = Scripts(client, namespace, _without_bars(actor))
        # The client decodes every reply to text, which redis-py's types do not know.
        self._client: Any = client
        self.keys = Keys(namespace)

    def acting_as(self, actor: str) -> Self:
        """Return the same hopper, on the same connections, for somebody else to act: see `actor`."""
        other = copy.copy(self)
        other._scripts = self._scripts.acting_as(_without_bars(actor))  # noqa: SLF001 - its own kind
        return other

    def record(self, job_id: str) -> dict[str, str]:
        """Return a job's record as stored, empty if there is none, or no hash. Holds the telephone number."""
        return self._records([job_id])[0]

    def records(self, job_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return the records of several jobs by id, in one round trip; see `record`."""
        return dict(zip(job_ids, self._records(job_ids), strict=True))

    def result(self, job_id: str) -> DialResult | None:
        """Return what is known of a job, final or not; None if there is no such job."""
        return next(self.results([job_id]), None)

    def results(self, job_ids: Sequence[str]) -> Iterator[DialResult]:
        """
        Return what is known of several jobs in one round trip; unknown ids are left out.

        So are records that somebody spoiled; `set_aside` has those once a step has come upon them.
        """
        for job_id, record in zip(job_ids, self._records(job_ids), strict=True):
            if record.get("state"):
                with suppress(ValueError):
                    result = DialResult.from_record(job_id, record)
                    if result.finished_at is not None or not result.state.is_final:
                        yield result

    def _records(self, job_ids: Sequence[str]) -> list[dict[str, str]]:
        with self._client.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hgetall(self.keys.job(job_id))
            found = pipe.execute(raise_on_error=False)
        for answer in found:
            if isinstance(answer, Exception) and not _is_no_hash(answer):
                raise answer
        return [{} if isinstance(answer, Exception) else answer for answer in found]

    def ended_since(self, since: float, until: float = math.inf, *, page: int = 500) -> Iterator[DialResult]:
        """
        Yield results of jobs that ended from *since* until before *until* (unix seconds), oldest first.

        Jobs that end meanwhile come too. Jobs whose record has expired are left out.
        """
        for job_ids in self._ended_ids(since, until, page):
            yield from self.results(job_ids)

    def _ended_ids(self, since: float, until: float, page: int) -> Iterator[list[str]]:
        """Yield the ids of the jobs that ended from *since* until before *until*, oldest first, page by page."""
        after, seen = since, set[str]()
        end = "+inf" if until == math.inf else f"({until!r}"
        while True:
            found = self._client.zrange(
                self.keys.ended, after, end, byscore=True, withscores=True, offset=0, num=page + len(seen)
            )
            fresh = [job_id for job_id, _ in found if job_id not in seen]
            if not fresh:
                return
            yield fresh
            after = found[-1][1]
            seen = {job_id for job_id, score in found if score == after}

    def ended_last(self, most: int, *, since: float = 0.0) -> list[str]:
        """Return the jobs that ended last, the last first, of those that ended after *since* (unix seconds)."""
        ids: list[str] = self._client.zrange(
            self.keys.ended, "+inf", f"({since}", desc=True, byscore=True, offset=0, num=most
        )
        return ids

    def find(
        self, wanted: JobFilter, *, below: str = "", most: int, most_looked_at: int = 1000
    ) -> tuple[list[DialResult], str]:
        """
        Return a page of the jobs that match a filter, the one enqueued last first.

        Args:
            wanted: The filter.
            below: Where the page before ended; empty for the first.
            most: Jobs on a page.
            most_looked_at: Jobs looked at; keeps this quick (a few milliseconds) where few match.

        Returns:
            The jobs, perhaps fewer than *most*, and where the next page begins: empty behind the last one.
        """
        ids, after = self._find(wanted, below, most=most, most_looked_at=most_looked_at)
        return list(self.results(ids)), after

    def find_each(self, wanted: JobFilter, *, page: int = 200) -> Iterator[DialResult]:
        """Yield all jobs that match a filter, the one enqueued last first; holds no more than a page."""
        below = ""
        while True:
            results, below = self.find(wanted, below=below, most=page)
            yield from results
            if not below:
                return

    def matching(self, wanted: JobFilter, job_ids: Sequence[str]) -> list[str]:
        """Return those of some jobs that match a filter, in their order."""
        ids, _ = self._find(wanted, "", most=len(job_ids), most_looked_at=len(job_ids), ids=job_ids)
        return ids

    def _find(
        self,
        wanted: JobFilter,
        below: str,
        *,
        most: int,
        most_looked_at: int,
        ids: Sequence[str] | None = None,
    ) -> tuple[list[str], str]:
        payload = wanted.payload(below=below, wanted=most, most=most_looked_at, ids=ids)
        after, *found = self._scripts.run("find", payload)
        return found, after

    def wait_for_end(self, job_id: str, timeout_s: float) -> DialResult | None:
        """
        Block until a job ends.

        Returns:
            Its result; after *timeout_s* whatever is known by then; None if there is no such job.
        """
        deadline = time.monotonic() + timeout_s
        with self._client.pubsub(ignore_subscribe_messages=True) as channel:
            channel.subscribe(self.keys.end(job_id))
            while True:
                result = self.result(job_id)
                left = deadline - time.monotonic()
                if result is None or result.state.is_final or left <= 0:
                    return result
                # The record is looked at again each second in case a message was lost with a connection.
                channel.get_message(timeout=min(left, 1.0))

    def ends(self, *, look_s: float = 1.0) -> Iterator[str | None]:
        """
        Yield the id of each job as it ends, and None whenever none did for *look_s*; for ever.

        What ends while a connection is lost is not told: look at the record too.

        Raises:
            redis.exceptions.RedisError: If Redis goes away.
        """
        prefix = len(self.keys.end(""))
        with self._client.pubsub(ignore_subscribe_messages=True) as channel:
            channel.psubscribe(self.keys.ends)
            while True:
                message = channel.get_message(timeout=look_s)
                yield message["channel"][prefix:] if message else None

    def paused(self) -> set[str]:
        """Return the paused PBXs; `*` stands for the kill switch."""
        return set(self._client.smembers(self.keys.paused))

    def pauses(self) -> list[Pause]:
        """Return all pauses with their authors: the kill switch first, then by PBX and extension."""
        with self._client.pipeline(transaction=False) as pipe:
            pipe.smembers(self.keys.paused)
            pipe.hgetall(self.keys.pauses)
            paused, authors = pipe.execute()
        extensions = {place for place in authors if "/" in place}
        return [pause_of(place, authors.get(place)) for place in sorted({*paused, *extensions})]

    def set_aside_list(self) -> list[SetAside]:
        """Return the notes of what could not be used, newest first: at most 100, none older than the last week."""
        notes = [json.loads(note) for note in self._client.lrange(self.keys.aside, 0, -1)]
        return [SetAside(note["at"], note["what"], note["id"], note["reason"]) for note in notes]

    def set_aside_count(self) -> int:
        """Return how many were set aside, those no longer in the list included."""
        return int(self._client.get(self.keys.aside_count) or 0)

    def workers_alive(self) -> dict[str, int]:
        """Return the slots of each worker that lives."""
        now = self.now()
        rows = ([*value.split("|"), name] for name, value in self._client.hgetall(self.keys.workers).items())
        return {name: int(slots) for slots, alive_until, name in rows if float(alive_until) > now}

    def barred(self, pbx: str) -> tuple[float, str]:
        """Return for how many seconds a PBX's breaker stays open (0: it does not) and why."""
        breaker = self.breaker(pbx)
        return (breaker.seconds, breaker.reason) if breaker.seconds > 0 else (0.0, "")

    def breaker(self, pbx: str) -> Breaker:
        """Return the breaker of one PBX."""
        return breaker_of(self._client.hmget(self.keys.pbx(pbx), *_BREAKER), self.now())

    def timeline(self, job_id: str) -> list[Moment]:
        """Return a job's last moves, oldest first; of a long life the first four and the last sixteen."""
        return timeline_of(self.record(job_id))

    def timelines(self, job_ids: Sequence[str]) -> dict[str, list[Moment]]:
        """Return the same of several jobs in one round trip; of unknown ids, an empty one."""
        return dict(zip(job_ids, map(timeline_of, self._records(job_ids)), strict=True))

    def why(self, job_id: str) -> dict[str, Any]:
        """Return what may hold a job back now, as `scripts/why.lua` lists it; empty if there is no job."""
        facts: dict[str, Any] = json.loads(self._scripts.run("why", job_id))
        return facts

    def credentials_mark(self, pbx: str) -> str | None:
        """Return what tells the credentials in use from others; None before the first worker started."""
        mark: str | None = self._client.hget(self.keys.token(pbx), "credentials")
        return mark

    def view(self, pbx: str) -> PbxView:
        """Return what waits and runs on one PBX, lane by lane."""
        keys, now = self.keys, self.now()
        with self._client.pipeline(transaction=False) as pipe:
            for rank in range(len(Priority)):
                pipe.zrange(keys.ring(pbx, rank), 0, -1, withscores=True)
            pipe.zcard(keys.later(pbx))
            pipe.zcard(keys.released(pbx))
            pipe.zcount(keys.lines(pbx), now, "+inf")
            pipe.zcard(keys.doubts(pbx))
            pipe.hmget(keys.pbx(pbx), *_BREAKER)
            *rings, later, released, lines, in_doubt, state = pipe.execute()
        breaker, pauses = breaker_of(state, now), self.pauses()
        own = {pause.extid: pause for pause in pauses if pause.pbx == pbx}
        free_at = {extid: at for ring in rings for extid, at in ring}
        lanes = tuple(self._lanes(pbx, free_at, own, now))
        return PbxView(
            name=pbx,
            waiting=sum(lane.waiting for lane in lanes if lane.pause is None),
            later=later,
            released=released,
            # A released job has its line reserved already.
            open_calls=max(0, lines - released),
            paused="" in own or any(pause.pbx == KILL_SWITCH for pause in pauses),
            pause=own.get(""),
            in_doubt=in_doubt,
            breaker=breaker.state,
            barred_s=breaker.seconds,
            barred_since=breaker.since,
            barred_reason=breaker.reason,
            lanes=lanes,
        )

    def _lanes(
        self, pbx: str, free_at: Mapping[str, float], pauses: Mapping[str, Pause], now: float
    ) -> Iterator[LaneView]:
        """Yield the lanes that have a turn (*free_at* by extension), and the paused ones, which have none."""
        names = sorted({*free_at, *pauses} - {""})
        with self._client.pipeline(transaction=False) as pipe:
            for extid in names:
                pipe.zcard(self.keys.lane(pbx, extid))
                pipe.zscore(self.keys.exts(pbx), extid)
            found = pipe.execute()
        for extid, count, lease in zip(names, found[::2], found[1::2], strict=True):
            busy_until = free_at.get(extid) or lease or 0.0
            yield LaneView(extid, count, max(0.0, busy_until - now), pauses.get(extid))

    def now(self) -> float:
        """Return the server's clock in unix seconds."""
        seconds, microseconds = self._client.time()
        return float(seconds) + float(microseconds) / 1e6


def pause_of(place: str, author: str | None) -> Pause:
    """
    Return a pause by its name in the hash of pauses, with its author as that hash has it.

    A pause without an author, or with one that somebody spoiled, is a pause all the same.
    """
    pbx, _, extid = place.partition("/")
    try:
        told = json.loads(author or "{}")
        return Pause(pbx, extid, float(told.get("at", 0)), str(told.get("by", "")), str(told.get("reason", "")))
    except (ValueError, TypeError, AttributeError):
        return Pause(pbx, extid)


def _without_bars(actor: str) -> str:
    """The parts of a timeline's line are told apart by bars."""
    return actor.replace("|", "/")


def breaker_of(fields: Sequence[Any], now: float) -> Breaker:
    """Return the breaker that a PBX's `barred_until` (None: closed), `barred_since`, `barred_reason` tell of."""
    until, since, reason = fields
    if until is None:
        return Breaker("closed", 0.0, 0.0, "")
    seconds = max(0.0, float(until) - now)
    return Breaker("open" if seconds > 0 else "half-open", seconds, float(since or 0), reason or "")


def timeline_of(record: Mapping[str, str]) -> list[Moment]:
    """
    Return the timeline in a job's record, oldest first; see `line` in `scripts/shared/timeline.lua`.

    Lines that somebody spoiled are left out.
    """
    lines = {int(name[1:]): text for name, text in record.items() if re.fullmatch(r"~[0-9]{1,2}", name)}
    count = record.get("n", "0")
    # The last ones go round: the oldest of them stands where the next will be written.
    turned = (int(count) - FIRST_LINES) % LAST_LINES if re.fullmatch(r"[0-9]{1,9}", count) else 0

    def age(place: int) -> int:
        return place if place <= FIRST_LINES else FIRST_LINES + (place - 1 - FIRST_LINES - turned) % LAST_LINES + 1

    return [moment for place in sorted(lines, key=age) for moment in _moments(lines[place])]


def _moments(text: str) -> Iterator[Moment]:
    at, state, who, reason = (text.split("|", 3) + [""] * 3)[:4]
    with suppress(ValueError):
        yield Moment(float(at), state, who, reason)


def _is_no_hash(error: Exception) -> bool:
    return isinstance(error, redis.ResponseError) and str(error).startswith("WRONGTYPE")
