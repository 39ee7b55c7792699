"""Whatever goes wrong while a job is worked on, the lines about it bear its id, and no other job's."""

from collections.abc import Mapping
from typing import Any

import pytest
import redis
import structlog
from structlog.contextvars import get_contextvars, merge_contextvars

from tests.conftest import pbx_settings
from worker.dialing import Dialing
from worker.errors import NeverTry
from worker.hopper import Back, Finished, Go
from worker.jobs import DialResult
from worker.pbx import Directory
from worker.settings import Settings

SETTINGS = Settings.model_validate({"redis_url": "redis://127.0.0.1:9/0", "pbx": {"hq": pbx_settings()}})


class Scripted:
    """A hopper, an outlet and a PBX that do as they are told."""

    name = "hq"

    def __init__(self, *claims: object) -> None:
        self._claims = list(claims)

    def claim(self, *_args: object, **_options: object) -> Any:
        answer = self._claims.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def dial(self, *_args: object, **_options: object) -> str:
        raise NeverTry("10006", "the extension does not exist")

    def finish(self, job_id: str, _nonce: str, state: str, *_args: object, **_facts: object) -> Finished:
        row: Mapping[str, str] = {"state": state, "pbx": "hq", "extid": "1001", "enqueued_at": "1700000000"}
        return Finished(DialResult.from_record(job_id, row), breaker_closed=False)

    def is_replicated(self, *_args: object) -> bool:
        return True

    def started(self, *_args: object, **_options: object) -> None:
        structlog.get_logger().info("started_elsewhere")

    def ended(self, *_args: object, **_options: object) -> None:
        pass


def lines_of(scripted: Any, *jobs: str) -> list[Any]:
    pbxs = Directory(scripted, SETTINGS, {"hq": scripted})
    dialing = Dialing(scripted, SETTINGS, scripted, pbxs)
    with structlog.testing.capture_logs(processors=[merge_contextvars]) as lines:
        for job in jobs:
            dialing.place_call(job)
            assert get_contextvars() == {}
    return lines


GO = Go("hq", "1001", "2025550143", "no", 1, 0.1, "token", 1, "00-" + "4b" * 16 + "-" + "0f" * 8 + "-01")


def test_each_line_bears_its_job_and_pbx() -> None:
    lines = lines_of(Scripted(GO, redis.ResponseError("WRONGTYPE"), GO), "a", "b", "c")
    told = [(line["event"], line["job_id"], line.get("pbx")) for line in lines]
    assert told == [
        ("started_elsewhere", "a", "hq"),
        ("call_ended", "a", "hq"),
        ("redis_refused", "b", None),
        ("started_elsewhere", "c", "hq"),
        ("call_ended", "c", "hq"),
    ]
    assert {line.get("trace_id") for line in lines} == {"4b" * 16, None}


def test_a_round_that_breaks_leaves_nothing_behind() -> None:
    with pytest.raises(KeyError):
        lines_of(Scripted(KeyError("x")), "a")
    assert lines_of(Scripted(Back()), "b")[0]["job_id"] == "b"
