"""Asking together."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from producers.api.batching import NoAnswer, Together


class Redis:
    """Answers with what it was asked, when it is let."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.may_answer = threading.Event()

    def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.asked.append(list(items))
        self.may_answer.wait()
        if -1 in items:
            raise ValueError("one of them is wrong")
        return items


async def under_way(together: Together[int, int], *items: int) -> list["asyncio.Task[int]"]:
    tasks = [asyncio.ensure_future(together(item)) for item in items]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


def test_what_comes_while_one_is_under_way_is_asked_together() -> None:
    async def main() -> list[list[int]]:
        redis = Redis()
        together = Together("test", redis, most=3, within_s=10)
        first = await under_way(together, 0)
        others = await under_way(together, 1, 2, 3, 4)
        redis.may_answer.set()
        assert await asyncio.gather(*first, *others) == [0, 1, 2, 3, 4]
        return redis.asked

    assert asyncio.run(main()) == [[0], [1, 2, 3], [4]]


def test_what_was_given_up_before_it_left_is_never_asked_for() -> None:
    async def main() -> list[list[int]]:
        redis = Redis()
        together = Together("test", redis, most=3, within_s=0.01)
        (sent,) = await under_way(together, 0)
        (kept_back,) = await under_way(together, 1)
        given_up = await asyncio.gather(sent, kept_back, return_exceptions=True)
        assert [isinstance(error, NoAnswer) and not error.nothing_done for error in given_up] == [True, False]
        redis.may_answer.set()
        together._within_s = 10
        assert await together(2) == 2
        return redis.asked

    assert asyncio.run(main()) == [[0], [2]]


def test_an_error_is_everybodys_and_the_next_ones_are_served() -> None:
    async def main() -> None:
        redis = Redis()
        redis.may_answer.set()
        together = Together("test", redis, most=3, within_s=10)
        with pytest.raises(ValueError, match="one of them"):
            await together(-1)
        assert await together(1) == 1

    asyncio.run(main())


def test_more_than_may_wait_are_refused_at_once() -> None:
    async def main() -> None:
        redis = Redis()
        together = Together("test", redis, most=1, within_s=10, most_waiting=1)
        tasks = await under_way(together, 0)
        tasks += await under_way(together, 1)
        with pytest.raises(NoAnswer, match="too many requests wait") as refused:
            await together(2)
        assert refused.value.nothing_done
        redis.may_answer.set()
        assert await asyncio.gather(*tasks) == [0, 1]

    asyncio.run(main())
