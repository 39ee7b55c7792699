"""The door: which PBX a job goes to, what is refused, and that one bad row sinks no other."""

import math
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from producers import Dialer, Refusal, Ticket
from producers.enqueue import BATCH
from producers.masking import masked
from tests.conftest import pbx_settings
from worker.errors import ConfigurationError, InputRefused, KeyConflict, ServiceUnreachable
from worker.hopper import Order, Receipt
from worker.jobs import DialJob, DialResult, JobState
from worker.settings import Settings

NOW = 1_795_424_400.0
SECRET = "s3cret"


NOTHING_STORED = [
    redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'"),
    redis.exceptions.ReadOnlyError("You can't write against a read only replica."),
    redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"),
    redis.AuthenticationError("invalid username-password pair"),
    redis.ConnectionError("Error 111 connecting to redis.example:6380"),
    redis.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
]


class FakeHopper:
    """Keeps what it is given; a key of `taken` is a conflict."""

    def __init__(self) -> None:
        self.jobs: list[DialJob] = []
        self.relative: list[frozenset[str]] = []
        self.error: Exception | None = None
        self.results: dict[str, DialResult] = {}

    def put(self, job: DialJob, *, relative: frozenset[str] = frozenset(), job_id: str = "") -> Receipt:
        self.relative.append(relative)
        (receipt,) = self.put_many([Order(job, job_id=job_id)])
        if isinstance(receipt, InputRefused):
            raise receipt
        return receipt

    def put_many(self, orders: Iterable[Order]) -> Iterator[Receipt | KeyConflict]:
        if self.error:
            raise self.error
        for job in (order.job for order in orders):
            assert isinstance(job, DialJob)
            self.jobs.append(job)
            if job.key == "taken":
                yield KeyConflict(["key: 'taken' belongs to another job"])
            else:
                yield Receipt(job.job_id(), JobState.WAITING, is_new=True)

    def wait_for_end(self, job_id: str, timeout_s: float) -> DialResult | None:  # noqa: ARG002 - no clock here
        return self.results.get(job_id)

    def now(self) -> float:
        return NOW


@pytest.fixture
def hopper() -> FakeHopper:
    return FakeHopper()


def dialer_for(hopper: FakeHopper, *names: str, default: str | None = None) -> Dialer:
    settings = Settings(
        redis_url=f"redis://user:{SECRET}@redis.example:6380/0",
        pbx={name: pbx_settings() for name in names},
        default_pbx=default,
    )
    return Dialer(settings, hopper)  # type: ignore[arg-type]


@pytest.fixture
def dialer(hopper: FakeHopper) -> Dialer:
    return dialer_for(hopper, "hq")


# --- which PBX


def test_a_job_goes_to_the_pbx_it_names(hopper: FakeHopper) -> None:
    dialer_for(hopper, "hq", "branch", default="hq").enqueue(extid=1001, outto="41000", pbx="branch")
    assert hopper.jobs[0].pbx == "branch"


def test_else_to_the_default_one(hopper: FakeHopper) -> None:
    dialer_for(hopper, "hq", "branch", default="branch").enqueue(extid=1001, outto="41000")
    assert hopper.jobs[0].pbx == "branch"


def test_else_to_the_only_one(hopper: FakeHopper) -> None:
    dialer_for(hopper, "branch").enqueue(extid=1001, outto="41000")
    assert hopper.jobs[0].pbx == "branch"


def test_else_it_is_refused_with_the_choices(hopper: FakeHopper) -> None:
    with pytest.raises(InputRefused, match="pbx: is missing; choose one of hq, branch"):
        dialer_for(hopper, "hq", "branch").enqueue(extid=1001, outto="41000")
    assert hopper.jobs == []


def test_a_pbx_out_of_the_settings_is_refused_with_those_that_exist(dialer: Dialer) -> None:
    with pytest.raises(InputRefused, match="'nope' is not in the settings; choose one of hq"):
        dialer.enqueue(extid=1001, outto="41000", pbx="nope")


def test_settings_without_any_pbx_say_so(hopper: FakeHopper) -> None:
    with pytest.raises(InputRefused, match="there is none in the settings"):
        dialer_for(hopper).enqueue(extid=1001, outto="41000")


def test_of_thousands_of_pbxs_a_few_are_named(hopper: FakeHopper) -> None:
    with pytest.raises(InputRefused, match=r"p19 or one of 4980 more$"):
        dialer_for(hopper, *(f"p{n}" for n in range(5000))).enqueue(extid=1001, outto="41000")


# --- expiry


def test_expires_in_counts_from_now_on_redis_clock_and_may_differ_when_the_key_comes_again(
    dialer: Dialer, hopper: FakeHopper
) -> None:
    dialer.enqueue(extid=1001, outto="41000", key="k", expires_in_s=90)
    assert hopper.jobs[0].expires_at == datetime.fromtimestamp(NOW + 90, UTC)
    assert hopper.relative == [frozenset({"expires_at"})]


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, -math.inf, 1e300, "60", True, 400 * 86400])
def test_an_expiry_that_makes_no_sense_is_refused(dialer: Dialer, hopper: FakeHopper, seconds: float) -> None:
    with pytest.raises(InputRefused, match="expires_in_s: "):
        dialer.enqueue(extid=1001, outto="41000", expires_in_s=seconds)
    assert hopper.jobs == []


@pytest.mark.parametrize("expiry", [{"expires_in_s": -1}, {"expires_at": "2026-11-23T09:00:00Z"}])
@pytest.mark.parametrize(
    ("others", "named"),
    [({"priority": "high"}, "priority: "), ({"pbx": "nowhere"}, "pbx: "), ({"outto": "123x12"}, "outto: ")],
)
def test_an_expiry_that_is_wrong_is_named_beside_what_else_is(
    dialer: Dialer, expiry: dict[str, Any], others: dict[str, str], named: str
) -> None:
    with pytest.raises(InputRefused) as refused:
        dialer.enqueue(**{"extid": 1001, "outto": "41000", **expiry, **others})
    assert sorted(problem.partition(" ")[0] for problem in refused.value.problems) == sorted(
        (f"{next(iter(expiry))}:", named.strip())
    )


def test_two_expiries_are_refused(dialer: Dialer) -> None:
    with pytest.raises(InputRefused, match="not both"):
        dialer.enqueue(extid=1001, outto="41000", expires_in_s=5, expires_at="2027-01-01T00:00:00Z")


# --- many


def test_many_are_answered_one_by_one_in_order_and_a_bad_row_sinks_no_other(
    dialer: Dialer, hopper: FakeHopper
) -> None:
    rows = [
        {"extid": 1001, "outto": "41000"},
        {"extid": "x", "outto": "41001"},
        DialJob.parse({"extid": 1002, "outto": "41002"}),
        {"extid": 1003, "outto": "41003", "key": "taken"},
        "1004,41004",
        InputRefused(["line too long"]),
        {"extid": 1005, "outto": "41005", "pbx": "nope"},
        {5: 6},
        {"extid": 1006, "outto": "41006"},
    ]
    answers = list(dialer.enqueue_many(rows))  # type: ignore[arg-type]
    assert [answer.index if isinstance(answer, Refusal) else "ok" for answer in answers] == (
        ["ok", 1, "ok", 3, 4, 5, 6, 7, "ok"]
    )
    assert [job.extid for job in hopper.jobs] == ["1001", "1002", "1003", "1006"]
    assert [answer.is_conflict for answer in answers if isinstance(answer, Refusal)] == (
        [False, True, False, False, False, False]
    )
    assert str(answers[5]) == "line too long"


@given(st.lists(st.booleans(), max_size=3 * BATCH))
def test_every_row_gets_its_own_answer(good: list[bool]) -> None:
    hopper = FakeHopper()
    dialer = dialer_for(hopper, "hq")
    answers = list(
        dialer.enqueue_many({"extid": n if is_good else "x", "outto": n + 1} for n, is_good in enumerate(good))
    )
    assert [isinstance(answer, Ticket) for answer in answers] == good
    assert [answer.index for answer in answers if isinstance(answer, Refusal)] == [
        n for n, is_good in enumerate(good) if not is_good
    ]
    assert [job.extid for job in hopper.jobs] == [str(n) for n, is_good in enumerate(good) if is_good]


def test_rows_are_taken_as_answers_are_asked_for(dialer: Dialer) -> None:
    taken = 0

    def rows() -> Iterator[dict[str, object]]:
        nonlocal taken
        while True:
            taken += 1
            yield {"extid": 1, "outto": taken}

    answers = dialer.enqueue_many(rows())
    assert taken == 0
    next(answers)
    assert taken <= 3 * BATCH
    answers.close()  # type: ignore[attr-defined]


def test_rows_that_stop_with_an_error_pass_it_on(dialer: Dialer) -> None:
    def rows() -> Iterator[dict[str, object]]:
        yield {"extid": 1, "outto": 1}
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        list(dialer.enqueue_many(rows()))


# --- what is said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (redis.ConnectionError(f"Error 111 connecting to {SECRET}"), "does not answer"),
        (redis.TimeoutError(SECRET), "does not answer"),
        (redis.AuthenticationError(SECRET), "refuses the log-in"),
        (redis.exceptions.OutOfMemoryError(SECRET), "is full"),
        (redis.exceptions.ReadOnlyError(SECRET), "read-only"),
        (redis.ResponseError(f"unknown command, with args 41000 {SECRET}"), "refuses (ResponseError)"),
        (redis.ResponseError(f"MISCONF cannot write {SECRET}"), "refuses (MISCONF)"),
    ],
)
def test_a_redis_that_does_not_do_its_part_is_named_without_secrets(
    dialer: Dialer, hopper: FakeHopper, error: Exception, said: str
) -> None:
    hopper.error = error
    with pytest.raises(ServiceUnreachable) as unreachable:
        dialer.enqueue(extid=1001, outto="41000", key="k")
    assert "Redis at redis.example:6380" in str(unreachable.value)
    assert said in str(unreachable.value)
    assert SECRET not in str(unreachable.value)
    assert "41000" not in str(unreachable.value)
    with pytest.raises(ServiceUnreachable):
        list(dialer.enqueue_many([{"extid": 1, "outto": "1"}]))


@pytest.mark.parametrize(
    ("error", "key", "advice"),
    [
        (
            redis.TimeoutError("Timeout reading from redis.example:6380"),
            None,
            r"look with `outdial status [0-9a-f-]{36}`",
        ),
        (redis.TimeoutError("Timeout reading from redis.example:6380"), "k", "enqueue it again with the same key"),
        (redis.ConnectionError("Connection closed by server."), None, r"look with `outdial status [0-9a-f-]{36}`"),
        (redis.ResponseError("WRONGTYPE of a spoiled key"), None, r"look with `outdial status [0-9a-f-]{36}`"),
        *((error, None, "Nothing was stored$") for error in NOTHING_STORED),
    ],
)
def test_it_is_said_whether_a_job_was_stored_and_else_where_to_look(
    dialer: Dialer, hopper: FakeHopper, error: Exception, key: str | None, advice: str
) -> None:
    hopper.error = error
    with pytest.raises(ServiceUnreachable) as unreachable:
        dialer.enqueue(extid=1001, outto="41000", key=key)
    assert re.search(advice, str(unreachable.value))
    assert unreachable.value.nothing_done is ("Nothing" in advice)
    assert ("may have been stored" in str(unreachable.value)) is not unreachable.value.nothing_done


def test_an_address_that_is_none_is_a_configuration_error_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTDIAL_REDIS_URL", f"redis://:{SECRET}@host:{SECRET}/0")
    with pytest.raises(ConfigurationError, match="redis_url: is not an address") as wrong:
        Dialer.from_config()
    assert SECRET not in str(wrong.value)


def test_a_dialer_connects_to_nothing_by_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTDIAL_REDIS_URL", "redis://127.0.0.1:1/0")
    dialer = Dialer.from_config()
    with pytest.raises(InputRefused, match=r"add a \[pbx.NAME\] section"):
        dialer.enqueue(extid=1, outto="1")


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("extid: '0901234567890'", "extid: 'xxxxxxxxxxx90'"),
        ("+84 (90) 123-45-67", "+xx (xx) xxx-xx-67"),
        ("extid: '1001'", "extid: '1001'"),
        ("such as 2026-11-23T09:00:00Z", "such as 2026-11-23T09:00:00Z"),
        ("job 12345678-1234-4123-8123-123456789012 is", "job 12345678-1234-4123-8123-123456789012 is"),
        ("a\x1b[2Jb\n\ud800", "a\\x1b[2Jb\\n\\ud800"),
    ],
)
def test_a_sentence_shows_no_number_and_no_command_to_the_terminal(sentence: str, shown: str) -> None:
    assert masked(sentence) == shown


def test_a_number_in_the_wrong_column_is_not_shown(dialer: Dialer) -> None:
    with pytest.raises(InputRefused) as refused:
        dialer.enqueue(extid="0901234567890", outto="1001")
    assert "2345" not in str(refused.value)


# --- tickets


def result(state: str) -> DialResult:
    return DialResult.from_record("x", {"state": state, "pbx": "hq", "extid": "1", "enqueued_at": "1"})


@pytest.mark.parametrize("state", ["placed", "failed", "unknown", "cancelled", "expired", "refused"])
def test_a_ticket_gives_the_result_of_every_end(dialer: Dialer, hopper: FakeHopper, state: str) -> None:
    ticket = dialer.enqueue(extid=1, outto="1")
    hopper.results[ticket.id] = result(state)
    assert ticket.result(timeout_s=0).state == state


def test_a_ticket_of_a_job_that_goes_on_times_out(dialer: Dialer, hopper: FakeHopper) -> None:
    ticket = dialer.enqueue(extid=1, outto="1")
    hopper.results[ticket.id] = result("claimed")
    with pytest.raises(TimeoutError, match=r"still claimed after 0\.5 s"):
        ticket.result(timeout_s=0.5)


def test_a_ticket_of_a_job_that_is_long_gone_says_so(dialer: Dialer) -> None:
    with pytest.raises(InputRefused, match="there is no job"):
        dialer.enqueue(extid=1, outto="1").result(timeout_s=1)


@pytest.mark.parametrize("timeout_s", [-1, math.nan])
def test_a_wait_has_to_be_a_time(dialer: Dialer, timeout_s: float) -> None:
    with pytest.raises(ValueError, match="timeout_s"):
        dialer.enqueue(extid=1, outto="1").result(timeout_s=timeout_s)
