"""The asking of a watch: it lives through a Redis that goes away, and keeps what it saw."""

from collections.abc import Iterator

from producers.watching.live import _Asking
from producers.watching.scene import Scene
from tests.unit.producers.watching.scenes import busy, scene
from worker.errors import ServiceUnreachable


def test_a_redis_that_goes_away_is_told_until_it_is_back() -> None:
    first, second = scene(busy()), scene()
    looks: Iterator[Scene | ServiceUnreachable] = iter(
        [first, ServiceUnreachable("Redis does not answer"), ServiceUnreachable("Redis is loading"), second]
    )

    def look() -> Scene:
        found = next(looks)
        if isinstance(found, Scene):
            return found
        raise found

    asking = _Asking(look, 1)
    told = []
    for _ in range(4):
        asking.seen = asking._see()
        away = asking.away()
        told.append((asking.seen.scene, away and away.sentence))
    assert told == [(first, None), (first, "Redis does not answer"), (first, "Redis is loading"), (second, None)]


def test_any_other_error_is_handed_to_whoever_draws() -> None:
    def look() -> Scene:
        raise ZeroDivisionError

    asking = _Asking(look, 1)
    assert isinstance(asking._see().broken, ZeroDivisionError)
    assert asking.away() is None


def test_the_time_away_is_counted_from_the_first_failure() -> None:
    def look() -> Scene:
        raise ServiceUnreachable("gone")

    asking = _Asking(look, 1)
    asking.seen = asking._see()
    since = asking.seen.away_since
    asking.seen = asking._see()
    assert asking.seen.away_since == since
