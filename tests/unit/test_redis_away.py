"""What counts as Redis being away, and what is told of it; answers are read by redis-py's own parser."""

import ssl
from typing import Any

import pytest
import redis
import structlog
from redis._parsers.base import BaseParser
from redis.sentinel import MasterNotFoundError

from worker.logs.redaction import redact
from worker.redis_away import AwayLog, hint_for, is_away, tell
from worker.retries import until_redis_answers

AWAY = [
    "LOADING Redis is loading the dataset in memory",
    "READONLY You can't write against a read only replica. script: f_1, on @user_script:9.",
    "OOM command not allowed when used memory > 'maxmemory'. script: f_1, on @user_script:9.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "NOREPLICAS Not enough good replicas to write.",
    "CLUSTERDOWN Hash slot not served",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "BUSY Redis is busy running a script.",
    "MISCONF Errors writing to the AOF file: No space left on device",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM User default has no permissions to run the 'evalsha' command",
    "ERR The user executing the script can't run this command or subcommand script: f_1, on @user_script:9.",
    "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
]
REFUSED = [
    "WRONGTYPE Operation against a key holding the wrong kind of value script: f_1, on @user_script:9.",
    "ERR user_script:12: attempt to compare nil with number script: f_1, on @user_script:12.",
    "ERR unknown command 'EVALSHAA', with args beginning with: '0205550143'",
    "NOSCRIPT No matching script.",
    "MOVED 3999 127.0.0.1:6381",
]


def parsed(answer: str) -> redis.RedisError:
    error = BaseParser.parse_error(answer)
    assert isinstance(error, redis.RedisError)
    return error


@pytest.mark.parametrize("answer", AWAY)
def test_what_passes_is_away_and_has_a_hint(answer: str) -> None:
    assert is_away(parsed(answer))
    assert hint_for(parsed(answer))


@pytest.mark.parametrize("error", [*map(parsed, AWAY), MasterNotFoundError("x")])
def test_a_hint_comes_whole_through_the_redaction_of_the_log(error: redis.RedisError) -> None:
    hint = hint_for(error)
    assert redact(None, "warning", {"event": "redis_away", "hint": hint})["hint"] == hint


@pytest.mark.parametrize("error", [redis.ConnectionError("x"), redis.TimeoutError("x"), MasterNotFoundError("x")])
def test_a_server_that_does_not_answer_is_away(error: redis.RedisError) -> None:
    assert is_away(error)


@pytest.mark.parametrize("answer", REFUSED)
def test_what_would_fail_the_same_way_for_ever_is_raised_at_once(answer: str) -> None:
    calls: list[int] = []

    def step() -> None:
        calls.append(1)
        raise parsed(answer)

    with pytest.raises(redis.ResponseError):
        until_redis_answers(step)
    assert calls == [1]


def test_a_step_is_repeated_until_redis_is_back() -> None:
    answers = [parsed(AWAY[2]), redis.TimeoutError("x")]

    def step() -> str:
        if answers:
            raise answers.pop()
        return "done"

    assert until_redis_answers(step) == "done"


def test_a_refusal_is_told_with_its_place_and_without_what_was_sent() -> None:
    error = parsed(REFUSED[0])
    error.add_note("step claim")
    with structlog.testing.capture_logs() as lines:
        tell(error, job_id="j")
        tell(parsed(REFUSED[2]))
    assert lines[0] == {
        "event": "redis_refused",
        "log_level": "error",
        "error": "WRONGTYPE",
        "at": "step claim user_script:9",
        "job_id": "j",
    }
    assert "0205550143" not in repr(lines)


def test_redis_away_is_told_once_for_each_reason_and_once_when_it_is_back() -> None:
    redis_is = AwayLog("pacer")
    steps: list[Any] = [parsed(AWAY[2])] * 3 + [redis.ConnectionError("x")] * 3 + [None, None]
    with structlog.testing.capture_logs() as lines:
        for step in steps:
            if step:
                redis_is.away(step)
            else:
                redis_is.back()
    assert [(line["event"], line.get("error")) for line in lines] == [
        ("redis_away", "OutOfMemoryError"),
        ("redis_away", "ConnectionError"),
        ("redis_back", None),
    ]
    assert "maxmemory" in lines[0]["hint"]


def test_another_cause_of_the_same_error_is_told_too() -> None:
    redis_is = AwayLog("pacer")
    refused = redis.ConnectionError("Error 111 connecting to localhost:6379. Connection refused.")
    expired = redis.ConnectionError("Error 1 connecting to localhost:6379. certificate verify failed")
    expired.__context__ = ssl.SSLCertVerificationError(1, "certificate has expired")
    expired.__context__.verify_code = 10
    with structlog.testing.capture_logs() as lines:
        for error in (refused, refused, expired, expired):
            redis_is.away(error)
    assert [line.get("hint", "").partition(";")[0] for line in lines] == [
        "",
        "the TLS certificate of Redis, or a CA certificate above it, has expired by the clock of this host",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Error 2 connecting to /run/redis.sock. No such file or directory.",
        "Error while reading from localhost:6379 : (104, 'Connection reset by peer')",
        "Connection closed by server.",
    ],
)
def test_a_connection_that_is_none_of_tls_is_not_taken_for_one(text: str) -> None:
    error = redis.ConnectionError(text)
    error.__context__ = FileNotFoundError(2, "x") if "No such file" in text else ConnectionResetError(104, "x")
    assert hint_for(error) == ""
