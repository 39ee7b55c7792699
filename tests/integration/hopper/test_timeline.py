"""The timeline in each job's record: in order, bounded, and cheap."""

import pytest
import redis

from tests.integration.hopper.stage import Stage
from worker.hopper import Hopper, Moment, timeline_of
from worker.jobs import JobState

FIRST, LAST = 4, 16


def as_actor(stage: Stage, actor: str) -> Stage:
    """The same hopper as somebody else sees it."""
    hopper = Hopper(stage.hopper.client, namespace=stage.hopper.keys.namespace, retain_s=600, actor=actor)
    return Stage(hopper, queue=stage.queue)


def told(moments: list[Moment]) -> list[tuple[str, str]]:
    return [(moment.state, moment.reason) for moment in moments]


def go_round(stage: Stage, job_id: str, times: int) -> None:
    """Release and hand back: two lines each time, the second with the number of the round."""
    for number in range(times):
        assert stage.release() == [job_id]
        assert stage.hopper.hand_back(job_id, reason=str(number))


def test_the_moves_of_a_job_are_told_in_order_with_who_and_why(stage: Stage) -> None:
    desk, worker = as_actor(stage, "anna"), as_actor(stage, "worker-1@host")
    job_id = stage.put()
    worker.release()
    worker.go(job_id, "n1")
    worker.hopper.park(job_id, "n1", delay_s=0, errno="10008", error="busy")
    worker.release()
    claim = worker.go(job_id, "n2")
    worker.hopper.finish(job_id, "n2", JobState.UNKNOWN, claim, errno="no_reply", error="lost")
    desk.hopper.resolve(job_id, "failed", why="asked them")

    moments = stage.hopper.timeline(job_id)

    assert told(moments) == [
        ("released", ""),
        ("claimed", ""),
        ("waiting", "10008"),
        ("released", ""),
        ("claimed", ""),
        ("unknown", "no_reply"),
        ("resolved", "failed"),
        ("failed", "resolved"),
    ]
    assert [moment.who for moment in moments] == ["worker-1@host"] * 6 + ["anna"] * 2
    times = [moment.at for moment in moments]
    assert times == sorted(times)
    assert times[0] >= float(stage.hopper.record(job_id)["enqueued_at"]) - 0.001


def test_the_lives_of_several_jobs_come_at_once(stage: Stage) -> None:
    job_id, _ = stage.claimed()
    assert stage.hopper.timelines(["nobody", job_id]) == {"nobody": [], job_id: stage.hopper.timeline(job_id)}


@pytest.mark.parametrize("rounds", [0, 1, 2, 3, 9, 10, 11, 17, 18, 19, 40])
def test_of_a_long_life_the_beginning_and_the_end_are_kept_in_order(stage: Stage, rounds: int) -> None:
    job_id = stage.put()
    go_round(stage, job_id, rounds)
    every = [line for number in range(rounds) for line in (("released", ""), ("waiting", str(number)))]

    kept = every if len(every) <= FIRST + LAST else every[:FIRST] + every[-LAST:]
    assert told(stage.hopper.timeline(job_id)) == kept
    fields = [name for name in stage.hopper.record(job_id) if name.startswith("~")]
    assert len(fields) == len(kept)


def test_the_longest_timeline_leaves_the_record_in_its_compact_form(stage: Stage, client: "redis.Redis") -> None:
    # Redis holds a hash with longer values in a form that takes twice the memory.
    talkative = as_actor(stage, "worker-with-a-very-long-name@a-host-with-a-very-long-name.example.org")
    job_id = stage.put(outto="1" * 32, key="k" * 64, on_unknown="redial")
    home = stage.hopper.keys.job(job_id)
    for _ in range(15):
        assert talkative.release() == [job_id]
        assert talkative.hopper.hand_back(job_id, reason="a very long reason " * 9)

    lines = [client.hget(home, f"~{place}") for place in range(1, FIRST + LAST + 1)]
    assert max(len(line.encode()) for line in lines) == 64
    assert client.object("ENCODING", home) == "listpack"


def test_a_life_as_most_are_never_leaves_the_compact_form(stage: Stage) -> None:
    job_id, claim = stage.claimed(key="lead-7", metadata={"lead": "7"})
    stage.finish(job_id, "0123456789abcdef0123456789abcdef", claim)
    stage.hopper.park(job_id, "n1", delay_s=0, errno="10008", error="the extension is busy")
    stage.release()
    stage.finish(job_id, "n2", stage.go(job_id, "n2"))

    assert stage.hopper.client.object("ENCODING", stage.hopper.keys.job(job_id)) == "listpack"


@pytest.mark.parametrize("letter", ["é", "字", "🙂", "a"])
@pytest.mark.parametrize("shift", range(5))
def test_a_line_is_never_cut_within_a_letter(stage: Stage, letter: str, shift: int) -> None:
    actor = "a" * shift + letter * 30
    job_id = as_actor(stage, actor).put()
    as_actor(stage, actor).release()
    stage.hopper.hand_back(job_id, reason="b" * shift + letter * 60)

    released, waiting = stage.hopper.timeline(job_id)

    assert actor.startswith(released.who)
    assert len(released.who.encode()) >= 24 - 4
    assert ("b" * shift + letter * 60).startswith(waiting.reason)
    assert len(waiting.reason) >= 5


def test_bars_in_a_name_do_not_shift_the_parts_of_a_line(stage: Stage) -> None:
    job_id = stage.put()
    as_actor(stage, "a|b").release()
    stage.hopper.hand_back(job_id, reason="x|y")

    released, waiting = stage.hopper.timeline(job_id)
    assert (released.who, waiting.reason) == ("a/b", "x|y")


def test_a_job_that_only_waited_has_no_lines_and_one_that_never_was_none_either(stage: Stage) -> None:
    assert stage.hopper.timeline(stage.put()) == []
    assert stage.hopper.timeline("nobody") == []


def test_spoiled_lines_are_left_out() -> None:
    record = {"n": "x", "~1": "1.5|released|w|", "~2": "", "~3": "?", "~99999999": "2|x", "~x": "3|y"}
    assert timeline_of(record) == [Moment(1.5, "released", "w", "")]
