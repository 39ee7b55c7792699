"""The last jobs as they change, as server-sent events: what the page shows."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any

import redis
import structlog
from fastapi import APIRouter, Depends
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from producers.api.access import Caller, needs
from producers.api.holding import Holding
from producers.api.intake import Intake
from producers.api.problems import Problem
from worker.errors import ServiceUnreachable
from worker.hopper import JobFilter
from worker.jobs import JobState

log = structlog.get_logger()

PATH = "/v1/live"
MOST_STREAMS = 50
MOST_JOBS = 20
# However many jobs end, one feed asks Redis no more often than this: a look costs it about a millisecond.
_SHORTEST_S = 0.3
# Ends are told at once; all other moves are found by looking, sooner while a call is being placed.
_UNDER_WAY_S, _IDLE_S = 0.2, 1.0
# Proxies give up connections that are silent for half a minute or a minute.
_PING_S = 15.0
_CHECK_KEY_S = 1.0
_TURN_S = 0.5
# A reader that has taken nothing for so long is not there any more.
_TAKEN_WITHIN_S = 30.0

Reader = Annotated[Caller, Depends(needs("read"))]
Look = Callable[[], Awaitable[dict[str, Any]]]
Wait = Callable[[float], Awaitable[None]]


class Feed:
    """
    One list of jobs, asked for once for all who listen, as long as anybody does.

    It keeps the newest event alone: whoever reads slowly misses some and piles up none.

    Args:
        look: Returns the data of a `jobs` event; see `producers.api.holding.Holding.look`.
        wait: Returns after so many seconds, or earlier when there may be something new.
    """

    def __init__(self, look: Look, wait: Wait) -> None:
        self._look = look
        self._wait = wait
        self._listeners = 0
        self._newest, self._number = "", 0
        self._changed = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nobody listens."""
        return self._listeners == 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep the feed going for the length of the block."""
        self._listeners += 1
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self._listeners -= 1
            if self.is_idle:
                self._running.cancel()

    async def after(self, number: int, within_s: float) -> tuple[int, str] | None:
        """
        Return the newest event and its number as soon as that is above *number*; None if it is not *within_s*.

        Raises:
            Exception: Whatever ended the feed.
        """
        if self._number <= number:
            if self._running is not None and self._running.done():
                self._running.result()
            try:
                await asyncio.wait_for(self._changed.wait(), within_s)
            except TimeoutError:
                return None
        return self._number, self._newest

    async def _run(self) -> None:
        while True:
            rest_s = _IDLE_S
            try:
                seen = await self._look()
                self._tell(event("jobs", seen))
                if any(job["state"] in (JobState.RELEASED, JobState.CLAIMED) for job in seen["jobs"]):
                    rest_s = _UNDER_WAY_S
            except ServiceUnreachable as away:
                self._tell(event("trouble", {"detail": str(away)}))
            await asyncio.sleep(_SHORTEST_S)
            await self._wait(rest_s)

    def _tell(self, newest: str) -> None:
        if newest != self._newest:
            self._newest, self._number = newest, self._number + 1
            told, self._changed = self._changed, asyncio.Event()
            told.set()


class LiveRoutes:
    """
    `/v1/live`. It is not in the description of the interface, for its answer never ends.

    Args:
        intake: What it shares with the others.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._feeds: dict[tuple[str, ...], Feed] = {}
        self._open = 0
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route(PATH, self.stream, methods=["GET"])

    async def stream(self, caller: Reader) -> Response:
        """
        Tell the last jobs that the API key may see, now and whenever one of them changed.

        Events: `key` once, with the key's name, scopes and PBXs; `jobs` with the whole list, the one handed in
        last first, each with its `obstacle`, and with the `standstill` of the PBXs; `trouble` while Redis does not
        answer; `revoked` as the last one, should the key be.
        """
        if self._open >= MOST_STREAMS or self._intake.is_stopping:
            detail = "as many pages are looking at this intake as it serves; close one, or try again later"
            raise Problem(503, detail, headers={"Retry-After": "10"})
        return _Stream(self._events(caller))

    async def _events(self, caller: Caller) -> AsyncGenerator[str, None]:
        key = caller.admission.key
        self._open += 1
        try:
            yield event("key", {"name": key.name, "scopes": key.scopes, "pbxs": caller.pbxs})
            with self._listening(caller.pbxs) as feed:
                async for text in self._until_stopped(feed, key.id):
                    yield text
        finally:
            self._open -= 1

    async def _until_stopped(self, feed: Feed, key_id: str) -> AsyncIterator[str]:
        number, said_at, checked_at = 0, time.monotonic(), time.monotonic()
        while not self._intake.is_stopping:
            told = await feed.after(number, _TURN_S)
            if time.monotonic() - checked_at >= _CHECK_KEY_S:
                if await self._is_revoked(key_id):
                    yield event("revoked", {})
                    return
                checked_at = time.monotonic()
            if told is not None:
                number, text = told
            elif time.monotonic() - said_at >= _PING_S:
                text = ": still here\n\n"
            else:
                continue
            yield text
            said_at = time.monotonic()

    async def _is_revoked(self, key_id: str) -> bool:
        try:
            async with asyncio.timeout(_TURN_S):
                # Without its secret the question costs the key no request.
                return await self._intake.admit((key_id, "")) is None
        except (TimeoutError, redis.RedisError, Problem):
            return False  # nobody can tell now

    @contextmanager
    def _listening(self, pbxs: tuple[str, ...]) -> Iterator[Feed]:
        feed = self._feeds.get(pbxs)
        if feed is None:
            holding = Holding(self._intake.dialer, pbxs)
            look = partial(self._intake.ask, self._last_jobs, pbxs, holding)
            feed = self._feeds[pbxs] = Feed(look, self._intake.ends.next_end)
        try:
            with feed.listening():
                yield feed
        finally:
            if feed.is_idle:
                self._feeds.pop(pbxs, None)

    def _last_jobs(self, pbxs: tuple[str, ...], holding: Holding) -> dict[str, Any]:
        # Jobs refused before they had a PBX are everybody's, as in `Caller.may_use`.
        wanted = JobFilter(pbxs=(*pbxs, "") if pbxs else ())
        jobs, _ = self._intake.dialer.hopper.find(wanted, most=MOST_JOBS)
        return holding.look(jobs)


class _Stream(StreamingResponse):
    """
    Ends with a reader that takes nothing any more: what the socket holds is all that waits for it.

    Args:
        events: What is sent; closed at the end, whatever that was.
    """

    def __init__(self, events: AsyncGenerator[str, None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(_TAKEN_WITHIN_S):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        except TimeoutError:
            log.info("live_reader_gone", waited_s=_TAKEN_WITHIN_S)
        finally:
            # Left to the garbage collector, it would keep its place for a while.
            await self._events.aclose()


def event(name: str, data: dict[str, Any]) -> str:
    """
    Return one server-sent event.

    Source: WHATWG HTML, section 9.2.6; JSON has no line ends of its own, so one `data` line is enough.
    """
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
