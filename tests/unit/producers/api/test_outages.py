"""What is said of a job, and of a batch, when the answer to whether it was stored is lost."""

import io
from collections.abc import Iterator

import pytest
import redis

from producers.api import health, hooks, intake
from producers.api.batches import _answer
from producers.api.batching import NoAnswer
from producers.api.jobs import _advice
from producers.api.problems import Problem
from producers.enqueue import Refusal, is_refused_whole
from producers.importing import Outcome
from worker.errors import ServiceUnreachable
from worker.hopper import Once, Order
from worker.hopper.connection import CONNECT_TIMEOUT_S, SOCKET_TIMEOUT_S
from worker.jobs import DialJob

JOB = DialJob(extid="1002", outto="2025550143", pbx="hq")
AGAIN, NOTHING, PERHAPS = "Send it again", "Nothing was stored", "The job may have been stored"


def test_every_way_in_gives_up_before_its_connection_to_redis_does() -> None:
    waits = [intake._ADMIT_WITHIN_S, intake._ASK_WITHIN_S, health._ANSWER_WITHIN_S, hooks._ANSWER_WITHIN_S]
    assert max(waits) < CONNECT_TIMEOUT_S < SOCKET_TIMEOUT_S
    assert hooks._ANSWER_WITHIN_S < 1, "some CRMs wait for no more than a second"


def caused_by(error: redis.RedisError) -> ServiceUnreachable:
    unreachable = ServiceUnreachable("Redis at HOST does not answer")
    unreachable.nothing_done = is_refused_whole(error)
    return unreachable


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (NoAnswer("Redis does not answer in time", perhaps_done=True), PERHAPS),
        (NoAnswer("too many requests wait", perhaps_done=False), NOTHING),
        (caused_by(redis.TimeoutError("Timeout reading from socket")), PERHAPS),
        (caused_by(redis.ConnectionError("Error 111 connecting to HOST. Connection refused.")), NOTHING),
        (caused_by(redis.exceptions.OutOfMemoryError("used memory > 'maxmemory'")), NOTHING),
        (caused_by(redis.exceptions.ReadOnlyError("You can't write against a read only replica.")), NOTHING),
    ],
)
def test_whoever_has_no_key_hears_whether_to_look_first(error: ServiceUnreachable, advice: str) -> None:
    said = _advice(error, Order(JOB, job_id="ID"))
    assert said.startswith(advice)
    assert ("look at /v1/dial-jobs/ID" in said) is (advice is PERHAPS)
    for order in (Order(JOB, once=Once("name", "mark", 60)), Order(JOB.model_copy(update={"key": "k"}))):
        assert _advice(error, order).startswith(AGAIN)


def refusals(*, then: Exception | None = None) -> Iterator[Outcome]:
    for line in (2, 3, 4):
        yield line, Refusal(line, ("wrong",)), ("", "")
    if then:
        raise then


@pytest.mark.parametrize(
    ("is_over", "error", "line"),
    [(True, None, 2), (False, ServiceUnreachable("Redis is away"), 4)],
)
def test_a_batch_cut_short_says_where(is_over: bool, error: Exception | None, line: int) -> None:
    with pytest.raises(Problem, match=f"rows up to line {line} were handed in") as cut_short:
        _answer(refusals(then=error), io.BytesIO(), is_over=lambda: is_over)
    assert (cut_short.value.status, cut_short.value.headers["Retry-After"]) == (503, "2")


@pytest.mark.parametrize(
    ("nothing_done", "said"), [(True, "those behind it were not. "), (False, "those behind it perhaps. ")]
)
def test_a_batch_says_what_is_certain_of_the_rows_behind_the_last_answer(nothing_done: bool, said: str) -> None:
    error = ServiceUnreachable("Redis is full")
    error.nothing_done = nothing_done
    with pytest.raises(Problem) as cut_short:
        _answer(refusals(then=error), io.BytesIO(), is_over=lambda: False)
    assert said in str(cut_short.value.detail)
