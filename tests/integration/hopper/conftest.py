"""A look at what each test of the hopper leaves behind, and a stage that is quick."""

from collections.abc import Iterator

import pytest
import redis

from tests.integration.clock import StepClock
from tests.integration.hopper.stage import QUICK, QUICK_LOOKS, Stage, keys_of, leaks
from worker.hopper import Hopper


@pytest.fixture(autouse=True)
def no_key_stays_for_ever(client: "redis.Redis", namespace: str) -> Iterator[None]:
    """After each test every key has a TTL, is listed with a reason, or holds jobs that are alive."""
    yield
    assert leaks(client, namespace) == []
    # The server is this run's own, and so is the namespace.
    if left := keys_of(client, namespace):
        client.delete(*left)


@pytest.fixture(autouse=True)
def steps_run_on_the_clock_of_the_test(clock: StepClock | None) -> None:
    """In all tests here, but for modules that have a `clock` of their own."""


@pytest.fixture
def quick(client: "redis.Redis", namespace: str) -> Stage:
    """A stage with one PBX that sets no limit, at time limits of a fraction of a second."""
    hopper = Hopper(client, namespace=namespace, retain_s=600, limits=QUICK, looks=QUICK_LOOKS)
    made = Stage(hopper, queue=f"{namespace}.dial")
    made.open_pbx()
    return made
