"""From facts to obstacles: each thing that holds a job back by itself, and which comes first of several."""

from dataclasses import replace
from itertools import pairwise

import pytest

from producers.facts import Facts
from producers.obstacles import Obstacle, obstacles, place_in_lane
from worker.jobs import Doubt, JobState

NOW = 1_795_424_400.0  # 2026-11-23T09:00:00Z
READY = Facts(
    state="waiting",
    now=NOW,
    pbx="hq",
    extid="1001",
    position=0,
    lane_length=1,
    known=True,
    most_lines=8,
    logged_in=True,
    workers=1,
    slots=16,
)
RELEASED = replace(READY, state="released", released_at=NOW - 4, position=-1, released=1)
CLAIMED = replace(READY, state="claimed", claimed_at=NOW - 4, position=-1)
OPEN = {
    "breaker": "open",
    "barred_until": NOW + 42,
    "barred_since": NOW - 60,
    "barred_reason": "no route",
    "barred_by": "down",
}
LOCKED = OPEN | {"barred_by": "login"}
TAKEN = {"lease_until": NOW + 12.4, "leased_to": "J"}


def only(facts: Facts, **asked: object) -> Obstacle:
    (obstacle,) = obstacles(facts, **asked)  # type: ignore[arg-type]
    return obstacle


def kinds(facts: Facts, **asked: object) -> list[str]:
    return [one.kind for one in obstacles(facts, **asked)]  # type: ignore[arg-type]


def test_nothing_holds_back_a_job_whose_turn_it_is() -> None:
    assert obstacles(READY) == []


def test_calls_that_the_workers_hold_back_show_why_and_what_to_do() -> None:
    held = only(replace(READY, held_why="Redis may throw jobs away (maxmemory-policy is x); set it to noeviction"))
    assert (held.kind, held.needs_person, held.advice) == ("held", True, "set it to noeviction")
    assert held.sentence == "no call begins: Redis may throw jobs away (maxmemory-policy is x)"


@pytest.mark.parametrize(
    ("refusal", "kind", "sentence"),
    [
        ("OOM", "redis_full", "Redis is full: it takes no jobs, and no call begins"),
        ("MISCONF", "redis_refuses", "Redis refuses to write (MISCONF): it takes no jobs, and no call begins"),
        ("READONLY", "redis_refuses", "Redis refuses to write (READONLY): it takes no jobs, and no call begins"),
    ],
)
def test_a_redis_that_takes_nothing_in_holds_every_job(refusal: str, kind: str, sentence: str) -> None:
    held = only(replace(READY, refusal=refusal))
    assert (held.kind, held.sentence, held.needs_person) == (kind, sentence, True)
    assert held.advice


@pytest.mark.parametrize("state", [state for state in JobState if state.is_final])
def test_a_job_that_ended_is_held_by_nothing(state: JobState) -> None:
    assert obstacles(replace(READY, state=str(state), all_paused=True, workers=0)) == []


def test_a_damaged_one_is_held_by_nothing() -> None:
    assert obstacles(Facts(state="damaged", damage="extid is missing")) == []


# --- what a person has to end


@pytest.mark.parametrize(
    ("facts", "kind", "said", "advice"),
    [
        (
            replace(READY, all_paused=True),
            "everything_paused",
            "everything is paused",
            "`outdial resume --all` lifts that",
        ),
        (replace(READY, paused=True), "pbx_paused", "PBX hq is paused", "`outdial resume hq` lifts that"),
        (replace(READY, workers=0), "no_worker", "no worker is running", "start one by `outdial worker`"),
        (
            replace(READY, known=False, most_lines=0),
            "pbx_unknown",
            "no worker has ever known PBX hq",
            "give the workers settings that have [pbx.hq], then `outdial reload`",
        ),
    ],
)
def test_what_only_a_person_ends(facts: Facts, kind: str, said: str, advice: str) -> None:
    assert only(facts) == Obstacle(kind, said, advice, needs_person=True)


def test_a_pbx_that_left_the_settings() -> None:
    obstacle = only(READY, in_settings=False)
    assert (obstacle.kind, obstacle.advice) == ("pbx_not_in_settings", "add [pbx.hq] or cancel the job")


def test_without_any_worker_nobody_could_know_the_pbx() -> None:
    assert kinds(replace(READY, workers=0, known=False)) == ["no_worker"]


# --- what time ends


def test_a_job_whose_time_has_not_come() -> None:
    obstacle = only(replace(READY, due=NOW + 7200, position=-1))
    assert obstacle == Obstacle(
        "due", "its time is 2026-11-23T11:00:00Z, in 2 h", until=NOW + 7200, at_most=NOW + 7200
    )


def test_a_job_that_waits_for_another_attempt_says_what_the_last_came_to() -> None:
    facts = replace(READY, due=NOW + 6, position=-1, attempts=2, errno="20011", error="all trunks are busy")
    assert only(facts).sentence == (
        "its next attempt is at 2026-11-23T09:00:06Z, in 6 s; the last came to 20011: all trunks are busy"
    )


def test_an_open_breaker() -> None:
    obstacle = only(replace(READY, **OPEN))
    assert obstacle.sentence == (
        "PBX hq has taken no calls since 2026-11-23T08:59:00Z, next try in 42 s: no route"
    )
    assert (obstacle.until, obstacle.at_most) == (0, 0), "a call under way may be answered at any moment"
    assert "doctor" in obstacle.advice
    assert not obstacle.needs_person


def test_a_breaker_that_a_refused_login_opened() -> None:
    obstacle = only(replace(READY, **LOCKED))
    assert "username or password" in obstacle.advice
    assert obstacle.until == NOW + 42


def test_a_half_open_breaker_promises_nothing() -> None:
    obstacle = only(replace(READY, **OPEN | {"breaker": "half-open", "barred_until": NOW + 3}))
    assert "the next one is a trial: no route" in obstacle.sentence
    assert (obstacle.until, obstacle.at_most) == (0, 0)


def test_a_login_under_way() -> None:
    assert only(replace(READY, logged_in=False, logging_in=True)).kind == "login"
    assert obstacles(replace(READY, logging_in=True)) == [], "the old token still serves"
    assert obstacles(replace(READY, logged_in=False)) == [], "the next call logs in itself"


@pytest.mark.parametrize(("due_s", "order"), [(6, ["breaker", "due"]), (600, ["due", "breaker"])])
def test_of_two_times_the_later_comes_first(due_s: float, order: list[str]) -> None:
    assert kinds(replace(READY, **OPEN, due=NOW + due_s)) == order


# --- room


@pytest.mark.parametrize(
    ("state", "said", "sure"),
    [
        ("placed", "extension 1001 is in a call, that of job J, and rests after it: for 12 s more", True),
        ("claimed", "extension 1001 is taken for job J, which is claimed, for 12 s at most", False),
        ("released", "extension 1001 is taken for job J, which is released, for 12 s at most", False),
        ("doubted", "extension 1001 may be in a call, that of job J, for 12 s at most", False),
        ("unknown", "extension 1001 may be in a call, that of job J, for 12 s at most", False),
    ],
)
def test_an_extension_that_another_job_has(state: str, said: str, sure: bool) -> None:
    obstacle = only(replace(READY, **TAKEN, leased_state=state))
    assert (obstacle.kind, obstacle.sentence, obstacle.job_id) == ("extension", said, "J")
    assert (obstacle.until, obstacle.at_most) == (NOW + 12.4 if sure else 0, NOW + 12.4)
    assert obstacle.advice == ("say what became of that one: `outdial resolve J …`" if state == "unknown" else "")


def test_an_extension_that_rests() -> None:
    obstacle = only(replace(READY, lease_until=NOW + 2))
    assert (obstacle.sentence, obstacle.until) == ("extension 1001 rests for 2 s more", NOW + 2)


def test_a_lease_that_has_lapsed_is_nothing() -> None:
    assert obstacles(replace(READY, lease_until=NOW)) == []


def test_a_place_behind_others() -> None:
    obstacle = only(replace(READY, position=2, lane_length=7, ahead="J"))
    assert obstacle.sentence == "it is 3rd of 7 in the lane of extension 1001, behind job J"
    assert (obstacle.job_id, obstacle.until) == ("J", 0)


@pytest.mark.parametrize(
    ("position", "place"),
    [
        (0, "1st"),
        (1, "2nd"),
        (2, "3rd"),
        (3, "4th"),
        (10, "11th"),
        (20, "21st"),
        (111, "112th"),
        (1233, "1,234th"),
    ],
)
def test_places_are_counted_as_people_count(position: int, place: str) -> None:
    assert place_in_lane(replace(READY, position=position, lane_length=9999)).startswith(f"{place} of 9,999")


def test_all_lines_taken_by_placed_calls_promise_a_time() -> None:
    obstacle = only(replace(READY, lines=8, lines_placed=8, line_free_at=NOW + 30))
    assert obstacle.sentence == "all 8 lines of PBX hq are taken; the next is free in 30 s"
    assert obstacle.until == NOW + 30


def test_a_line_of_a_call_that_may_fail_promises_none() -> None:
    obstacle = only(replace(READY, lines=8, lines_placed=7, line_free_at=NOW + 30))
    assert obstacle.sentence.endswith("the next is free in 30 s at most")
    assert (obstacle.until, obstacle.at_most) == (0, NOW + 30)


def test_workers_that_can_take_no_more() -> None:
    assert only(replace(READY, starved=True)).sentence == (
        "the 16 slots of the workers have as many jobs as they can take"
    )


def test_a_permit() -> None:
    obstacle = only(replace(READY, permit_in_s=3.5))
    assert (obstacle.kind, obstacle.until) == ("permit", NOW + 3.5)
    assert obstacle.sentence == "PBX hq takes its next call in 4 s"
    behind = replace(READY, permit_in_s=3.5, lanes_ahead=6)
    assert [one.sentence for one in obstacles(behind)] == [
        "the calls before it take PBX hq 4 s at least",
        "6 extensions come before it in the round of PBX hq",
    ]


def test_one_extension_before_it() -> None:
    assert only(replace(READY, lanes_ahead=1)).sentence == "1 extension comes before it in the round of PBX hq"


def test_what_is_over_by_the_time_of_the_job_does_not_hold_it() -> None:
    facts = replace(READY, **TAKEN, position=-1, permit_in_s=3, starved=True, lines=8, line_free_at=NOW + 30)
    assert kinds(replace(facts, due=NOW + 60)) == ["due"]
    assert kinds(replace(facts, due=NOW + 10)) == ["due", "extension", "lines"]


# --- a call that has begun


def test_a_released_job_waits_for_a_slot() -> None:
    assert only(RELEASED) == Obstacle("slot", "handed to a worker 4 s ago, it waits for a free slot")


def test_a_slot_that_sleeps_until_the_next_attempt() -> None:
    obstacle = only(replace(RELEASED, released_at=NOW + 2, attempts=1, errno="10036", error="busy"))
    assert obstacle.sentence == "a worker tries again in 2 s; the last attempt came to 10036: busy"
    assert obstacle.until == NOW + 2


def test_a_released_job_is_not_in_its_own_way() -> None:
    assert kinds(replace(RELEASED, lease_until=NOW + 60, leased_to="itself", leased_state="released")) == ["slot"]


def test_a_released_job_goes_back_where_nobody_may_dial() -> None:
    facts = replace(RELEASED, paused=True, permit_in_s=1, **OPEN)
    assert kinds(facts) == ["pbx_paused", "slot", "breaker", "permit"]


def test_a_call_being_placed() -> None:
    assert only(CLAIMED).sentence == "nothing: a worker has been placing the call since 2026-11-23T08:59:56Z"


@pytest.mark.parametrize("doubt", list(Doubt))
def test_a_job_in_doubt_says_why_and_until_when(doubt: Doubt) -> None:
    obstacle = only(replace(CLAIMED, doubt=str(doubt), doubted_at=NOW - 10), looks_at_most_s=60)
    assert obstacle.kind == "doubt"
    assert obstacle.sentence.startswith("nobody knows whether the phone rang, for the ")
    assert obstacle.sentence.endswith("PBX hq is looked at until 2026-11-23T09:00:50Z at most, for 50 s more")
    assert (obstacle.until, obstacle.at_most) == (0, NOW + 50)


def test_a_doubt_that_nobody_looks_after_names_the_missing_worker_first() -> None:
    facts = replace(CLAIMED, doubt="lost_reply", doubted_at=NOW - 100, workers=0)
    first, second = obstacles(facts)
    assert first.kind == "no_worker"
    assert second.sentence.endswith("which should have been over at 2026-11-23T08:59:20Z")


# --- several


def test_a_pause_is_named_before_anything_that_passes_by_itself() -> None:
    """And all the rest after it, in the order in which a person should look."""
    everything = replace(
        READY,
        **OPEN,
        **TAKEN,
        all_paused=True,
        paused=True,
        workers=0,
        position=3,
        ahead="K",
        leased_state="placed",
        lines=8,
        starved=True,
        permit_in_s=4,
        lanes_ahead=2,
        logging_in=True,
        logged_in=False,
    )
    order = ["everything_paused", "pbx_paused", "no_worker", "breaker", "login", "extension", "lane", "lines"]
    assert kinds(everything) == [*order, "workers_full", "permit", "round"]


def test_what_needs_a_person_is_never_behind_what_does_not() -> None:
    found = obstacles(replace(READY, **OPEN, due=NOW + 9, workers=0, paused=True), in_settings=False)
    assert all(first.needs_person or not second.needs_person for first, second in pairwise(found))
