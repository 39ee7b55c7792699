"""Errors while a worker reports the outcome of a call lose neither the outcome nor its callid."""

from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from typing import Any

import pytest
import redis
import structlog

from tests.conftest import pbx_settings
from worker.dialing import Dialing
from worker.errors import NeverTry, OutcomeUnknown, PbxDown, PbxRefuses, TryLater
from worker.hopper import Finished, Go, NotYours, Parked
from worker.jobs import DialResult, Doubt
from worker.pbx import Directory
from worker.retries import until_reported
from worker.settings import Settings

PBX = pbx_settings(connect_timeout_s=0.1, read_timeout_s=0.1)
# Short, so that a step which fails for good is given up within the test.
LIMITS = {"attempt_deadline_s": 0.4, "claim_lease_s": 0.5, "claim_dead_s": 0.6}
SECTIONS = {"redis_url": "redis://127.0.0.1:9/0", "pbx": {"hq": PBX}, "replication": {"wait_s": 0.1}}
SETTINGS = Settings.model_validate(SECTIONS)
SHORT = Settings.model_validate(SECTIONS | {"limits": LIMITS})
CALLID = "1700000000.17"
BROKEN = [FileNotFoundError("finish.lua"), MemoryError(), redis.ResponseError("WRONGTYPE wrong kind of value")]


class Hopper:
    """A hopper that grants one claim, and whose steps fail as often as they are told."""

    name = "hq"

    def __init__(
        self,
        dial: Callable[[], str],
        *,
        fails: Mapping[str, Iterator[Exception]],
        device: Callable[[], object] | None = None,
    ) -> None:
        self._dial = dial
        self._device = device
        self._fails = fails
        claim = Go("hq", "1001", "0205550143", "no", 1, 0.0, "token", 1, is_probe=device is not None)
        self._claims: list[object] = [claim]
        self.steps: list[tuple[str, Any]] = []

    def dial(self, *_args: object, **_options: object) -> str:
        return self._dial()

    def device(self, _token: str) -> object:
        assert self._device is not None, "asked before a call that is no probe"
        return self._device()

    def claim(self, *_args: object, **_options: object) -> object:
        return self._claims.pop() if self._claims else NotYours("placed")

    def finish(self, job_id: str, _nonce: str, state: str, *_args: object, **facts: str) -> Finished:
        self._step("finish", (str(state), facts))
        row: Mapping[str, str] = {
            "state": state,
            "pbx": "hq",
            "extid": "1001",
            "enqueued_at": "1700000000",
            **facts,
        }
        return Finished(DialResult.from_record(job_id, row), breaker_closed=False)

    def park(self, *_args: object, **facts: object) -> Parked:
        self._step("park", facts["errno"])
        return Parked(breaker_closed=False)

    def doubt(self, _id: str, _nonce: str, kind: Doubt, *, errno: str, callid: str = "", **_facts: object) -> bool:
        self._step("doubt", (kind, errno, callid))
        return True

    def unreachable(self, *_args: object, **_facts: object) -> None:
        self._step("unreachable", "")

    def is_replicated(self, *_args: object) -> bool:
        return True

    def started(self, *_args: object, **_options: object) -> None:
        pass

    ended = parked = let_go = started

    def _step(self, name: str, what: Any) -> None:
        if error := next(self._fails.get(name, iter(())), None):
            raise error
        self.steps.append((name, what))


def place(
    dial: Callable[[], str],
    settings: Settings = SETTINGS,
    *,
    device: Callable[[], object] | None = None,
    **fails: Iterator[Exception],
) -> Any:
    """
    Place one call.

    Args:
        dial: What the PBX answers.
        settings: Of the worker.
        device: What the PBX answers to a question; the call is a probe then.
        fails: The errors of each step, one at each try.
    """
    hopper: Any = Hopper(dial, fails=fails, device=device)
    with structlog.testing.capture_logs() as hopper.lines:
        Dialing(hopper, settings, hopper, Directory(hopper, settings, {"hq": hopper})).place_call("job")
    return hopper


def answered() -> str:
    return CALLID


def refused() -> str:
    raise NeverTry("10006", "the extension does not exist")


def busy() -> str:
    raise TryLater("10008", "the extension is busy")


def lost() -> str:
    raise OutcomeUnknown("reply_lost", "the connection broke before the PBX's reply came")


def defective() -> str:
    raise KeyError("+44 20 7946 0018")


@pytest.mark.parametrize("error", BROKEN, ids=repr)
@pytest.mark.parametrize(
    ("dial", "step", "reported"),
    [
        (answered, "finish", ("placed", {"callid": CALLID})),
        (refused, "finish", ("failed", {"errno": "10006", "error": "the extension does not exist"})),
        (busy, "park", "10008"),
        (lost, "doubt", (Doubt.LOST_REPLY, "reply_lost", "")),
    ],
)
def test_a_report_that_fails_is_repeated(dial: Any, step: str, reported: object, error: Exception) -> None:
    hopper = place(dial, **{step: iter([error, error])})
    assert hopper.steps[0] == (step, reported)


@pytest.mark.parametrize("error", BROKEN, ids=repr)
@pytest.mark.parametrize(
    ("dial", "step", "doubt"),
    [
        (answered, "finish", (Doubt.LOST_REPLY, "unreported", CALLID)),
        # It certainly did not ring: the looking tries again as soon as it has seen the extension idle.
        (refused, "finish", (Doubt.SAID_FAILED, "10006", "")),
        (busy, "park", (Doubt.SAID_FAILED, "10008", "")),
    ],
)
def test_a_report_that_fails_for_good_leaves_a_doubt_that_keeps_what_is_known(
    dial: Any, step: str, doubt: object, error: Exception
) -> None:
    hopper = place(dial, SHORT, **{step: repeat(error)})
    assert hopper.steps == [("doubt", doubt)]


def silent() -> None:
    raise OutcomeUnknown("no_reply", "the PBX did not answer within the read time-out")


def away() -> None:
    raise PbxDown("unreachable", "the PBX could not be reached: connection refused")


@pytest.mark.parametrize(("device", "errno"), [(silent, "no_reply"), (away, "unreachable")])
def test_a_probe_of_a_pbx_that_answers_no_question_dials_nobody(device: Any, errno: str) -> None:
    hopper = place(defective, device=device)
    assert hopper.steps == [("park", errno), ("unreachable", "")]


def denied() -> None:
    raise PbxRefuses("http_403", "the PBX refused the request (HTTP 403)")


def unknown_request() -> None:
    raise NeverTry("10005", "the callid does not exist")


@pytest.mark.parametrize("device", [object, denied, unknown_request])
def test_any_answer_to_a_question_lets_the_probe_dial(device: Any) -> None:
    assert place(answered, device=device).steps == [("finish", ("placed", {"callid": CALLID}))]


def test_a_doubt_that_cannot_be_reported_becomes_no_other_doubt() -> None:
    # Another kind of doubt could be redialed, and this call may have rung.
    assert place(lost, SHORT, doubt=repeat(MemoryError())).steps == []


def test_the_log_keeps_the_callid_when_nothing_can_be_reported() -> None:
    lines = place(answered, SHORT, finish=repeat(OSError("x")), doubt=repeat(MemoryError())).lines
    [line] = [line for line in lines if line["event"] == "outcome_unreported"]
    assert (line["callid"], line["error"]) == (CALLID, "OSError")


def test_an_absent_redis_is_waited_for_longer_than_the_lease() -> None:
    errors = iter([redis.ConnectionError("x")] * 3)

    def step() -> str:
        if error := next(errors, None):
            raise error
        return "done"

    assert until_reported(step, within_s=0) == "done"


def test_a_defect_while_dialing_is_an_unknown_outcome_without_the_number() -> None:
    hopper = place(defective)
    assert hopper.steps[0] == ("doubt", (Doubt.LOST_REPLY, "internal_error", ""))
    assert "7946" not in repr([{**line, "exc_info": None} for line in hopper.lines])
