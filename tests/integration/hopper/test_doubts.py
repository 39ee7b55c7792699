"""Doubts: nobody can say whether the phone rang. Evidence in any order, and the looking at the PBX."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ops.embedded_redis import EmbeddedRedis
from tests.integration.hopper.stage import Stage, eventually, in_s
from worker.hopper import Back, Doubted, Finished, Go, Hopper, LookTurn, NotYours, connect
from worker.jobs import DialResult, Doubt, JobState

FOUND_OUT = [JobState.PLACED, JobState.FAILED]


def only(turn: LookTurn) -> Doubted:
    [job] = turn.jobs
    return job


# --- coming into doubt -------------------------------------------------------------------------------------


def test_a_job_in_doubt_stays_claimed_and_is_nobodys_to_ring(stage: Stage) -> None:
    job_id, _ = stage.doubted()

    assert (stage.state(job_id), stage.hopper.view("hq").in_doubt) == ("claimed", 1)
    assert stage.score("claimed", job_id) is None, "no sweep takes it for a dead claim"
    assert stage.claim(job_id, "n1") == NotYours("claimed"), "nor its holder, should its claim be answered now"
    assert stage.claim(job_id, "n2") == NotYours("claimed")
    assert stage.hopper.cancel(job_id) == ("too_late", "claimed")
    assert (stage.release(), stage.sweep()) == ([], [])


def test_the_same_doubt_again_changes_nothing(stage: Stage) -> None:
    job_id, _ = stage.doubted()
    before = stage.snapshot()

    assert stage.hopper.doubt(job_id, "n1", Doubt.LOST_REPLY, errno="no_reply", error="again")
    assert stage.snapshot() == before


@pytest.mark.parametrize("nonce", ["other", ""])
def test_a_claim_is_put_in_doubt_by_its_holder_alone(stage: Stage, nonce: str) -> None:
    job_id, claim = stage.claimed()
    before = stage.snapshot()

    assert not stage.hopper.doubt(job_id, nonce, Doubt.LOST_REPLY, errno="", error="")
    assert not stage.hopper.doubt("no-such-job", nonce, Doubt.LOST_REPLY, errno="", error="")
    assert stage.snapshot() == before
    assert stage.finish(job_id, "n1", claim) is not None


@pytest.mark.parametrize("state", list(FOUND_OUT))
def test_what_is_known_is_no_longer_doubted(stage: Stage, state: JobState) -> None:
    job_id, claim = stage.claimed()
    stage.finish(job_id, "n1", claim, state)
    before = stage.snapshot()

    assert not stage.hopper.doubt(job_id, "n1", Doubt.LOST_REPLY, errno="no_reply", error="")
    assert stage.snapshot() == before


@pytest.mark.parametrize(
    ("told", "kept"), [(Doubt.SAID_FAILED, Doubt.SAID_FAILED), (Doubt.LOST_REPLY, Doubt.WORKER_LOST)]
)
def test_a_holder_who_knows_more_than_the_sweeper_is_heard(quick: Stage, told: Doubt, kept: Doubt) -> None:
    # Only what the PBX said may be tried again: a lost reply says no more than a dead worker.
    job_id, _ = quick.orphaned()

    assert quick.hopper.doubt(job_id, "n1", told, errno="30001", error="Failed")

    assert only(quick.look()).doubt is kept


@pytest.mark.parametrize("come_late", [False, True])
def test_a_doubt_keeps_the_callid_that_its_holder_could_not_report(quick: Stage, come_late: bool) -> None:
    job_id, _ = quick.orphaned() if come_late else quick.claimed()

    assert quick.hopper.doubt(
        job_id, "n1", Doubt.LOST_REPLY, errno="unreported", error="the PBX took the call", callid="1700000000.17"
    )

    job = only(quick.look())
    assert job.callid == "1700000000.17"
    finished = quick.hopper.finish(job.id, job.nonce, JobState.PLACED, job, answered=False, callid=job.callid)
    assert finished is not None
    result = quick.hopper.result(job_id)
    assert result == finished.result
    assert (result.state, result.callid, result.errno) == (JobState.PLACED, "1700000000.17", None)


def test_a_doubted_job_never_expires(stage: Stage) -> None:
    job_id, _ = stage.doubted(expires_at=in_s(0.05))
    eventually(lambda: float(stage.hopper.record(job_id)["expires_at"]) < stage.hopper.now())

    assert stage.sweep() == []
    assert stage.state(job_id) == "claimed"


# --- the holder comes back late ----------------------------------------------------------------------------


def doubted(stage: Stage) -> tuple[str, Go]:
    return stage.doubted()


def orphaned(stage: Stage) -> tuple[str, Go]:
    return stage.orphaned()


def unknown(stage: Stage) -> tuple[str, Go]:
    return stage.unknown()


LATE = pytest.mark.parametrize("come_late", [doubted, orphaned, unknown])
Late = Callable[[Stage], tuple[str, Go]]


@LATE
@pytest.mark.parametrize("state", FOUND_OUT)
def test_the_holder_knows_best_however_late(quick: Stage, come_late: Late, state: JobState) -> None:
    job_id, claim = come_late(quick)
    was = quick.hopper.result(job_id)

    result = quick.finish(job_id, "n1", claim, state)

    assert result is not None
    assert was is not None
    assert result == quick.hopper.result(job_id)
    assert (result.state, result.errno) == (state, None if state is JobState.PLACED else "10006")
    assert was.finished_at is None or result.finished_at > was.finished_at  # type: ignore[operator]
    assert quick.sweep() == [job_id], "it is delivered, again if need be"
    assert (quick.look_turn(), quick.hopper.view("hq").in_doubt) == (None, 0)


@LATE
@pytest.mark.parametrize("in_slot", [True, False])
def test_a_job_that_certainly_did_not_ring_goes_round_however_late(
    quick: Stage, come_late: Late, in_slot: bool
) -> None:
    job_id, _ = come_late(quick)

    assert quick.hopper.park(job_id, "n1", delay_s=0, in_slot=in_slot, errno="10008", error="busy")

    # Its slot's sleep is over at once: after a doubt nobody keeps line and extension for it.
    assert quick.state(job_id) == "waiting"
    assert (quick.look_turn(), quick.hopper.view("hq").in_doubt) == (None, 0)
    assert not {"doubt", "doubted_at", "engaged", "quiet_since"} & set(quick.hopper.record(job_id))
    assert quick.release() == [job_id]
    assert quick.go(job_id, "n2").attempts == 2


@LATE
def test_late_evidence_of_another_claim_is_no_evidence(quick: Stage, come_late: Late) -> None:
    job_id, claim = come_late(quick)
    before = quick.snapshot()

    assert quick.finish(job_id, "other", claim) is None
    assert quick.hopper.park(job_id, "other", delay_s=0) is None
    assert quick.snapshot() == before


def adopted(stage: Stage) -> tuple[str, Go, DialResult]:
    job_id, claim = stage.doubted()
    result = stage.carry_out(only(stage.look()), JobState.PLACED)
    assert result is not None
    return job_id, claim, result


def test_a_call_found_running_is_the_jobs_and_has_no_callid_yet(stage: Stage) -> None:
    stage.open_pbx(open_call_s=40, extension_rest_s=7)
    job_id, _, result = adopted(stage)

    assert (result.state, result.outboundid, result.callid, result.errno) == ("placed", "7.7", None, None)
    assert result == stage.hopper.result(job_id)
    ended_at, line = stage.score("ended", job_id), stage.score("lines:hq", job_id)
    assert line == pytest.approx(ended_at + 40, abs=1e-3)  # type: ignore[operator]
    assert stage.look_turn() is None


def test_its_holder_completes_a_call_found_running_and_it_is_delivered_again(stage: Stage) -> None:
    job_id, claim, found = adopted(stage)
    stage.hopper.delivered([found])
    assert stage.sweep() == []

    complete = stage.finish(job_id, "n1", claim)

    assert complete is not None
    assert (complete.callid, complete.outboundid, complete.placed_at) == ("1.1", "7.7", found.placed_at)
    assert complete == stage.hopper.result(job_id)
    assert stage.sweep() == [job_id]
    before = stage.snapshot()
    assert stage.finish(job_id, "n1", claim) == complete, "once"
    assert stage.snapshot() == before


def test_a_call_that_was_found_running_did_not_fail_whatever_its_holder_says(stage: Stage) -> None:
    job_id, claim, _ = adopted(stage)
    before = stage.snapshot()

    assert stage.finish(job_id, "n1", claim, JobState.FAILED) is None
    assert stage.hopper.park(job_id, "n1", delay_s=0) is None
    assert stage.snapshot() == before


@pytest.mark.parametrize("state", [JobState.PLACED, JobState.FAILED, JobState.UNKNOWN])
def test_a_looker_who_comes_after_the_holder_says_nothing_new(stage: Stage, state: JobState) -> None:
    job_id, claim = stage.doubted()
    job = only(stage.look())
    stage.finish(job_id, "n1", claim)
    before = stage.snapshot()

    result = stage.carry_out(job, state)

    assert stage.snapshot() == before
    assert result is None or result.callid == "1.1"
    stage.hopper.looked("hq", next_s=0, answered=True, still=[(job, "quiet")])
    assert "quiet_since" not in stage.hopper.record(job_id)


def test_a_looker_who_comes_after_the_next_claim_does_not_end_it(stage: Stage) -> None:
    job_id, _ = stage.doubted()
    job = only(stage.look())
    stage.hopper.park(job_id, "n1", delay_s=0)
    stage.release()
    stage.go(job_id, "n2")
    before = stage.snapshot()

    assert stage.carry_out(job, JobState.UNKNOWN) is None
    assert stage.hopper.park(job_id, job.nonce, delay_s=0) is None
    assert stage.snapshot() == before


# --- line and extension ------------------------------------------------------------------------------------


def test_line_and_extension_are_held_for_all_of_the_looking_and_a_call_after_it(stage: Stage) -> None:
    stage.open_pbx(open_call_s=40, extension_rest_s=7)
    job_id, _ = stage.doubted()

    doubted_at = float(stage.hopper.record(job_id)["doubted_at"])
    line = stage.score("lines:hq", job_id)
    assert line == pytest.approx(doubted_at + 60 + 40, abs=1e-3)
    assert stage.score("exts:hq", "1001") == pytest.approx(line + 7, abs=1e-3)  # type: ignore[operator]
    stage.put("1001")
    assert stage.release() == []


@pytest.mark.parametrize("nothing_runs", [True, False])
def test_an_extension_seen_idle_is_free_at_once(stage: Stage, nothing_runs: bool) -> None:
    stage.open_pbx(max_open_calls=1, open_call_s=40, extension_rest_s=7)
    stage.doubted()
    following = stage.put("1001")

    stage.carry_out(only(stage.look()), JobState.UNKNOWN, nothing_runs=nothing_runs)

    assert stage.release() == ([following] if nothing_runs else [])


def test_late_evidence_does_not_touch_the_call_that_has_the_extension_by_now(quick: Stage) -> None:
    late, claim = quick.unknown("1001", nonce="late")
    quick.open_pbx(open_call_s=60)
    other = quick.put("1001")
    assert eventually(quick.release) == [other]
    quick.go(other, "n")
    lease = quick.score("exts:hq", "1001")

    quick.finish(late, "late", claim, JobState.FAILED)

    assert quick.score("exts:hq", "1001") == lease
    assert quick.score("lines:hq", other) is not None


# --- whose turn it is to look ------------------------------------------------------------------------------


def test_of_20_lookers_one_has_the_turn(stage: Stage, redis_server: EmbeddedRedis) -> None:
    stage.doubted()

    def looker(_: int) -> object:
        with connect(redis_server.url) as client:
            return Hopper(client, namespace=stage.hopper.keys.namespace, retain_s=600).look_turn(lease_s=60)

    with ThreadPoolExecutor(20) as threads:
        turns = list(threads.map(looker, range(20)))

    assert sum(isinstance(turn, LookTurn) for turn in turns) == 1
    assert all(isinstance(turn, LookTurn) or 59 < turn <= 60 for turn in turns)  # type: ignore[operator]


def test_after_a_dead_looker_another_looks(stage: Stage) -> None:
    job_id, _ = stage.doubted()
    stage.look(lease_s=0.05)  # and dies

    assert only(stage.look()).id == job_id


def test_nobody_looks_while_nothing_is_in_doubt(stage: Stage) -> None:
    assert stage.hopper.look_turn(lease_s=60) is None
    job_id, claim = stage.doubted()
    stage.finish(job_id, "n1", claim)

    eventually(lambda: stage.hopper.look_turn(lease_s=60) is None)
    assert stage.hopper.look_turn(lease_s=60) is None


def test_one_look_serves_all_jobs_of_a_pbx_and_the_next_looks_are_counted_from_it(stage: Stage) -> None:
    stage.open_pbx("branch")
    here = [stage.doubted(str(1000 + n))[0] for n in range(20)]
    there, _ = stage.doubted("1001", pbx="branch")

    turns = {turn.pbx: turn for turn in (stage.look(), stage.look())}

    assert [job.id for job in turns["hq"].jobs] == here
    assert [job.id for job in turns["branch"].jobs] == [there]
    stage.hopper.looked("hq", next_s=5, answered=True, still=[(job, "quiet") for job in turns["hq"].jobs])
    stage.hopper.looked("branch", next_s=60, answered=True, still=[(turns["branch"].jobs[0], "quiet")])
    assert stage.hopper.look_turn(lease_s=60) == pytest.approx(5, abs=0.5)


def test_a_new_doubt_waits_for_the_shortest_time_between_looks(stage: Stage) -> None:
    stage.doubted("1001")
    stage.hopper.looked("hq", next_s=5, answered=True, still=[(only(stage.look()), "quiet")])
    looked_at = float(stage.hopper.client.hget(stage.hopper.keys.pbx("hq"), "looked_at"))

    stage.doubted("1002")

    assert stage.score("looks", "hq") == pytest.approx(looked_at + 1, abs=1e-3)


def test_those_not_looked_at_for_longest_come_first(stage: Stage) -> None:
    ids = [stage.doubted(str(1000 + n))[0] for n in range(5)]

    first = stage.look(most=2)
    stage.hopper.looked("hq", next_s=0, answered=True, still=[(job, "quiet") for job in first.jobs])
    second = stage.look(most=4)

    assert {job.id for job in first.jobs} == set(ids[:2])
    assert [job.id for job in second.jobs][:3] == ids[2:]


def test_a_look_takes_permits_so_that_the_pbx_is_asked_no_more_often(stage: Stage) -> None:
    stage.open_pbx(calls_per_second=1, burst=2)
    stage.doubted("1001")
    other = stage.put("1002")
    assert stage.release() == [other]

    assert stage.look().ask

    assert stage.claim(other) == Back()


def test_a_pbx_that_refuses_the_log_in_is_not_asked_and_keeps_its_permits(stage: Stage) -> None:
    job_id, _ = stage.doubted()
    generation = stage.log_in()
    stage.hopper.login_turn("hq", refused=generation, nonce="x", lease_s=30, spacing_s=0)
    stage.hopper.login_done("hq", "x", block_s=600, reason="wrong password")
    before = stage.hopper.client.hgetall(stage.hopper.keys.pbx("hq"))

    turn = stage.look()

    assert (turn.ask, only(turn).id) == (False, job_id), "time goes on for what is in doubt"
    assert stage.hopper.client.hgetall(stage.hopper.keys.pbx("hq")) == before


def test_a_look_knows_the_session_and_how_far_ahead_the_clock_of_the_ids_is(stage: Stage) -> None:
    job_id, claim = stage.claimed("1001", nonce="n")
    claimed_at = float(stage.hopper.record(job_id)["claimed_at"])
    stage.hopper.finish(job_id, "n", JobState.PLACED, claim, callid=f"{claimed_at + 120:.0f}.7")
    stage.doubted("1002", outto="42000", on_unknown="redial")

    turn = stage.look()

    assert (turn.pbx, turn.token, turn.generation) == ("hq", "token-1", 2)
    assert turn.clock_ahead_s == pytest.approx(120, abs=1)
    job = only(turn)
    assert (job.extid, job.outto, job.on_unknown, job.attempts, job.errno) == (
        "1002",
        "42000",
        "redial",
        1,
        "no_reply",
    )
    assert 0 <= job.waited_s < 60
    assert (job.was_engaged, job.quiet_s) == (False, None)


# --- what a look has told ----------------------------------------------------------------------------------


def looks(stage: Stage, *sights: str) -> Doubted:
    """Look as often as there are sights; returns what the next look is told of the job."""
    for sight in sights:
        stage.hopper.looked("hq", next_s=0, answered=True, still=[(only(stage.look()), sight)])
    return only(stage.look())


def test_quiet_counts_from_the_first_of_the_last_quiet_looks(stage: Stage) -> None:
    job_id, _ = stage.doubted()
    stage.hopper.looked("hq", next_s=0, answered=True, still=[(only(stage.look()), "quiet")])
    since = stage.hopper.record(job_id)["quiet_since"]

    job = looks(stage, "quiet", "quiet")

    assert stage.hopper.record(job_id)["quiet_since"] == since
    assert job.quiet_s is not None
    assert not job.was_engaged


@pytest.mark.parametrize("sight", ["engaged", "blind", "away", "refused"])
def test_only_an_unbroken_quiet_counts(stage: Stage, sight: str) -> None:
    stage.doubted()
    assert looks(stage, "quiet", sight).quiet_s is None


def test_an_extension_seen_in_use_is_remembered(stage: Stage) -> None:
    stage.doubted()
    assert looks(stage, "engaged", "quiet").was_engaged


def test_the_next_doubt_of_a_job_begins_anew(stage: Stage) -> None:
    job_id, _ = stage.doubted(doubt=Doubt.SAID_FAILED)
    looks(stage, "engaged", "quiet")
    stage.hopper.park(job_id, "n1", delay_s=0)
    stage.release()
    stage.go(job_id, "n2")
    stage.hopper.doubt(job_id, "n2", Doubt.LOST_REPLY, errno="no_reply", error="")

    job = only(stage.look())

    assert (job.nonce, job.doubt, job.was_engaged, job.quiet_s) == ("n2", Doubt.LOST_REPLY, False, None)


# --- burying a dead process --------------------------------------------------------------------------------


def claim_of(stage: Stage, extid: str, incarnation: str) -> str:
    job_id = stage.put(extid)
    assert stage.release() == [job_id]
    assert isinstance(stage.hopper.claim(job_id, extid, slot_wait_s=0, incarnation=incarnation), Go)
    return job_id


def test_the_claims_of_a_dead_process_are_in_doubt_at_once_and_no_others(stage: Stage) -> None:
    dead = [claim_of(stage, extid, "w-1") for extid in ("1001", "1002")]
    alive = claim_of(stage, "1003", "w-2")
    ended = claim_of(stage, "1004", "w-1")
    claim = Go("hq", "1004", "41000", "no", 1, 0.0, "", 0)
    assert isinstance(stage.hopper.finish(ended, "1004", JobState.PLACED, claim, callid="1.1"), Finished)

    assert stage.hopper.bury("w-1", errno="worker_lost", error="the worker died") == 2

    assert {job.id for job in stage.look().jobs} == set(dead)
    assert (stage.state(alive), stage.is_in_doubt(alive)) == ("claimed", False)
    assert stage.state(ended) == "placed"
    before = stage.snapshot()
    assert stage.hopper.bury("w-1", errno="worker_lost", error="again") == 0
    assert stage.snapshot() == before


def test_what_a_dead_process_had_put_in_doubt_itself_keeps_its_reason(stage: Stage) -> None:
    job_id = claim_of(stage, "1001", "w-1")
    stage.hopper.doubt(job_id, "1001", Doubt.SAID_FAILED, errno="30001", error="Failed")

    assert stage.hopper.bury("w-1", errno="worker_lost", error="the worker died") == 0
    assert only(stage.look()).errno == "30001"


def test_a_process_without_claims_is_buried_in_peace(stage: Stage) -> None:
    claim_of(stage, "1001", "")
    assert stage.hopper.bury("w-9", errno="worker_lost", error="") == 0
