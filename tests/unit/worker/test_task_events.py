"""What Flower is told of a job's ends, parks and attempts."""

from datetime import UTC, datetime
from typing import Any

import pytest

from worker import task_events
from worker.hopper import Moment
from worker.jobs import DialResult, JobState
from worker.task_events import Ran, Running, TaskEvent

JOB = "6f2b7f0e-5a0f-4f5c-9d55-0d1a1f0c0d1a"
T = 1_795_000_000.0


def moment(s: float, state: str, reason: str = "", who: str = "dialer1.7@a") -> Moment:
    return Moment(T + s, state, who, reason)


def result(state: JobState, **facts: Any) -> DialResult:
    given: dict[str, Any] = {"pbx": "hq", "extid": "1001", "attempts": 1, "metadata": {"phone": "+12025550143"}}
    given |= {"enqueued_at": datetime.fromtimestamp(T, UTC), "finished_at": datetime.fromtimestamp(T + 9, UTC)}
    return DialResult(job_id=JOB, state=state, **(given | facts))


def the_end(result: DialResult, **more: Any) -> TaskEvent:
    *_, last = task_events.ended(result, **({"ran": None} | more))
    return last


@pytest.mark.parametrize(
    ("state", "facts", "type_", "shown"),
    [
        ("placed", {"callid": f"{T:.0f}.12"}, "task-succeeded", f"placed with callid {T:.0f}.12"),
        ("placed", {"outboundid": f"{T:.0f}.13"}, "task-succeeded", f"placed as outbound call {T:.0f}.13"),
        ("failed", {"errno": "10006", "error": "no such extension"}, "task-failed", "failed: 10006"),
        ("unknown", {"errno": "reply_lost", "error": "it broke"}, "task-failed", "unknown: reply_lost"),
        ("cancelled", {"attempts": 0}, "task-revoked", "cancelled"),
        ("expired", {"attempts": 0}, "task-revoked", "expired"),
        ("refused", {"attempts": 0, "errno": "do_not_call"}, "task-revoked", "refused: do_not_call"),
    ],
)
def test_every_end_is_told_in_celerys_words_and_in_ours(
    state: str, facts: dict[str, Any], type_: str, shown: str
) -> None:
    told = the_end(result(JobState(state), **facts))

    assert (told.type, told.at, told.fields["result"]) == (type_, T + 9, shown)
    assert told.fields["name"] == "worker.tasks.dial"
    assert told.fields["kwargs"] == "{'pbx': 'hq', 'extid': '1001'}"
    assert told.fields["sent"] == T
    assert "2025550143" not in repr(told)


def test_what_is_wrong_stands_in_the_exception() -> None:
    failed = the_end(result(JobState.FAILED, errno="10006", error="no such extension"))
    unknown = the_end(result(JobState.UNKNOWN, errno="reply_lost", error="it broke"))
    expired = the_end(result(JobState.EXPIRED))
    assert failed.fields["exception"] == "CallNotPlaced: failed: 10006: no such extension"
    assert unknown.fields["exception"] == "CallOutcomeUnknown: unknown: reply_lost: it broke"
    assert (expired.fields["exception"], expired.fields["expired"]) == ("CallWithdrawn: expired", True)
    assert the_end(result(JobState.PLACED, callid="1.2")).fields["exception"] is None


def test_an_attempt_of_this_process_lasts_as_long_as_its_own_clock_says() -> None:
    # The host's clock is ahead of Redis's: it "ended" before it began.
    running = Running("hq", "1001", 2, T + 9.5, T + 9.6, 0.0)
    told = the_end(result(JobState.PLACED, callid="1.2", attempts=2), ran=Ran(running, 0.25))
    assert (told.at, told.fields["started"], told.fields["runtime"]) == (T + 9.6, T + 9.6, 0.25)
    assert (told.fields["retries"], told.fields["attempt"]) == (1, 2)


def test_an_attempt_of_another_process_lasts_from_its_claim_to_what_was_found() -> None:
    life = [moment(1, "claimed"), moment(2, "waiting", "10008"), moment(4, "claimed"), moment(9, "placed")]
    told = the_end(result(JobState.PLACED, outboundid="1.3"), life=life)
    assert (told.fields["started"], told.fields["runtime"]) == (T + 4, 5.0)
    assert told.fields["life"][1] == [T + 2, "waiting", "dialer1.7@a", "10008"]


def test_a_night_until_somebody_resolved_it_is_no_runtime() -> None:
    life = [moment(1, "claimed"), moment(4, "unknown"), moment(80_000, "resolved"), moment(80_000, "placed")]
    later = datetime.fromtimestamp(T + 80_000, UTC)
    assert the_end(result(JobState.PLACED, callid="1.2", finished_at=later), life=life).fields["runtime"] == 3.0


def test_who_cancelled_a_job_stands_in_the_list() -> None:
    told = task_events.ended(
        result(JobState.CANCELLED, attempts=0), ran=None, life=[moment(9, "cancelled", who="anna@desk")]
    )
    # No worker ever had it, so that it is received is told as well: Flower sorts by that.
    assert [event.type for event in told] == ["task-received", "task-revoked"]
    assert told[-1].fields["received"] == told[-1].at
    assert told[-1].fields["result"] == "cancelled by anna@desk"
    assert "runtime" not in told[-1].fields


def test_a_park_bears_the_time_of_redis_and_its_reason() -> None:
    life = [moment(1, "claimed"), moment(2, "put off", "10008")]
    told = task_events.put_off(JOB, "10008: busy", life, at=T + 5)
    assert (told.type, told.at, told.fields["exception"]) == ("task-retried", T + 2, "10008: busy")
    assert task_events.put_off(JOB, "10008: busy", [], at=T + 5).at == T + 5
