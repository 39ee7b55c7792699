"""What all acceptance tests need."""

import gc
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def collect_what_celery_leaves() -> Iterator[None]:
    """
    Celery's clients leave some sockets to the garbage collector, which would blame whichever test runs then.

    The product's own connections are looked at in `tests/integration/hopper/test_connection.py`.
    """
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
