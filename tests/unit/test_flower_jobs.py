"""What Flower makes of events: their order, lives, masks, and the file that holds it all."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from ops.flower import keeping
from ops.flower.jobs import JobsState, is_news, page_of
from worker.task_events import TaskEvent

JOB = "6f2b7f0e-5a0f-4f5c-9d55-0d1a1f0c0d1a"
T = 1_795_000_000.0
NUMBER = "+12025550143"


def event(what: str, at: float, /, *, by: str = "dialer1.7@a", job: str = JOB, **fields: Any) -> dict[str, Any]:
    plain = {"uuid": job, "hostname": by, "timestamp": T + at, "local_received": T + at, "clock": 1}
    return {"type": f"task-{what}", **plain, **fields}


RECEIVED = event("received", 1, attempt=1, name="worker.tasks.dial", args=f"('{JOB}',)")
STARTED = event("started", 1.1, attempt=1)
PARKED = event("retried", 2, exception="10008: busy", life=[[T + 2, "waiting", "dialer1.7@a", "10008"]])
SECOND = event("started", 3, attempt=2, by="dialer2.7@a")
PLACED = event("succeeded", 4, attempt=2, result="placed", by="dialer2.7@a", runtime=0.5, exception=None)


def state_after(*events: dict[str, Any]) -> JobsState:
    state = JobsState(max_tasks_in_memory=100)
    for one in events:
        state.event(dict(one))
    return state


def test_an_end_stays_whatever_comes_late() -> None:
    for order in itertools.permutations([RECEIVED, STARTED, PARKED, SECOND, PLACED]):
        job = state_after(*order).tasks[JOB]
        assert (job.state, job.result, job.runtime, job.name) == ("SUCCESS", "placed", 0.5, "worker.tasks.dial")
        assert (job.timestamp, job.retried) == (T + 4, T + 2)


@pytest.mark.parametrize(
    ("now", "since", "state", "at", "attempt", "expected"),
    [
        ("STARTED", 2.0, "RETRY", 1.0, None, False),  # of the attempt before, by another worker
        ("RETRY", 2.0, "STARTED", 1.9, 2, True),  # by a host whose clock is behind
        ("STARTED", 2.0, "FAILURE", 1.9, 1, True),  # by a host whose clock is ahead
        ("FAILURE", 2.0, "STARTED", 9.0, 1, False),  # overtaken by its own end
        ("FAILURE", 2.0, "STARTED", 9.0, 2, True),  # unknown, and then redialed
        ("FAILURE", 2.0, "SUCCESS", 9.0, 1, True),  # unknown, and then resolved
        ("SUCCESS", 9.0, "FAILURE", 2.0, 1, False),  # told again, after better was known
        ("STARTED", 2.0, "RECEIVED", 1.0, 1, False),
    ],
)
def test_late_news_is_told_from_new(
    now: str, since: float, state: str, at: float, attempt: int | None, *, expected: bool
) -> None:
    known = {"state": now, "timestamp": since, "attempt": 1, "hostname": "a"}
    assert is_news(known, state, at=at, attempt=attempt, by="b") is expected


def test_a_redialed_job_shows_nothing_of_its_former_end() -> None:
    unknown = event("failed", 2, attempt=1, result="unknown: reply_lost", exception="CallOutcomeUnknown: it broke")
    job = state_after(RECEIVED, STARTED, unknown, SECOND).tasks[JOB]
    assert (job.state, job.result, job.exception, job.failed) == ("STARTED", None, None, None)


def test_what_strangers_write_is_not_shown() -> None:
    job = state_after(
        event("received", 1, name="theirs", args=f"('{NUMBER}',)", kwargs=f"{{'to': '{NUMBER}'}}"),
        event("failed", 2, result=f"called {NUMBER}", exception=f"KeyError: '{NUMBER[1:]}'", traceback=NUMBER),
    ).tasks[JOB]
    assert NUMBER[1:] not in repr(job.as_dict())
    ours = state_after(
        event("received", 1, args=f"('{JOB}',)", kwargs="{'pbx': 'hq', 'extid': '1001234567'}"),
        event("succeeded", 2, result="placed with callid 1795486665.866626446"),
    ).tasks[JOB]
    assert (ours.result, ours.args) == ("placed with callid 1795486665.866626446", f"('{JOB}',)")
    assert "1001234567" in ours.kwargs


def test_each_moment_of_a_life_is_a_row_of_the_page() -> None:
    page = page_of(state_after(RECEIVED, STARTED, PARKED).tasks[JOB])
    assert page._fields[-1] == "1. waiting"
    assert getattr(page, "1. waiting").endswith(" UTC by dialer1.7@a: 10008")
    columns = {"uuid", "state", "result", "received", "runtime", "retries", "kwargs", "worker", "name"}
    assert columns <= set(page._fields)


def test_what_was_missed_is_learned_from_the_records() -> None:
    state = state_after(RECEIVED, STARTED)
    life = [[T + 1, "claimed", "dialer9.7@b", ""], [T + 2, "failed", "dialer9.7@b", "10006"]]
    told = TaskEvent("task-failed", JOB, T + 2, {"attempt": 1, "result": "failed: 10006", "life": life})
    other = TaskEvent("task-failed", JOB[::-1], T + 2, told.fields)
    state.learn(told)
    state.learn(other)
    assert state.tasks[JOB].state == "FAILURE"
    assert state.tasks[JOB[::-1]].worker.hostname == "dialer9.7@b"
    assert "dialer9.7@b" not in state.workers  # it says nothing of being alive
    assert state.running() == []
    assert state.last_end() == T + 2


def test_the_oldest_jobs_go_first_and_cannot_be_found_any_more() -> None:
    ids = [f"{n:08}-5a0f-4f5c-9d55-0d1a1f0c0d1a" for n in range(150)]
    state = state_after(*(event("succeeded", n, job=job, result="placed") for n, job in enumerate(ids)))
    assert len(state.tasks) == len(state.search_engine.documents) == 100
    assert state.search_engine.search(state.tasks, ids[0]).task_ids == []
    assert state.search_engine.search(state.tasks, ids[-1]).task_ids == [ids[-1]]


def test_a_saved_job_comes_back_and_its_file_is_for_nobody_else(tmp_path: Path) -> None:
    file = tmp_path / "flower.json"
    before, after = state_after(RECEIVED, STARTED, PARKED, SECOND, PLACED), JobsState(max_tasks_in_memory=100)
    keeping.save(before, file)

    assert keeping.load(after, file) == 1
    assert after.tasks[JOB].plain() == before.tasks[JOB].plain()
    assert after.search_engine.search(after.tasks, JOB[:8]).task_ids == [JOB]
    assert after.counter == before.counter
    assert file.stat().st_mode & 0o077 == 0
    after.event(dict(PARKED))  # told again
    assert after.tasks[JOB].state == "SUCCESS"


@pytest.mark.parametrize(
    "content", ["", "{}\n", '{"form": "outdial-flower-1", "counter": {}}\n{"uuid": ', "\x00\xff"]
)
def test_an_unreadable_file_is_moved_aside(tmp_path: Path, content: str) -> None:
    file = tmp_path / "flower.json"
    file.write_text(content)
    assert keeping.load(JobsState(max_tasks_in_memory=100), file) == 0
    assert not file.exists()
    assert (tmp_path / "flower.json.unreadable").read_text() == content


def test_workers_that_are_gone_are_forgotten() -> None:
    state = state_after(RECEIVED)
    state.counter["long.gone@a"]["task-received"] = 1
    assert state.forget_workers(unseen_s=900) == {"dialer1.7@a", "long.gone@a"}
    assert (list(state.workers), dict(state.counter)) == ([], {})
    assert state.tasks[JOB].worker.hostname == "dialer1.7@a"
