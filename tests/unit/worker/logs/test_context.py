"""What a line is about goes with the thread's work, and ends with it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from structlog.contextvars import bind_contextvars, get_contextvars

from worker.logs import about


def test_no_job_leaks_into_the_next_one_of_its_thread() -> None:
    def work(job_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
        before = get_contextvars()
        with about(job_id=job_id):
            within = get_contextvars()
            bind_contextvars(pbx=f"pbx-of-{job_id}")
        return before, within

    with ThreadPoolExecutor(1) as pool:
        seen = list(pool.map(work, ["a", "b", "c"]))
    assert seen == [({}, {"job_id": "a"}), ({}, {"job_id": "b"}), ({}, {"job_id": "c"})]


def test_what_an_interrupted_job_left_is_cleared_before_the_next() -> None:
    bind_contextvars(job_id="of one that never got to its end", trace_id="x")
    with about(job_id="a"):
        assert get_contextvars() == {"job_id": "a"}


def test_a_job_that_raises_leaves_nothing() -> None:
    with pytest.raises(KeyError), about(job_id="a"):
        raise KeyError
    assert get_contextvars() == {}
