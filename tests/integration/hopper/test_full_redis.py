"""A full Redis: nobody dials, but what has been dialed can still be told; no step is done by halves."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis.exceptions import OutOfMemoryError

from ops.embedded_redis import EmbeddedRedis
from tests.conftest import pbx_settings
from tests.integration.hopper.post import DELIVERED, FAILED, Post
from tests.integration.hopper.stage import API_KEY, Stage, eventually, in_s, job
from worker.hopper import (
    Ending,
    Go,
    Hopper,
    JobFilter,
    Login,
    LookTurn,
    NotYours,
    Once,
    Order,
    Redial,
    SettingsReport,
    Token,
)
from worker.jobs import Doubt, JobState, RefusedJob
from worker.settings import ReplicationSettings

REDIS = shutil.which("redis-server")


@pytest.fixture(
    scope="module",
    params=[
        "valkey",
        pytest.param("redis", marks=pytest.mark.skipif(not REDIS, reason="needs redis-server")),
    ],
)
def redis_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedRedis]:
    """A server that nobody else uses, for its memory is taken away: ours, and the Redis that is installed here."""
    folder: Path = tmp_path_factory.mktemp("full")
    program = REDIS if request.param == "redis" else None
    with EmbeddedRedis(folder, append_only=False, program=program) as server:
        yield server


@contextmanager
def full(stage: Stage) -> Iterator[None]:
    client = stage.hopper.client
    client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        client.config_set("maxmemory", 0)


def refused_whole(stage: Stage, step: Callable[[], object]) -> None:
    before = stage.snapshot()
    with full(stage):
        for _ in range(2):
            with pytest.raises(OutOfMemoryError):
                step()
    assert stage.snapshot() == before


# --- what may lead to a call is refused whole -----------------------------------------------------------------


def test_no_job_is_taken_in(stage: Stage) -> None:
    refused_whole(stage, lambda: stage.put("1001", expires_at=in_s(60)))
    refused_whole(stage, lambda: stage.put("1001", not_before=in_s(60)))
    known = stage.put("1001", key="again")
    with full(stage):
        assert stage.put("1001", key="again") == known


def test_no_refused_job_is_taken_in_and_no_request_remembered(stage: Stage) -> None:
    once = Once("crm:1", "aa", kept_s=60)
    refused_whole(stage, lambda: stage.hopper.put_orders([Order(RefusedJob("why", "it is"))]))
    refused_whole(stage, lambda: stage.hopper.put_orders([Order(job(), once=once)]))
    refused_whole(stage, lambda: stage.hopper.once(once))
    refused_whole(stage, stage.hopper.make_sure_of_room)


def test_no_api_key_is_made(stage: Stage) -> None:
    refused_whole(stage, lambda: stage.hopper.new_key(API_KEY, "d"))


def test_no_job_is_released(stage: Stage) -> None:
    stage.put_each(["1001", "1002"])
    refused_whole(stage, stage.release)
    assert len(stage.release()) == 2


def test_no_job_whose_time_has_come_is_released(stage: Stage) -> None:
    due = in_s(0.05)
    stage.put("1001", not_before=due)
    eventually(lambda: stage.hopper.now() > due.timestamp())
    refused_whole(stage, stage.release)
    assert len(stage.release()) == 1


def test_no_call_is_claimed(stage: Stage) -> None:
    job_id = stage.put()
    stage.release()
    refused_whole(stage, lambda: stage.claim(job_id, "n1"))
    assert isinstance(stage.claim(job_id, "n1"), Go)


def test_no_call_is_claimed_where_a_lease_has_to_be_made_longer(stage: Stage) -> None:
    job_id = stage.put()
    stage.release()
    stage.open_pbx(open_call_s=600)
    refused_whole(stage, lambda: stage.claim(job_id, "n1"))
    assert isinstance(stage.claim(job_id, "n1"), Go)


def test_a_claim_granted_before_is_found_again_and_another_message_sent_away(stage: Stage) -> None:
    job_id, claim = stage.claimed(nonce="n1")
    with full(stage):
        again = stage.go(job_id, "n1")
        assert again.attempts == claim.attempts
        assert isinstance(stage.claim(job_id, "other"), NotYours)


def test_no_claim_is_confirmed(stage: Stage) -> None:
    job_id, _ = stage.claimed(nonce="n1")
    replication = ReplicationSettings(wait_replicas=1, wait_s=0.05)
    careful = Hopper(
        stage.hopper.client, namespace=stage.hopper.keys.namespace, retain_s=600, replication=replication
    )
    refused_whole(stage, lambda: careful.is_replicated(job_id, "n1"))


def test_no_limits_are_set(stage: Stage) -> None:
    refused_whole(stage, lambda: stage.hopper.register("other", pbx_settings()))


# --- what has been dialed can be told ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state",
    [JobState.PLACED, JobState.FAILED, JobState.UNKNOWN],
)
def test_an_end_can_be_told(stage: Stage, state: JobState) -> None:
    job_id, claim = stage.claimed()
    with full(stage):
        result = stage.finish(job_id, "n1", claim, state)
        assert stage.finish(job_id, "n1", claim, state) == result
    assert result is not None
    assert stage.state(job_id) == state
    assert stage.hopper.client.zrange(f"{stage.hopper.keys.namespace}:outbox", 0, -1) == [job_id]


@pytest.mark.parametrize("state", [JobState.PLACED, JobState.FAILED])
def test_evidence_that_comes_late_can_be_told(quick: Stage, state: JobState) -> None:
    job_id, claim = quick.claimed()
    with full(quick):
        eventually(lambda: quick.sweep() or quick.hopper.record(job_id).get("doubt"))
        assert quick.finish(job_id, "n1", claim, state) is not None
    assert quick.state(job_id) == state


@pytest.mark.parametrize("free", [True, False])
@pytest.mark.parametrize("in_slot", [True, False])
@pytest.mark.parametrize("delay_s", [0, 5])
def test_a_job_can_go_round_again(stage: Stage, free: bool, in_slot: bool, delay_s: float) -> None:
    job_id, _ = stage.claimed()
    with full(stage):
        for _ in range(2):
            assert stage.hopper.park(
                job_id, "n1", delay_s=delay_s, free=free, in_slot=in_slot, rest_s=1, errno="10008", error="busy"
            )
    assert stage.state(job_id) == ("released" if in_slot else "waiting")
    assert stage.hopper.record(job_id)["attempts"] == ("0" if free else "1")


@pytest.mark.parametrize("delay_s", [0, 5])
def test_a_released_job_can_be_handed_back(stage: Stage, delay_s: float) -> None:
    job_id = stage.put()
    stage.release()
    with full(stage):
        assert stage.hopper.hand_back(job_id, delay_s=delay_s)
    assert stage.state(job_id) == "waiting"


@pytest.mark.parametrize("released", [True, False])
def test_a_job_can_be_withdrawn(stage: Stage, released: bool) -> None:
    job_id = stage.put()
    if released:
        stage.release()
    with full(stage):
        assert stage.hopper.cancel(job_id) == ("cancelled", "cancelled")
    assert stage.state(job_id) == "cancelled"


def test_a_result_can_leave_the_outbox(stage: Stage) -> None:
    job_id, claim = stage.claimed()
    result = stage.finish(job_id, "n1", claim)
    assert result is not None
    with full(stage):
        stage.hopper.delivered([result])
    assert stage.score("outbox", job_id) is None


def test_what_the_dead_left_behind_is_brought_to_an_end(quick: Stage) -> None:
    claimed, _ = quick.claimed("1001")
    released, expiring = quick.put("1002"), quick.put("1003", expires_at=in_s(0.1))
    assert set(quick.release(most_released=10)) == {released, expiring}
    ends = {released: "waiting", expiring: "expired"}
    with full(quick):
        eventually(lambda: quick.sweep() and all(quick.state(job) == state for job, state in ends.items()))
        eventually(lambda: quick.sweep() and "doubt" in quick.hopper.record(claimed))
    assert {job: quick.state(job) for job in ends} == ends
    assert quick.hopper.record(claimed)["doubt"] == "worker_lost"


@pytest.mark.parametrize("doubt", list(Doubt))
def test_a_doubt_can_be_told_looked_at_and_resolved(stage: Stage, doubt: Doubt) -> None:
    hopper, (job_id, claim) = stage.hopper, stage.claimed()
    with full(stage):
        assert hopper.doubt(job_id, "n1", doubt, errno="no_reply", error="no reply")
        turn = hopper.look_turn(lease_s=5)
        assert isinstance(turn, LookTurn)
        hopper.looked("hq", next_s=1, answered=True, still=[(turn.jobs[0], "quiet")])
        assert stage.finish(job_id, "n1", claim, JobState.UNKNOWN) is not None
        assert hopper.resolve(job_id, "failed", why="asked")[0] == "resolved"
    assert stage.state(job_id) == "failed"


def test_the_claims_of_a_dead_worker_can_be_given_up(stage: Stage) -> None:
    job_id = stage.put()
    stage.release()
    stage.hopper.claim(job_id, "n1", slot_wait_s=0, incarnation="dead")
    with full(stage):
        assert stage.hopper.bury("dead", errno="worker_lost", error="gone") == 1


def test_what_could_not_be_used_can_be_noted(stage: Stage) -> None:
    with full(stage):
        stage.hopper.set_aside("message", "it is not JSON")
        assert stage.hopper.why("00000000-0000-4000-8000-000000000000") == {}
    assert stage.hopper.set_aside_count() == 1


# --- what an operator, or a PBX that is down, has to say ---------------------------------------------------------


@pytest.mark.parametrize("place", [("hq", ""), ("*", ""), ("hq", "1002")])
def test_everything_can_be_paused_and_resumed(stage: Stage, place: tuple[str, str]) -> None:
    stage.put("1002")
    with full(stage):
        assert stage.hopper.pause(*place)
        assert not stage.hopper.pause(*place)
        assert stage.hopper.resume(*place)
        assert [entry.act for entry in stage.hopper.audit()] == ["pause", "resume"]


def test_the_breaker_of_a_pbx_that_is_down_opens(stage: Stage) -> None:
    with full(stage):
        opened = [stage.hopper.unreachable("hq", reason="no answer", by="j") for _ in range(3)]
    assert opened == [None, None, 0.5]
    assert stage.hopper.view("hq").barred_reason == "no answer"


def test_a_login_can_be_made_and_refused(stage: Stage) -> None:
    hopper, generation = stage.hopper, stage.log_in()

    def log_in(nonce: str, refused: int, **facts: object) -> int:
        turn = hopper.login_turn("hq", refused=refused, nonce=nonce, lease_s=30, spacing_s=0)
        assert isinstance(turn, Login)
        return hopper.login_done("hq", nonce, **facts)  # type: ignore[arg-type]

    with full(stage):
        newer = log_in("a", generation, token="token-2")
        assert newer == generation + 1
        assert log_in("b", newer, block_s=600, reason="wrong password") == newer
    assert hopper.barred("hq")[1] == "wrong password"
    assert not isinstance(hopper.login_turn("hq", refused=-1, nonce="c", lease_s=1, spacing_s=0), Token)


def test_requests_are_served_uncounted_and_keys_are_revoked(stage: Stage) -> None:
    stage.put()
    stage.hopper.new_key(replace(API_KEY, requests=1), "d")
    with full(stage):
        assert [bool(one and one.retry_in_s == 0) for one in stage.hopper.admit([(API_KEY.id, "d")] * 3)] == [
            True
        ] * 3
        assert len(stage.hopper.find(JobFilter(), most=10)[0]) == 1
        assert stage.hopper.revoke_key(API_KEY.id) == "revoked"
    assert stage.hopper.admit([(API_KEY.id, "d")]) == [None]
    stage.release()


def test_a_full_server_brings_no_job_back_and_an_index_is_not_begun(stage: Stage) -> None:
    job_id, _ = stage.unknown()
    before = stage.hopper.record(job_id)
    with full(stage):
        with pytest.raises(OutOfMemoryError):
            stage.hopper.redial([Redial(job_id, "hq")], mark="m", even_if_rung=True)
        with pytest.raises(OutOfMemoryError):
            stage.hopper.index_metadata(["lead"])
    assert stage.hopper.record(job_id) == before


def test_a_full_installation_can_be_looked_at(stage: Stage) -> None:
    stage.open_pbx()
    stage.put()
    [released] = stage.release()
    stage.hopper.client.zadd(f"{stage.hopper.keys.namespace}:waits:hq:1", {released: 1})  # an older version's
    job_id = stage.put("1002")
    assert (stage.hopper.overview(["hq"]).refusal, stage.hopper.why(job_id)["refusal"]) == ("", "")
    with full(stage):
        overview = stage.hopper.overview(["hq"])
        assert stage.hopper.why(job_id)["refusal"] == "OOM"
    assert overview.refusal == "OOM"
    assert (overview.pbxs[0].waiting_in_all, overview.pbxs[0].released) == (1, 1)


def test_a_worker_can_say_that_it_lives_and_goodbye(stage: Stage) -> None:
    with full(stage):
        assert stage.hopper.heartbeat("w1", slots=4, ttl_s=5).slots == 4
        assert stage.hopper.heartbeat("w1", slots=0, ttl_s=5).slots == 0
    assert stage.hopper.workers_alive() == {}


def test_a_full_installation_can_be_reloaded(stage: Stage) -> None:
    report = SettingsReport("w1", version="a", asked=0, read_at=0)
    with full(stage):
        asked = stage.hopper.ask_reload()
        assert stage.hopper.report_settings(report, ttl_s=5) == asked
        assert stage.hopper.withdraw("hq")
    assert stage.hopper.settings_reports() == [report]


def test_a_step_of_the_clock_is_followed(stage: Stage) -> None:
    job_id, _ = stage.claimed()
    compared = stage.hopper.heartbeat("w1", slots=4, ttl_s=5).compared
    before = stage.score("claimed", job_id)
    assert before is not None
    with full(stage):
        assert stage.hopper.set_clock(compared, -20) == (compared + 1, -20)
    assert stage.score("claimed", job_id) == pytest.approx(before - 20, abs=1)


# --- results on their way to endpoints ---------------------------------------------------------------------------


def test_a_result_is_announced_wholly_or_stays_in_the_outbox(stage: Stage) -> None:
    post = Post(stage)
    job_id = post.ended()
    refused_whole(stage, lambda: post.announce(job_id, "crm", "bi"))
    assert stage.score("outbox", job_id) is not None
    assert post.announce(job_id, "crm", "bi") == 2


def test_results_leave_a_full_server(stage: Stage) -> None:
    post = Post(stage)
    for extid in ("1001", "1002", "1003"):
        post.announced(extid=extid)
    with full(stage):
        first, second, third = post.dispatch()
        post.end(post.take(first), DELIVERED)
        post.end(post.take(second), FAILED)
        post.end(post.take(third), Ending("dead", error="x", blames=True))
    assert (post.view().waiting, post.view().dead) == (1, 1)
    assert post.view().last_success > 0


def test_endpoints_can_be_disabled_and_enabled_and_dead_letters_replayed(stage: Stage) -> None:
    post = Post(stage)
    post.announced()
    with full(stage):
        assert stage.hopper.disable_endpoint("crm", why="asked")
        assert post.dispatch() == []
        assert stage.hopper.enable_endpoint("crm")
        assert stage.hopper.replay(post.dead()) == ["replayed"]
    assert len(post.dispatch()) == 1


def test_every_step_is_looked_at() -> None:
    text = Path(__file__).read_text()
    scripts = {file.stem for file in (Path(__file__).parents[3] / "worker/hopper/scripts").glob("*.lua")}
    assert scripts
    calls = {"put": "stage.put(", "release": "stage.release", "claim": "stage.claim(", "sweep": "quick.sweep("}
    calls |= {"room": "hopper.make_sure_of_room", "finish": "stage.finish(", "confirm": "careful.is_replicated("}
    calls |= {"announce": "post.announce(", "dispatch": "post.dispatch(", "take_delivery": "post.take("}
    calls |= {"attempted": "post.end("}
    assert [name for name in scripts if calls.get(name, f"hopper.{name}(") not in text] == []
