"""Results on their way to endpoints: announced once, handed out in turns, tried again, given up."""

import json

import pytest

from tests.integration.hopper.post import DELIVERED, FAILED, KEEPING, PATIENCE, Post
from tests.integration.hopper.stage import Stage, eventually
from worker.hopper import Ending, Keeping, Patience
from worker.jobs import DialResult, JobState


@pytest.fixture
def post(stage: Stage) -> Post:
    return Post(stage)


# --- announcing ------------------------------------------------------------------------------------------------


def test_an_end_is_announced_once_however_often_it_is_brought(post: Post) -> None:
    job_id = post.ended()

    assert post.announce(job_id, "crm", "bi") == 2
    assert post.announce(job_id, "crm", "bi") == 0
    assert (post.view("crm").waiting, post.view("bi").waiting) == (1, 1)


def test_an_end_that_was_told_is_not_announced_anew(post: Post) -> None:
    job_id = post.announced()
    post.end(post.attempt(), DELIVERED)

    assert post.announce(job_id, "crm") == 0
    assert post.view().waiting == 0


def test_a_job_that_ends_again_is_told_again_with_a_higher_seq(post: Post) -> None:
    job_id, _ = post.stage.unknown()
    post.announce(job_id, "crm")
    first = post.attempt()
    post.end(first, DELIVERED)
    post.hopper.resolve(job_id, "placed", callid="1.7", why="seen")
    post.announce(job_id, "crm")
    second = post.attempt()

    told = [DialResult.model_validate_json(attempt.result) for attempt in (first, second)]
    assert [(result.state, result.callid) for result in told] == [("unknown", None), ("placed", "1.7")]
    assert (first.seq, second.seq) == (1, 2)
    assert first.id != second.id


def test_an_end_that_is_no_longer_the_last_does_not_take_the_place_of_the_last(post: Post) -> None:
    job_id, _ = post.stage.unknown()
    [old] = post.hopper.results([job_id])
    post.hopper.resolve(job_id, "failed", why="asked")

    assert post.hopper.announce([(old, ["crm"])], origins={}, sources=[], keeping=KEEPING) == 0
    assert post.announce(job_id, "crm") == 1
    assert post.attempt().seq == 1, "the first that anybody is told of"


@pytest.mark.parametrize(
    ("origin", "heard_by"),
    [
        ("api:key1", {"all", "api", "key1"}),
        ("api:key2", {"all", "api"}),
        ("hook:pd", {"all", "source:pd"}),
        ("hook:other", {"all"}),
        (None, {"all", "none"}),
    ],
)
def test_endpoints_hear_of_the_origins_they_want_and_sources_of_their_own(
    post: Post, origin: str | None, heard_by: set[str]
) -> None:
    job_id = post.ended()
    if origin:
        post.hopper.client.hset(post.hopper.keys.job(job_id), "origin", origin)
    wanted = {"api": ["api:*"], "key1": ["hook:x", "api:key1"], "none": ["none"]}

    post.announce(job_id, "all", "api", "key1", "none", sources=["pd", "x"], **wanted)

    names = ("all", "api", "key1", "none", "source:pd", "source:x")
    assert {name for name in names if post.view(name).waiting} == heard_by
    assert set(post.hopper.endpoint_names()) == heard_by


# --- handing out -----------------------------------------------------------------------------------------------


def test_endpoints_take_turns_and_none_has_more_in_flight_than_its_limit(post: Post) -> None:
    for n in range(6):
        post.announced("one", "two", extid=str(1000 + n))

    handed_out = [name.split("_", 2)[2] for name in post.dispatch(limit=2)]

    assert handed_out == ["one", "two", "one", "two"]
    assert post.dispatch(limit=2) == []
    assert post.view("one").in_flight == 2


def test_no_more_is_handed_out_than_there_are_slots_and_the_courier_is_woken_for_the_rest(post: Post) -> None:
    for n in range(6):
        post.announced(extid=str(1000 + n))
    post.dispatch(slots=2, taken=False)
    post.dispatch(slots=2, taken=False)
    assert post.hopper.client.llen(post.queue) == 2
    post.hopper.client.delete(post.hopper.keys.courier_wake)

    message = json.loads(post.hopper.client.rpop(post.queue))
    post.take(message["id"])

    assert post.hopper.client.llen(post.hopper.keys.courier_wake) == 1
    assert len(post.dispatch(slots=2)) == 1


def test_a_delivery_is_one_holders_at_a_time_and_its_repeat_counts_once(post: Post) -> None:
    post.announced()
    [delivery_id] = post.dispatch()

    first = post.take(delivery_id, "n1")

    assert first == post.take(delivery_id, "n1") or first is not None
    assert post.take(delivery_id, "n2") is None
    assert post.take(delivery_id, "n1").attempts == 1


def test_a_message_of_yesterday_begins_nothing(post: Post) -> None:
    post.announced()
    attempt = post.attempt()
    post.end(attempt, FAILED)

    assert post.take(attempt.id) is None, "it waits for its next attempt"
    post.make_due()
    post.end(post.attempt(), DELIVERED)
    assert post.take(attempt.id) is None, "it has arrived"
    assert post.take("not-a-delivery") is None


# --- what an attempt came to -----------------------------------------------------------------------------------


def test_what_arrived_leaves_nothing_but_the_time(post: Post) -> None:
    post.announced()
    attempt = post.attempt()

    assert post.end(attempt, DELIVERED) == ("delivered", False)
    assert post.end(attempt, DELIVERED) == ("stale", False)

    view = post.view()
    assert (view.state, view.waiting, view.in_flight, view.dead) == ("ok", 0, 0, 0)
    assert view.last_success > 0
    assert not post.hopper.client.exists(post.hopper.keys.delivery(attempt.id))


def test_what_failed_waits_with_its_reason_and_the_endpoint_is_failing(post: Post) -> None:
    post.announced()
    post.end(post.attempt(), FAILED)

    view = post.view()
    assert (view.state, view.waiting, view.failures, view.last_error) == ("failing", 1, 1, "HTTP 500")
    assert post.hopper.now() + 50 < view.next_at < post.hopper.now() + 61
    assert post.dispatch() == []


def test_a_holder_who_comes_late_cannot_fail_what_another_has_but_can_say_that_it_arrived(post: Post) -> None:
    post.announced()
    [delivery_id] = post.dispatch()
    late = post.take(delivery_id, lease_s=0.001)
    assert late is not None
    eventually(lambda: post.forget_rest() or post.dispatch())
    holder = post.take(delivery_id)
    assert holder is not None

    assert post.end(late, FAILED) == ("stale", False)
    assert post.view().failures == 0
    assert post.end(late, DELIVERED) == ("delivered", False)
    assert post.end(holder, FAILED) == ("stale", False)
    assert (post.view().waiting, post.view().failures) == (0, 0)


def test_a_failing_endpoint_gets_one_attempt_at_a_time_and_rests_between_them(post: Post) -> None:
    for n in range(5):
        post.announced(extid=str(1000 + n))
    for delivery_id in post.dispatch(limit=3):
        post.end(post.take(delivery_id), FAILED)

    assert post.dispatch() == []
    assert 0 < post.view().rest_until - post.hopper.now() <= 1
    post.forget_rest()
    assert len(post.dispatch()) == 1
    post.forget_rest()
    assert post.dispatch() == []


def test_endpoints_that_hang_leave_half_of_the_slots_to_others(post: Post) -> None:
    bad = [f"bad{n}" for n in range(4)]
    for n in range(4):
        post.announced(*bad, extid=str(1000 + n))
    for _ in range(3):
        for delivery_id in post.dispatch(slots=100, limit=1):
            post.end(post.take(delivery_id), FAILED)
    for name in bad:
        post.forget_rest(name)
    post.announced("good")

    handed_out = [name.split("_", 2)[2] for name in post.dispatch(slots=4)]

    assert sorted(handed_out) == ["bad0", "bad1", "good"]


def test_after_its_first_success_what_waits_is_brought_forward_step_by_step(post: Post) -> None:
    for n in range(5):
        post.announced(extid=str(1000 + n))
    for delivery_id in post.dispatch(limit=5):
        post.end(post.take(delivery_id), FAILED)
    assert post.dispatch() == []
    patient = Patience(rest_cap_s=60, disable_after_s=3600, bring=2)
    post.make_due()
    [first] = post.dispatch()
    due = post.hopper.keys.due("crm")
    later = post.hopper.now() + 9999
    for delivery_id in post.hopper.client.zrange(due, 0, -1):
        post.hopper.client.zadd(due, {delivery_id: later})

    post.end(post.take(first), DELIVERED, patience=patient)

    brought = post.dispatch()
    assert len(brought) == 2
    post.end(post.take(brought[0]), DELIVERED, patience=patient)
    assert len(post.dispatch()) == 2
    assert post.view().waiting == 0


def test_one_that_keeps_failing_is_not_brought_forward_for_ever(post: Post) -> None:
    for n in range(2):
        post.announced(extid=str(1000 + n))
    poison, good = post.dispatch()
    post.end(post.take(poison), FAILED)
    post.end(post.take(good), DELIVERED)
    assert post.dispatch() == [poison], "once, because the endpoint seems to be well again"
    post.end(post.take(poison), FAILED)
    post.announced(extid="1009")
    post.end(post.attempt(), DELIVERED)
    assert post.dispatch() == [poison]
    post.end(post.take(poison), DELIVERED)
    post.announced(extid="1010")
    post.end(post.attempt(), DELIVERED)
    assert post.hopper.client.hget(post.hopper.keys.target("crm"), "to_bring") is None


def test_a_rest_that_an_endpoint_asked_for_holds_all_its_deliveries(post: Post) -> None:
    for n in range(2):
        post.announced(extid=str(1000 + n))
    first, other = post.dispatch()

    post.end(post.take(first), Ending("again", delay_s=0, rest_s=30, error="HTTP 429", blames=True))
    post.end(post.take(other), DELIVERED)
    post.announced(extid="1009")

    assert post.dispatch() == []
    assert post.sleep_s is not None
    assert 20 < post.sleep_s <= 30


def test_a_failing_endpoint_is_probed_before_anything_is_due_which_costs_no_attempt(post: Post) -> None:
    quick = Patience(rest_cap_s=60, disable_after_s=3600, probe_every_s=0.01)
    post.announced()
    post.end(post.attempt(), FAILED, patience=quick)
    due = post.view().next_at

    for _ in range(2):
        [delivery_id] = eventually(post.dispatch)
        probe = post.take(delivery_id)
        assert probe is not None
        assert probe.attempts == 1
        post.end(probe, Ending("again", delay_s=9999, error="HTTP 500", blames=True), patience=quick)
        assert post.view().next_at == due, "its own time stays"
        post.forget_rest()

    [delivery_id] = eventually(post.dispatch)
    post.end(post.take(delivery_id), DELIVERED)
    assert post.view().state == "ok"


def test_the_longer_an_endpoint_fails_the_further_its_probes_are_apart(post: Post) -> None:
    home = post.hopper.keys.target("crm")
    post.announced()
    for failing_s, apart_s in ((0, 15), (3000, 300), (90_000, 3600)):
        post.end(post.attempt(), FAILED)
        post.hopper.client.hset(home, "failing_since", post.hopper.now() - failing_s)
        post.make_due()
        post.end(post.attempt(), FAILED)
        probe_in_s = float(post.hopper.client.hget(home, "probe_at")) - post.hopper.now()
        assert apart_s - 5 < probe_in_s < apart_s + 5
        post.make_due()


# --- dead letters ----------------------------------------------------------------------------------------------


def test_a_dead_letter_is_listed_and_can_be_replayed(post: Post) -> None:
    job_id = post.announced()
    post.end(post.attempt(), Ending("dead", error="HTTP 500 for 3 days", blames=True))

    [letter] = post.hopper.dead_letters("crm")
    assert (letter.job_id, letter.seq, letter.attempts, letter.error) == (job_id, 1, 1, "HTTP 500 for 3 days")
    assert post.hopper.replay([letter.id, letter.id, "nonsense"]) == ["replayed", "not_dead", "gone"]
    again = post.attempt()
    assert (again.id, again.attempts) == (letter.id, 1)
    assert again.age_s < 10
    post.end(again, DELIVERED)
    assert post.hopper.replay([letter.id]) == ["gone"]


def test_of_dead_letters_the_newest_are_kept_and_the_others_counted(post: Post) -> None:
    few = Keeping(kept_s=600, most_dead=2)
    ids = []
    for n in range(3):
        post.announced(extid=str(1000 + n))
        attempt = post.attempt()
        ids.append(attempt.id)
        post.end(attempt, Ending("dead", error="x"), keeping=few)

    assert post.dead() == ids[1:]
    assert post.view().dropped == 1
    assert post.hopper.replay(ids[:1]) == ["gone"]
    assert not post.hopper.client.exists(post.hopper.keys.delivery(ids[0]))


def test_an_endpoint_that_is_gone_is_disabled_and_all_it_had_becomes_dead_letters(post: Post) -> None:
    for n in range(3):
        post.announced(extid=str(1000 + n))
    first, *_ = post.dispatch(limit=1)
    gone = Ending("dead", error="HTTP 410", blames=True, disable="it says that it is gone (HTTP 410)")

    assert post.end(post.take(first), gone) == ("dead", True)
    assert post.dispatch() == []
    assert (post.view().state, post.view().waiting, len(post.dead())) == ("disabled", 0, 3)
    late = post.announced(extid="1009")
    assert post.dead()[-1].startswith(late)
    assert post.hopper.replay(post.dead()) == ["disabled"] * 4

    assert post.hopper.enable_endpoint("crm")
    assert not post.hopper.enable_endpoint("crm")
    assert set(post.hopper.replay(post.dead())) == {"replayed"}
    assert len(post.dispatch()) == 4


def test_an_endpoint_without_a_success_for_days_is_disabled(post: Post) -> None:
    impatient = Patience(rest_cap_s=60, disable_after_s=600)
    post.announced()
    for _ in range(3):
        post.make_due()
        assert post.end(post.attempt(), FAILED, patience=impatient) == ("again", False)
    post.hopper.client.hset(post.hopper.keys.target("crm"), "failing_since", post.hopper.now() - 601)
    post.make_due()

    assert post.end(post.attempt(), FAILED, patience=impatient) == ("dead", True)
    assert post.view().disabled_why == "it failed for too long: HTTP 500"


def test_one_success_keeps_an_endpoint_from_being_disabled(post: Post) -> None:
    impatient = Patience(rest_cap_s=60, disable_after_s=0.001)
    for n in range(2):
        post.announced(extid=str(1000 + n))
    for ending in (FAILED, FAILED, DELIVERED, FAILED):
        post.make_due()
        delivery_id = post.dispatch(limit=1)[0]
        assert post.end(post.take(delivery_id), ending, patience=impatient)[1] is False


def test_an_operator_disables_and_enables_an_endpoint(post: Post) -> None:
    post.announced()
    assert post.hopper.disable_endpoint("crm", why="maintenance")
    assert not post.hopper.disable_endpoint("crm", why="other")

    assert post.dispatch() == []
    assert (post.view().state, post.view().disabled_why, len(post.dead())) == ("disabled", "maintenance", 1)


def test_what_was_never_begun_goes_back_at_once(post: Post) -> None:
    post.announced()
    [delivery_id] = post.dispatch()

    assert post.hopper.attempted(delivery_id, "", Ending("back"), patience=PATIENCE, keeping=KEEPING)[0] == "back"
    assert post.dispatch() == [delivery_id]
    taken = post.take(delivery_id)
    assert taken is not None
    assert taken.attempts == 1
    answer = post.hopper.attempted(delivery_id, "", Ending("back"), patience=PATIENCE, keeping=KEEPING)
    assert answer == ("stale", False)


def test_where_there_was_nothing_to_tell_nothing_stays_and_nobody_is_praised(post: Post) -> None:
    post.announced()
    post.end(post.attempt(), Ending("nothing"))

    assert (post.view().waiting, post.view().in_flight, post.view().last_success) == (0, 0, 0)


# --- damage ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["due", "flying", "dead", "lapsed"])
@pytest.mark.parametrize("spoiled", ["gone", "a string", "no result", "[]", '{"a"'])
def test_a_spoiled_delivery_holds_nobody_up_and_is_shown(post: Post, when: str, spoiled: str) -> None:
    post.announced()
    delivery_id = post.hopper.client.zrange(post.hopper.keys.due("crm"), 0, 0)[0]
    if when != "due":
        post.dispatch(lease_s=0.001 if when == "lapsed" else 60)
    if when == "dead":
        post.end(post.take(delivery_id), Ending("dead", error="x"))
    client, home = post.hopper.client, post.hopper.keys.delivery(delivery_id)
    if spoiled in ("gone", "a string"):
        client.delete(home)
    if spoiled == "a string":
        client.set(home, "x")
    elif spoiled == "no result":
        client.hdel(home, "result")
    elif spoiled != "gone":
        client.hset(home, "result", spoiled)

    def is_left_alone() -> bool:
        post.forget_rest()
        post.dispatch()
        post.take(delivery_id)
        post.hopper.replay([delivery_id])
        return post.view().waiting == post.view().in_flight == post.view().dead == 0

    list(post.hopper.dead_letters("crm"))
    assert eventually(is_left_alone)
    assert {note.what for note in post.hopper.set_aside_list()} == {"delivery"}
    post.announced(extid="1009")
    post.end(post.attempt(), DELIVERED)


def test_an_end_whose_counter_was_spoiled_is_told_all_the_same(post: Post) -> None:
    job_id = post.stage.put()
    post.hopper.client.hset(post.hopper.keys.job(job_id), "ends", "?x")
    post.hopper.cancel(job_id)

    assert post.stage.state(job_id) == JobState.CANCELLED
    assert post.announce(job_id, "crm") == 1
    assert post.attempt().seq == 1


def test_a_place_taken_by_something_else_is_shown_and_the_other_endpoints_are_told(post: Post) -> None:
    job_id = post.ended()
    post.hopper.client.set(post.hopper.keys.delivery(f"{job_id}_1_crm"), "x", ex=60)

    post.announce(job_id, "crm", "bi")

    assert (post.view("crm").waiting, post.view("bi").waiting) == (0, 1)
    assert [note.what for note in post.hopper.set_aside_list()] == ["delivery"]
