"""A cut of `make explore`: every order of steps in small worlds, and defects that it has to find."""

import pytest
import redis
from click.testing import CliRunner

from ops.explore.__main__ import command
from ops.explore.calls import Calls
from ops.explore.driver import STEPS, Driver, texts
from ops.explore.plans import PLANS
from ops.explore.search import Found, Search
from ops.explore.state import Rules
from ops.explore.values import Book, canonical, item, moved
from ops.explore.world import Plan, World
from tests.integration.explore.mutations import CALM, MUTATIONS, Mutation
from worker.hopper.connection import steps

# About half a minute for all worlds together; `make explore` goes a hundred times further.
MOST = 2500


def explored(client: "redis.Redis", plan: Plan, *, most: int, mutation: Mutation | None = None) -> Found:
    driver = Driver(client, texts([mutation.planted] if mutation else ()))
    try:
        return Search(driver, plan, most=most).run()
    finally:
        driver.close()


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_every_promise_holds_in_whatever_order_things_happen(own_server: "redis.Redis", plan: Plan) -> None:
    found = explored(own_server, plan, most=MOST)
    assert found.violation is None, str(found.violation)
    assert found.states >= MOST
    assert found.endings > 0


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_planted_defect_is_found(own_server: "redis.Redis", mutation: Mutation) -> None:
    found = explored(own_server, mutation.plan, most=mutation.most, mutation=mutation)
    assert found.violation is not None
    assert mutation.promise in found.violation.promise
    assert found.violation.path[0].startswith("a producer puts")


def test_the_path_to_a_violation_is_the_shortest(own_server: "redis.Redis") -> None:
    planted = next(one for one in MUTATIONS if "is not kept for delivery" in one.name)
    found = explored(own_server, CALM, most=planted.most, mutation=planted)
    assert found.violation is not None
    assert [label.partition(":")[0] for label in found.violation.path] == [
        "a producer puts A",
        "the pacer releases",
        "worker 1 takes the message of A",
        "worker 1 claims A",
        "worker 1 dials A",
        "worker 1 reports A",
    ]


def test_the_same_exploration_comes_to_the_same(own_server: "redis.Redis") -> None:
    one, other = (explored(own_server, CALM, most=300) for _ in range(2))
    assert (one.states, one.transitions, one.endings) == (other.states, other.transitions, other.endings)


def test_a_defect_that_is_out_of_date_is_reported() -> None:
    with pytest.raises(LookupError, match="no step holds"):
        texts([("claim", "a text that stands nowhere", "")])


def test_the_steps_are_those_of_the_product() -> None:
    assert texts() == {name: steps()[name][0] for name in STEPS}


def test_the_calls_are_those_that_the_hopper_sends() -> None:
    calls = Calls()
    assert calls.call("hand_back", "some-job", reason="stop") == (
        "hand_back",
        ("w",),
        ("explorer", "some-job", "0", "stop"),
    )


def test_time_moves_back_as_far_as_a_step_can_tell() -> None:
    held = canonical("w:exts:hq", ["1", "1800000015"])
    assert held == (("1", 15_000),)
    assert moved("w:exts:hq", held) == (("1", 5_000),)
    for _ in range(5):
        held = moved("w:exts:hq", held)
    assert held == (("1", -10_000),)
    assert item("w:exts:hq", held) == '["ZADD", "w:exts:hq", ["1799999990.000000", "1"]]'


def test_equal_contents_of_a_key_have_one_number() -> None:
    book = Book()
    place = book.place("w:exts:hq")
    assert book.read(place, ["1", "1800000015", "2", "1800000005"]) == book.read(
        place, ["2", "1800000005.0000001", "1", "1800000015"]
    )


def test_the_names_of_claims_do_not_tell_states_apart() -> None:
    rules, nothing = Rules(CALM, Book(), Calls()), (0,) * Book.MOST_KEYS
    one, other = (World(hands=(("reports", 0, name, "placed"), ())) for name in ("n3", "n5"))
    assert rules.settled(nothing, one) == rules.settled(nothing, other)


def test_the_command_prints_what_it_explored() -> None:
    result = CliRunner().invoke(command, ["--states", "50", "--world", "one line"])
    assert result.exit_code == 0, result.output
    assert "one line: " in result.output
    assert "every promise holds" in result.output
