"""Feeds of the live state: one look for all who listen, and nothing that piles up."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.types import Message

from producers.api import live
from producers.api.live import Feed
from worker.errors import ServiceUnreachable
from worker.jobs import DialResult, JobState


def job(state: JobState, error: str | None = None) -> DialResult:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    return DialResult(job_id="j1", state=state, pbx="hq", extid="1002", enqueued_at=at, error=error)


class Stage:
    """A feed whose every look the test allows, and answers."""

    def __init__(self) -> None:
        self.answer: list[DialResult] | Exception = [job(JobState.WAITING)]
        self.looks = 0
        self._go = asyncio.Event()
        self.feed = Feed(self._look, self._wait)

    async def _look(self) -> dict[str, Any]:
        self.looks += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"jobs": [one.plain() for one in self.answer], "standstill": None}

    async def _wait(self, _within_s: float) -> None:
        await self._go.wait()
        self._go.clear()

    async def tell(self, answer: list[DialResult] | Exception) -> None:
        """Let the feed look once more."""
        self.answer, looks = answer, self.looks
        self._go.set()
        while self.looks == looks:
            await asyncio.sleep(0)
        for _ in range(3):
            await asyncio.sleep(0)


def on_stage(scene: Callable[[Stage], Coroutine[Any, Any, None]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_SHORTEST_S", 0)

    async def play() -> None:
        await scene(Stage())

    asyncio.run(play())


def states(event: str) -> list[str]:
    name, data = event.strip().split("\n")
    assert name == "event: jobs"
    return [job["state"] for job in json.loads(data.removeprefix("data: "))["jobs"]]


def test_all_who_listen_share_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        with stage.feed.listening(), stage.feed.listening():
            told = await asyncio.gather(*(stage.feed.after(0, 5) for _ in range(50)))
        assert stage.looks == 1
        assert {number for number, _ in filter(None, told)} == {1}

    on_stage(scene, monkeypatch)


def test_who_reads_slowly_gets_the_newest_list_and_none_of_those_before(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        with stage.feed.listening():
            assert (first := await stage.feed.after(0, 5))
            for state in (JobState.RELEASED, JobState.CLAIMED, JobState.PLACED):
                await stage.tell([job(state)])
            assert (next_one := await stage.feed.after(first[0], 5))
            assert states(next_one[1]) == ["placed"]
            assert await stage.feed.after(next_one[0], 0) is None

    on_stage(scene, monkeypatch)


def test_an_unchanged_list_is_not_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        with stage.feed.listening():
            assert (first := await stage.feed.after(0, 5))
            await stage.tell([job(JobState.WAITING)])
            assert await stage.feed.after(first[0], 0) is None

    on_stage(scene, monkeypatch)


def test_redis_away_is_told_and_so_is_its_return(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        with stage.feed.listening():
            assert (first := await stage.feed.after(0, 5))
            await stage.tell(ServiceUnreachable("Redis at 127.0.0.1 does not answer"))
            assert (away := await stage.feed.after(first[0], 5))
            assert away[1].startswith("event: trouble\n")
            await stage.tell([job(JobState.WAITING)])
            assert (back := await stage.feed.after(away[0], 5))
            assert states(back[1]) == ["waiting"]

    on_stage(scene, monkeypatch)


def test_nobody_looks_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        with stage.feed.listening():
            await stage.feed.after(0, 5)
        stage._go.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert (stage.feed.is_idle, stage.looks) == (True, 1)
        # Whoever comes later gets the feed going again.
        with stage.feed.listening():
            await stage.tell([job(JobState.PLACED)])
        assert stage.looks > 1

    on_stage(scene, monkeypatch)


def test_what_is_wrong_with_a_feed_ends_those_who_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        stage.answer = ZeroDivisionError("a fault of ours")
        with stage.feed.listening():
            await stage.feed.after(0, 0)
            with pytest.raises(ZeroDivisionError):
                await stage.feed.after(0, 5)

    on_stage(scene, monkeypatch)


def test_texts_cannot_end_an_event_before_its_end() -> None:
    hostile = job(JobState.FAILED, error="a\n\nevent: revoked\ndata: {}\r\n\u2028")
    event = live.event("jobs", {"jobs": [hostile.plain()]})
    assert event.count("\n") == 3
    assert states(event) == ["failed"]


def test_a_reader_that_takes_nothing_any_more_loses_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_TAKEN_WITHIN_S", 0.01)
    ended = []

    async def endless():
        try:
            while True:
                yield ": still here\n\n"
        finally:
            ended.append(True)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def stuck(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def serve() -> None:
        scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
        await live._Stream(endless())(scope, receive, stuck)

    asyncio.run(serve())
    assert ended == [True]
