"""A look at what each test of the hopper leaves behind, and a stage that is quick."""

from collections.abc import Iterator

import pytest
import redis

from tests.integration.clock import StepClock, step_clock
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
def clock() -> Iterator[StepClock | None]:
    """The clock that the steps see; only the test and `eventually` move it. A module may override this by none."""
    with step_clock() as running:
        yield running


@pytest.fixture
def quick(client: "redis.Redis", namespace: str) -> Stage:
    """A stage with one PBX that sets no limit, at time limits of a fraction of a second."""
    hopper = Hopper(client, namespace=namespace, retain_s=600, limits=QUICK, looks=QUICK_LOOKS)
    made = Stage(hopper, queue=f"{namespace}.dial")
    made.open_pbx()
    return made
