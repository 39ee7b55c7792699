"""
Each step, and a process that dies right after it: what is left, and that somebody cleans up.

One test for each row of the table in `docs/adr/0007-steps-and-deaths.md`, at limits of a fraction of a second.
Nobody here goes on with what the dead had in hand: others find it in the hopper.
"""

from dataclasses import replace

import pytest

from tests.conftest import pbx_settings
from tests.integration.hopper.post import DELIVERED, FAILED, Post
from tests.integration.hopper.stage import API_KEY, MESSAGE, Stage, eventually
from worker.hopper import Go, JobFilter, Login, Once, Redial, Redialed, SettingsReport, Token
from worker.jobs import JobState


def comes_again(stage: Stage, job_id: str) -> bool:
    """Sweep and release as the living do; whether the job is handed out."""
    stage.sweep()
    return stage.release() == [job_id]


# --- producers -----------------------------------------------------------------------------------------------


def test_a_death_right_after_put_leaves_a_job_that_may_be_put_again(quick: Stage) -> None:
    job_id = quick.put(key="lead-7")

    assert quick.put(key="lead-7") == job_id
    assert quick.release() == [job_id]


def test_a_death_right_after_cancel_leaves_the_result_to_the_sweeper(quick: Stage) -> None:
    job_id = quick.put()
    quick.hopper.cancel(job_id)

    assert quick.sweep() == [job_id]


@pytest.mark.parametrize("verdict", ["placed", "failed"])
def test_a_death_right_after_resolve_leaves_the_result_to_the_sweeper(quick: Stage, verdict: str) -> None:
    job_id, _ = quick.unknown()
    quick.hopper.delivered(quick.hopper.results([job_id]))
    quick.hopper.resolve(job_id, verdict, callid="1.1", why="asked")

    assert quick.sweep() == [job_id]
    assert quick.hopper.resolve(job_id, verdict, callid="1.1", why="asked")[0] == "again"


def test_a_death_right_after_pause_leaves_a_pause_for_a_person_to_lift(quick: Stage) -> None:
    job_id = quick.put()
    quick.hopper.pause("hq")

    assert quick.release() == []
    assert quick.hopper.resume("hq")
    assert quick.release() == [job_id]


def test_a_death_right_after_pausing_an_extension_leaves_its_lane_to_a_person(quick: Stage) -> None:
    job_id = quick.put("1002")
    quick.hopper.pause("hq", "1002")

    assert comes_again(quick, job_id) is False
    assert [pause.extid for pause in quick.hopper.pauses()] == ["1002"]
    assert quick.hopper.resume("hq", "1002")
    assert quick.release() == [job_id]


def test_a_death_right_after_resume_leaves_the_jobs_to_the_pacer(quick: Stage) -> None:
    job_id = quick.put()
    quick.hopper.pause("hq")
    quick.release()
    quick.hopper.resume("hq")

    assert quick.hopper.client.llen(quick.hopper.keys.wake) == 1
    assert quick.release() == [job_id]


def test_a_death_right_after_an_overview_leaves_nothing(quick: Stage) -> None:
    quick.put()
    before = quick.snapshot()
    quick.hopper.overview(["hq"])

    assert quick.snapshot() == before


def test_a_death_right_after_why_leaves_nothing(quick: Stage) -> None:
    job_id = quick.put()
    before = quick.snapshot()
    quick.hopper.why(job_id)

    assert quick.snapshot() == before


# --- pacer and workers -----------------------------------------------------------------------------------------


def test_a_death_right_after_release_leaves_message_and_state_together(quick: Stage) -> None:
    job_id = quick.put()
    quick.hopper.release(quick.queue, MESSAGE, most=1, most_released=1, lookahead_s=0)

    assert quick.state(job_id) == "released"
    assert job_id in str(quick.hopper.client.rpop(quick.queue)), "another worker takes the message"
    quick.go(job_id, "n")


def test_a_death_with_the_message_in_hand_leaves_the_job_to_the_sweeper(quick: Stage) -> None:
    job_id = quick.put()
    assert quick.release() == [job_id]

    assert eventually(lambda: comes_again(quick, job_id))
    assert quick.go(job_id, "n").attempts == 1


def test_a_death_right_after_claim_leaves_a_doubt(quick: Stage) -> None:
    job_id, _ = quick.claimed()

    assert eventually(lambda: quick.sweep() == [] and quick.is_in_doubt(job_id))
    assert quick.release() == []
    assert [job.id for job in quick.look().jobs] == [job_id]


def test_a_death_right_after_confirm_leaves_a_doubt(quick: Stage) -> None:
    job_id, _ = quick.claimed()
    confirm = quick.hopper._scripts.run
    assert confirm("confirm", job_id, "n1") == 1

    assert eventually(lambda: quick.sweep() == [] and quick.is_in_doubt(job_id))
    assert confirm("confirm", job_id, "n1") == 0, "its holder must not ring any more"


def test_a_death_while_the_call_is_placed_leaves_a_doubt_as_soon_as_it_is_known(stage: Stage) -> None:
    job_id = stage.put()
    stage.release()
    assert isinstance(stage.hopper.claim(job_id, "n", slot_wait_s=0, incarnation="w-1"), Go)

    stage.hopper.bury("w-1", errno="worker_lost", error="the worker died")

    assert stage.is_in_doubt(job_id)


def test_a_death_right_after_bury_leaves_the_doubts_to_any_worker(stage: Stage) -> None:
    job_id = stage.put()
    stage.release()
    stage.hopper.claim(job_id, "n", slot_wait_s=0, incarnation="w-1")
    stage.hopper.bury("w-1", errno="worker_lost", error="the worker died")

    assert [job.id for job in stage.look().jobs] == [job_id]
    assert stage.hopper.bury("w-1", errno="worker_lost", error="the worker died") == 0


def test_a_death_right_after_finish_leaves_the_result_to_the_sweeper(quick: Stage) -> None:
    job_id, claim = quick.claimed()
    quick.finish(job_id, "n1", claim)

    assert quick.sweep() == [job_id]


def test_a_death_right_after_delivered_leaves_nothing(quick: Stage) -> None:
    job_id, claim = quick.claimed()
    result = quick.finish(job_id, "n1", claim)
    assert result is not None
    quick.hopper.delivered([result])

    assert quick.sweep() == []


def test_a_death_after_delivered_found_nothing_leaves_the_result_to_the_sweeper(quick: Stage) -> None:
    job_id, claim = quick.claimed()
    result = quick.finish(job_id, "n1", claim)
    assert result is not None
    assert quick.hopper.delivered([result], announced={job_id}).missing == (result,)

    assert quick.sweep() == [job_id]


def test_a_death_before_delivered_has_the_result_delivered_again(quick: Stage) -> None:
    job_id, claim = quick.claimed()
    quick.finish(job_id, "n1", claim)
    assert quick.sweep() == [job_id]  # this sweeper died with it in hand

    assert quick.sweep() == [job_id]


def test_a_death_right_after_park_leaves_the_job_to_the_pacer(quick: Stage) -> None:
    job_id, _ = quick.claimed()
    quick.hopper.park(job_id, "n1", delay_s=0.01)

    assert eventually(lambda: quick.release() == [job_id])


def test_a_death_right_after_park_in_the_slot_leaves_the_job_to_the_sweeper(quick: Stage) -> None:
    job_id, _ = quick.claimed()
    quick.hopper.park(job_id, "n1", delay_s=0.01, in_slot=True)

    assert eventually(lambda: comes_again(quick, job_id))


def test_a_death_right_after_hand_back_leaves_the_job_to_the_pacer(quick: Stage) -> None:
    job_id = quick.put()
    quick.release()
    quick.hopper.hand_back(job_id)

    assert quick.release() == [job_id]


# --- doubts and the breaker ------------------------------------------------------------------------------------


def test_a_death_right_after_doubt_leaves_the_looking_to_any_worker(quick: Stage) -> None:
    job_id, _ = quick.doubted()

    assert [job.id for job in quick.look().jobs] == [job_id]


def test_a_death_right_after_look_turn_leaves_the_turn_to_the_next(quick: Stage) -> None:
    job_id, _ = quick.doubted()
    quick.look(lease_s=0.05)

    assert [job.id for job in quick.look().jobs] == [job_id]


def test_a_death_between_two_jobs_of_a_look_leaves_the_others_to_the_next(quick: Stage) -> None:
    first, _ = quick.doubted("1001")
    second, _ = quick.doubted("1002", nonce="n2")
    turn = quick.look(lease_s=0.05)
    quick.carry_out(next(job for job in turn.jobs if job.id == first), JobState.UNKNOWN)

    assert [job.id for job in quick.look().jobs] == [second]
    assert quick.sweep() == [first]


def test_a_death_right_after_looked_leaves_the_next_look_to_any_worker(quick: Stage) -> None:
    job_id, _ = quick.doubted()
    quick.hopper.looked("hq", next_s=0.01, answered=True, still=[(quick.look().jobs[0], "quiet")])

    [job] = quick.look().jobs
    assert (job.id, job.quiet_s is None) == (job_id, False)


def test_a_death_right_after_unreachable_leaves_a_breaker_that_lets_a_probe_through(quick: Stage) -> None:
    job_id = quick.put()
    quick.unreachable(base_s=0.05)

    assert eventually(lambda: quick.release() == [job_id])
    quick.go(job_id, "n")


def test_a_death_of_the_probe_leaves_the_next_one_to_others(quick: Stage) -> None:
    quick.unreachable(base_s=0.01)
    probe, other = quick.put_each(["1001", "1002"])
    assert eventually(lambda: quick.release() == [probe])
    quick.go(probe, "n")

    assert eventually(lambda: comes_again(quick, other))
    quick.go(other, "n")


# --- housekeeping ----------------------------------------------------------------------------------------------


def test_a_death_right_after_sweep_leaves_the_rest_to_the_next(quick: Stage) -> None:
    first, second = quick.put_each(["1001", "1002"])
    for job_id in (first, second):
        quick.hopper.cancel(job_id)

    assert quick.sweep(most=1) == [first]
    assert quick.sweep() == [first, second]


def test_a_death_right_after_once_leaves_a_request_that_may_come_again(quick: Stage) -> None:
    request = Once("crm:1", "aa", kept_s=60)

    assert [quick.hopper.once(request), quick.hopper.once(request)] == ["first", "again"]
    assert quick.hopper.once(replace(request, mark="bb")) == "other"


def test_a_death_right_after_room_leaves_nothing(quick: Stage) -> None:
    before = quick.snapshot()
    quick.hopper.make_sure_of_room()
    assert quick.snapshot() == before


def test_a_death_right_after_find_leaves_nothing(quick: Stage) -> None:
    quick.put()
    before = quick.snapshot()
    quick.hopper.find(JobFilter(), most=10)
    assert quick.snapshot() == before


def test_a_death_right_after_index_metadata_leaves_an_index_that_may_be_asked_for_again(quick: Stage) -> None:
    earlier = quick.put(metadata={"lead": "1"})
    assert quick.hopper.index_metadata(["lead"]) == ["lead"]
    assert quick.hopper.index_metadata(["lead"]) == []
    later = quick.put(metadata={"lead": "1"})

    found = quick.hopper.find_each(JobFilter(metadata={"lead": "1"}))
    assert [result.job_id for result in found] == [later, earlier]


def test_a_death_right_after_redial_leaves_the_jobs_to_the_pacer(quick: Stage) -> None:
    job_id, _ = quick.unknown()
    request = [Redial(job_id, "hq")]
    [redialed] = quick.hopper.redial(request, mark="m1", even_if_rung=True)
    before = quick.snapshot()

    assert redialed == Redialed(job_id, "redialed", JobState.WAITING)
    [again] = quick.hopper.redial(request, mark="m1", even_if_rung=True)
    assert again == Redialed(job_id, "again", JobState.WAITING)
    assert quick.snapshot() == before
    assert quick.release() == [job_id]


def test_a_death_right_after_new_key_leaves_a_key_to_revoke(quick: Stage) -> None:
    quick.hopper.new_key(API_KEY, "d")

    assert [key.id for key in quick.hopper.api_keys()] == [API_KEY.id]
    assert quick.hopper.revoke_key(API_KEY.id) == "revoked"


def test_a_death_right_after_admit_leaves_a_quota_that_refills(quick: Stage) -> None:
    quick.hopper.new_key(replace(API_KEY, requests=100, window_s=1), "d")
    quick.hopper.admit([(API_KEY.id, "d")] * 100)

    def is_served() -> bool:
        [admission] = quick.hopper.admit([(API_KEY.id, "d")])
        return admission is not None and admission.retry_in_s == 0

    assert eventually(is_served)


def test_a_death_right_after_revoke_key_leaves_it_refused(quick: Stage) -> None:
    quick.hopper.new_key(API_KEY, "d")
    quick.hopper.revoke_key(API_KEY.id)

    assert quick.hopper.admit([(API_KEY.id, "d")]) == [None]


def test_a_death_right_after_heartbeat_leaves_slots_that_run_out(quick: Stage) -> None:
    quick.hopper.heartbeat("w", slots=16, ttl_s=0.02)

    assert eventually(lambda: quick.hopper.workers_alive() == {})


def test_a_death_right_after_set_clock_leaves_times_that_are_moved_once(quick: Stage) -> None:
    job_id, _ = quick.claimed()
    beat = quick.hopper.heartbeat("w", slots=16, ttl_s=20)
    quick.hopper.set_clock(beat.compared, 3600)
    before = quick.score("claimed", job_id)

    assert quick.hopper.set_clock(beat.compared, 3600) == (beat.compared + 1, 0)
    assert quick.score("claimed", job_id) == before


def test_a_death_right_after_register_leaves_limits_that_hold(quick: Stage) -> None:
    quick.hopper.register("hq", pbx_settings(max_open_calls=1))
    before = quick.snapshot()
    quick.hopper.register("hq", pbx_settings(max_open_calls=1))

    assert quick.snapshot() == before
    quick.put_each(["1001", "1002"])
    assert len(quick.release()) == 1


def test_a_death_right_after_withdraw_leaves_jobs_that_wait(quick: Stage) -> None:
    job_id = quick.put()
    assert quick.hopper.withdraw("hq")
    assert not quick.hopper.withdraw("hq")
    assert quick.release() == []
    assert not quick.hopper.why(job_id)["known"]

    quick.open_pbx()
    assert eventually(quick.release) == [job_id]


def test_a_death_right_after_ask_reload_leaves_a_request_that_is_followed(quick: Stage) -> None:
    report = SettingsReport("w", version="a", asked=0, read_at=0)
    assert quick.hopper.report_settings(report, ttl_s=5) == 0
    assert (quick.hopper.ask_reload(), quick.hopper.ask_reload()) == (1, 2)

    assert quick.hopper.report_settings(report, ttl_s=5) == quick.hopper.reloads_asked() == 2
    quick.hopper.leave_reports("w", ttl_s=5)


def test_a_death_right_after_report_settings_leaves_a_report_that_runs_out(quick: Stage) -> None:
    lasting = SettingsReport("w2", version="b", asked=1, read_at=2.5, needs_restart=("worker",), differs=("x",))
    quick.hopper.report_settings(SettingsReport("w1", version="a", asked=0, read_at=0), ttl_s=0.02)
    quick.hopper.report_settings(lasting, ttl_s=30)

    assert eventually(lambda: quick.hopper.settings_reports() == [lasting])


def test_a_death_right_after_login_turn_leaves_a_turn_that_ends(quick: Stage) -> None:
    quick.open_pbx("branch", logged_in=False)
    quick.hopper.login_turn("branch", refused=-1, nonce="dead", lease_s=0.05, spacing_s=0)

    def may_log_in() -> bool:
        turn = quick.hopper.login_turn("branch", refused=-1, nonce="next", lease_s=30, spacing_s=0)
        return isinstance(turn, Login)

    assert eventually(may_log_in)


def test_a_death_right_after_login_done_leaves_everybody_the_token(quick: Stage) -> None:
    quick.open_pbx("branch")

    turn = quick.hopper.login_turn("branch", refused=-1, nonce="next", lease_s=30, spacing_s=0)
    assert turn == Token("token-1", 2)


def test_a_death_right_after_set_aside_leaves_a_note(quick: Stage) -> None:
    quick.hopper.set_aside("message", "it is not JSON")

    assert [note.reason for note in quick.hopper.set_aside_list()] == ["it is not JSON"]


# --- results on their way to endpoints -------------------------------------------------------------------------


def test_a_death_right_after_announce_leaves_the_result_in_the_outbox_and_it_is_announced_once(
    quick: Stage,
) -> None:
    post = Post(quick)
    job_id = post.announced()

    assert quick.sweep() == [job_id]
    assert post.announce(job_id, "crm") == 0
    assert post.view().waiting == 1


def test_a_death_right_after_dispatch_leaves_message_and_state_together(quick: Stage) -> None:
    post = Post(quick)
    post.announced()
    post.dispatch(taken=False)

    assert quick.hopper.client.llen(post.queue) == 1
    assert post.view().in_flight == 1


def test_a_death_with_a_delivery_in_hand_leaves_it_due_when_its_lease_ends(quick: Stage) -> None:
    post = Post(quick)
    post.announced()
    assert post.dispatch(lease_s=0.02)

    assert eventually(post.dispatch)


def test_a_death_right_after_take_delivery_leaves_it_due_when_its_lease_ends(quick: Stage) -> None:
    post = Post(quick)
    post.announced()
    [delivery_id] = post.dispatch()
    post.take(delivery_id, lease_s=0.02)

    assert eventually(post.dispatch) == [delivery_id]
    again = post.take(delivery_id)
    assert again is not None
    assert again.attempts == 2


def test_a_death_right_after_attempted_leaves_what_it_came_to(quick: Stage) -> None:
    post = Post(quick)
    post.announced()
    post.end(post.attempt(), FAILED)
    post.make_due()

    attempt = post.attempt()
    post.end(attempt, DELIVERED)
    assert (post.view().waiting, post.view().in_flight) == (0, 0)


def test_a_death_right_after_replay_leaves_the_deliveries_to_any_courier(quick: Stage) -> None:
    post = Post(quick)
    post.announced()
    quick.hopper.disable_endpoint("crm", why="asked")
    post.dispatch()
    quick.hopper.enable_endpoint("crm")
    [letter] = post.dead()

    assert quick.hopper.replay([letter]) == ["replayed"]
    assert quick.hopper.replay([letter]) == ["not_dead"]
    assert post.dispatch() == [letter]


def test_a_death_right_after_enable_endpoint_leaves_it_to_any_courier(quick: Stage) -> None:
    post = Post(quick)
    quick.hopper.disable_endpoint("crm", why="asked")
    quick.hopper.enable_endpoint("crm")

    post.announced()
    assert len(post.dispatch()) == 1


def test_a_death_right_after_disable_endpoint_leaves_what_waits_to_any_courier(quick: Stage) -> None:
    post = Post(quick)
    post.announced()
    quick.hopper.disable_endpoint("crm", why="asked")

    assert post.dispatch() == []
    assert len(post.dead()) == 1
