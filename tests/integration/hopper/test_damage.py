"""Spoiled records: nothing raises for ever, nobody else is held up; what is spoiled is shown and never dialed."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import redis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.integration.hopper.stage import QUICK, QUICK_LOOKS, Stage, eventually, in_s, job, keys_of
from worker.errors import InputRefused, KeyConflict
from worker.hopper import Go, Hopper, connection
from worker.jobs import Doubt, JobState

# Of these a call is made, or they say where the job stands: without them it is not dialed.
NEEDED = ["state", "pbx", "extid", "outto", "rank", "seq", "enqueued_at"]
# These may be missing; where they are there, they are read.
READ = ["v", "n", "attempts", "not_before", "expires_at", "due", "hold", "claimed_at", "doubted_at", "quiet_since"]
READ += ["placed_at", "finished_at", "doubt", "nonce", "autoanswer", "metadata"]
TOLD = ["key", "fingerprint", "on_unknown", "errno", "error", "worker", "engaged", "callid", "~1", "~5", "ends"]
GARBAGE: list[str | bytes] = [
    "",
    "?x",
    "|",
    "-",
    "1e400",
    "9" * 400,
    "1.5",
    "-7",
    "\x00",
    b"\xff\xfe",
    "[]",
    '{"a"',
]
STATES = ["waiting", "later", "released", "claimed", "doubted", "unknown", "placed", "cancelled"]

counter = itertools.count()


def bring(stage: Stage, state: str) -> str:
    """Bring one new job as far as *state*."""
    fields: dict[str, object] = {"key": f"k{next(counter)}", "expires_at": in_s(3600), "metadata": {"lead": "7"}}
    match state:
        case "claimed":
            job_id, _ = stage.claimed(**fields)
        case "doubted":
            job_id, _ = stage.doubted(**fields)
        case "unknown":
            job_id, _ = stage.unknown(**fields)
        case "placed":
            job_id, claim = stage.claimed(**fields)
            stage.finish(job_id, "n1", claim)
        case "later":
            job_id = stage.put(**(fields | {"not_before": in_s(0.05)}))
        case _:
            job_id = stage.put(**fields)
            if state == "released":
                assert stage.release() == [job_id]
            elif state == "cancelled":
                stage.hopper.cancel(job_id)
    return job_id


def spoil(stage: Stage, job_id: str, field: str, value: str | bytes | None) -> None:
    """Overwrite a field, or take it away; `*` stands for the whole key."""
    home, client = stage.hopper.keys.job(job_id), stage.hopper.client
    if field == "*":
        client.delete(home)
        if value is not None:
            client.set(home, value)
    elif value is None:
        client.hdel(home, field)
    else:
        client.hset(home, field, value)


def put_again(stage: Stage, job_id: str) -> None:
    with suppress(InputRefused):
        stage.hopper.put(job(key=stage.hopper.record(job_id).get("key", "k")))


def carry_out_a_look(stage: Stage) -> None:
    if turn := stage.look_turn():
        for doubted in turn.jobs:
            stage.carry_out(doubted, JobState.UNKNOWN, nothing_runs=True)
        stage.hopper.looked(turn.pbx, next_s=0.01, answered=True, still=[])


CLAIM = Go("hq", "1001", "41000", "no", 1, 0.0, "token-1", 2)
STEPS: dict[str, Callable[[Stage, str], object]] = {
    "sweep": lambda stage, _: stage.hopper.delivered(stage.hopper.results(stage.sweep())),
    "release": lambda stage, _: stage.release(),
    "finish": lambda stage, job_id: stage.finish(job_id, "n1", CLAIM),
    "fail": lambda stage, job_id: stage.finish(job_id, "n1", CLAIM, JobState.FAILED),
    "park": lambda stage, job_id: stage.hopper.park(job_id, "n1", delay_s=0),
    "park in slot": lambda stage, job_id: stage.hopper.park(job_id, "n1", delay_s=0, in_slot=True),
    "doubt": lambda stage, job_id: stage.hopper.doubt(job_id, "n1", Doubt.LOST_REPLY, errno="x", error="y"),
    "bury": lambda stage, _: stage.hopper.bury("", errno="worker_lost", error=""),
    "look": lambda stage, _: carry_out_a_look(stage),
    "hand back": lambda stage, job_id: stage.hopper.hand_back(job_id),
    "cancel": lambda stage, job_id: stage.hopper.cancel(job_id),
    "say placed": lambda stage, job_id: stage.hopper.resolve(job_id, "placed", callid="1.2", why="seen"),
    "say failed": lambda stage, job_id: stage.hopper.resolve(job_id, "failed", why="asked"),
    "put again": put_again,
    "why": lambda stage, job_id: stage.hopper.why(job_id),
    "timeline": lambda stage, job_id: stage.hopper.timeline(job_id),
    "wait": lambda stage, job_id: stage.hopper.wait_for_end(job_id, 0),
    "list": lambda stage, _: [
        list(stage.hopper.ended_since(0)),
        stage.hopper.set_aside_list(),
        stage.hopper.view("hq"),
    ],
}


@pytest.fixture
def stages(client: "redis.Redis", namespace: str) -> Iterator[Callable[[], Stage]]:
    """A fresh stage for each of hypothesis' examples."""
    numbers = itertools.count()

    def make() -> Stage:
        hopper = Hopper(
            client, namespace=f"{namespace}-{next(numbers)}", retain_s=600, limits=QUICK, looks=QUICK_LOOKS
        )
        stage = Stage(hopper, queue=f"{hopper.keys.namespace}.dial")
        stage.open_pbx()
        return stage

    yield make
    if left := keys_of(client, f"{namespace}-"):
        client.delete(*left)


def holders(stage: Stage, job_id: str) -> set[str]:
    """Names of the sorted sets a job is in, but for leases, which end by themselves."""
    client, prefix = stage.hopper.client, f"{stage.hopper.keys.namespace}:"
    names = {key for key in keys_of(client, prefix) if client.type(key) == "zset"}
    found = {key.removeprefix(prefix) for key in names if client.zscore(key, job_id) is not None}
    return {name for name in found if not name.startswith("lines:")}


def go_on(stage: Stage, job_id: str, others: list[str]) -> list[str]:
    """Let pacer, workers, sweeper and looker work until nothing is left to do; returns what was dialed."""
    dialed = []

    def rounds() -> bool:
        stage.hopper.delivered(stage.hopper.results(stage.sweep()))
        carry_out_a_look(stage)
        for each in stage.release():
            claim = stage.claim(each, f"go-{each}")
            if isinstance(claim, Go):
                dialed.append(each)
                stage.finish(each, f"go-{each}", claim)
        ended = all(stage.state(other) == "placed" for other in others)
        return ended and holders(stage, job_id) <= {"ended", "arrivals"}

    assert eventually(rounds), ([stage.state(other) for other in others], holders(stage, job_id))
    return dialed


@settings(
    max_examples=examples(60),
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    state=st.sampled_from(STATES),
    field=st.sampled_from(["*", *NEEDED, *NEEDED, *READ, *TOLD]),
    value=st.sampled_from([None, None, *GARBAGE]),
    steps=st.lists(st.sampled_from(sorted(STEPS)), max_size=6),
)
def test_a_spoiled_record_is_shown_and_never_dialed_and_all_others_go_on(
    stages: Callable[[], Stage], state: str, field: str, value: str | bytes | None, steps: list[str]
) -> None:
    # Given a job somewhere in its life, one behind it, and one beside it
    stage = stages()
    job_id = bring(stage, state)
    others = stage.put_each(["1001", "1002"])

    # When its record is spoiled, and then anything is done
    spoil(stage, job_id, field, value)
    for name in steps:
        STEPS[name](stage, job_id)

    # Then all that can go on goes on, and this one is shown, or nothing was wrong with it
    dialed = go_on(stage, job_id, others)
    aside = {entry.job_id for entry in stage.hopper.set_aside_list() if entry.what == "job"}
    shown = job_id in aside
    result = stage.hopper.result(job_id)
    had_ended = state in ("unknown", "placed", "cancelled")
    assert shown or had_ended or (result is not None and result.state.is_final)
    assert aside <= {job_id}
    if field in ("*", *NEEDED):
        # A cancelled one needs nothing of its record any more.
        assert shown or state not in ("waiting", "later", "released") or stage.state(job_id) == "cancelled"
        assert job_id not in dialed
    for step in STEPS.values():
        step(stage, job_id)


@pytest.mark.parametrize("value", ["?", None])
@pytest.mark.parametrize("field", [*NEEDED, "*"])
def test_a_ghost_among_the_released_does_not_hold_its_pbx_up(stage: Stage, field: str, value: str | None) -> None:
    # Half open, a PBX waits for the one job that is on its way to its claim.
    ghost, other = stage.put_each(["1001", "1002"])
    assert len(stage.release()) == 2
    stage.unreachable(base_s=0.01)
    spoil(stage, ghost, field, value)
    assert eventually(lambda: stage.hopper.view("hq").breaker == "half-open")

    stage.claim(ghost)
    stage.hopper.hand_back(other)

    assert stage.score("released:hq", ghost) is None
    assert [aside.job_id for aside in stage.hopper.set_aside_list()] == [ghost]
    assert stage.release() == [other]


def test_a_job_whose_record_names_another_pbx_leaves_the_released_in_time(quick: Stage) -> None:
    quick.open_pbx("branch")
    ghost = quick.put("1001")
    quick.release()
    spoil(quick, ghost, "pbx", "branch")

    def is_gone() -> bool:
        quick.sweep()
        quick.put("1002")
        quick.release(1)
        return quick.score("released:hq", ghost) is None

    assert eventually(is_gone)


def test_a_call_that_was_placed_stays_placed_though_its_record_was_spoiled_meanwhile(stage: Stage) -> None:
    job_id, claim = stage.claimed()
    spoil(stage, job_id, "seq", "x")
    spoil(stage, job_id, "pbx", "?")

    assert stage.finish(job_id, "n1", claim) is None

    record = stage.hopper.record(job_id)
    assert (record["state"], record["callid"], record["errno"]) == ("placed", "1.1", "damaged")


@pytest.mark.parametrize("state", ["claimed", "doubted", "waiting", "released"])
def test_what_may_have_rung_is_not_said_to_have_failed(quick: Stage, state: str) -> None:
    job_id = bring(quick, state)
    spoil(quick, job_id, "pbx", "?")

    quick.hopper.cancel(job_id)

    may_have_rung = state in ("claimed", "doubted")
    quick.release()
    assert quick.state(job_id) == ("unknown" if may_have_rung else "failed")
    assert quick.hopper.resolve(job_id, "redial") == ("damaged", "")


def test_a_job_put_anew_after_its_record_was_deleted_is_not_mistaken_for_a_spoiled_one(stage: Stage) -> None:
    job_id = stage.put("1001", key="k")
    spoil(stage, job_id, "*", None)
    assert stage.put("1002", key="k") == job_id

    released = stage.release() + stage.release()

    assert released == [job_id]
    assert stage.hopper.set_aside_list() == []
    assert stage.go(job_id, "n").extid == "1002"


def test_a_job_in_a_lane_that_is_not_its_own_is_set_aside(stage: Stage) -> None:
    job_id = stage.put("1001")
    spoil(stage, job_id, "extid", "1002")

    assert stage.release() == []
    assert [aside.job_id for aside in stage.hopper.set_aside_list()] == [job_id]


def test_a_job_set_aside_is_set_aside_once(stage: Stage) -> None:
    ids = stage.put_each(["1001", "1002"])
    spoil(stage, ids[0], "extid", "?")
    spoil(stage, ids[1], "*", "a string")
    for _ in range(3):
        for job_id in ids:
            assert stage.hopper.cancel(job_id) == ("damaged", "")
        stage.release()

    assert {aside.job_id for aside in stage.hopper.set_aside_list()} == set(ids)
    assert len(stage.hopper.set_aside_list()) == 2, "once each"
    assert stage.hopper.set_aside_count() == 2


def test_of_very_many_the_last_hundred_are_shown(stage: Stage) -> None:
    ids = stage.put_each([str(1000 + n) for n in range(103)])
    for job_id in ids:
        spoil(stage, job_id, "extid", "?")
        stage.hopper.cancel(job_id)

    assert [aside.job_id for aside in stage.hopper.set_aside_list()] == ids[:2:-1]
    assert stage.release() == [], "their lanes drop them"
    assert stage.hopper.set_aside_count() == 103


@pytest.mark.parametrize("field", ["metadata", "enqueued_at", "attempts", "finished_at", "*"])
def test_lists_of_results_leave_out_what_cannot_be_read(stage: Stage, field: str) -> None:
    spoiled, sound = stage.put_each(["1001", "1002"])
    for job_id in (spoiled, sound):
        stage.hopper.cancel(job_id)
    spoil(stage, spoiled, field, "?")

    assert [result.job_id for result in stage.hopper.results([spoiled, sound])] == [sound]
    assert [result.job_id for result in stage.hopper.ended_since(0)] == [sound]
    assert stage.hopper.result(spoiled) is None
    assert stage.hopper.wait_for_end(spoiled, 0) is None
    assert sound in stage.sweep()
    assert [aside.job_id for aside in stage.hopper.set_aside_list()] == [spoiled], "the sweeper came upon it"


def test_a_result_is_told_without_its_metadata_when_nobody_can_read_them(stage: Stage) -> None:
    job_id, claim = stage.claimed(metadata={"lead": "7"})
    spoil(stage, job_id, "metadata", '{"lead": ')

    result = stage.finish(job_id, "n1", claim)

    assert result is not None
    assert (result.callid, result.metadata) == ("1.1", {})
    assert stage.hopper.result(job_id) == result
    assert [aside.job_id for aside in stage.hopper.set_aside_list()] == [job_id]


def test_a_key_whose_record_is_spoiled_is_refused_in_words_and_the_others_are_put(stage: Stage) -> None:
    first = stage.put(key="k")
    for value in ("a string", None):
        spoil(stage, first, "*", value)
        if value is None:
            stage.hopper.client.hset(stage.hopper.keys.job(first), "enqueued_at", "1")
        conflict, receipt = stage.hopper.put_many([job(key="k"), job()])

        assert isinstance(conflict, KeyConflict)
        assert "damaged" in str(conflict)
        assert not isinstance(receipt, KeyConflict)
        assert receipt.is_new
        assert stage.hopper.set_aside_list()[0].job_id == first
    stage.release()


# --- records of a later version ----------------------------------------------------------------------------


def test_a_record_of_a_later_version_goes_back_until_a_worker_knows_it(stage: Stage) -> None:
    job_id = stage.put()
    spoil(stage, job_id, "v", "2")
    assert stage.release() == [job_id]

    assert not isinstance(stage.claim(job_id), Go)

    record = stage.hopper.record(job_id)
    assert (record["state"], record.get("attempts"), record["v"]) == ("waiting", None, "2")
    assert stage.hopper.timeline(job_id)[-1].reason == "later version"
    assert stage.hopper.set_aside_list() == []
    assert stage.hopper.view("hq").later == 1, "after a moment, so that it does not go round and round"

    newer = connection.steps()["claim"][0].replace("local VERSION = 1", "local VERSION = 2")
    stage.hopper.client.zadd(stage.hopper.keys.later("hq"), {job_id: 1})
    stage.hopper.client.zadd(f"{stage.hopper.keys.namespace}:pbxs", {"hq": 1})
    assert stage.release() == [job_id]
    namespace = stage.hopper.keys.namespace
    answer = stage.hopper.client.eval(newer, 1, namespace, "w2", job_id, "n", 45, 0, 600, "")
    assert answer[0] == "go"
