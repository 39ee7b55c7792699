"""The chaos suite's plan and orders: the same seed gives the same, and they keep within their bounds."""

from collections import Counter

import pytest

from ops.chaos.faults import FAULTS
from ops.chaos.orders import EXTENSIONS, make_orders
from ops.chaos.plan import make_plan


def test_same_seed_same_plan() -> None:
    assert make_plan(5, FAULTS, seconds=300, per_minute=40) == make_plan(5, FAULTS, seconds=300, per_minute=40)
    assert make_plan(5, FAULTS, seconds=300, per_minute=40) != make_plan(6, FAULTS, seconds=300, per_minute=40)


def test_same_seed_same_orders() -> None:
    assert make_orders(5, jobs=500, seconds=60) == make_orders(5, jobs=500, seconds=60)
    assert make_orders(5, jobs=500, seconds=60) != make_orders(6, jobs=500, seconds=60)


@pytest.mark.parametrize("seed", range(20))
def test_a_full_plan_holds_every_kind_and_most_of_the_faults_asked_for(seed: int) -> None:
    plan = make_plan(seed, FAULTS, seconds=300, per_minute=40)
    assert len(plan) >= 170
    # One whose turn comes last may find no time.
    assert len({planned.kind for planned in plan}) >= len(FAULTS) - 2


@pytest.mark.parametrize("seed", range(20))
def test_a_short_plan_holds_many_kinds(seed: int) -> None:
    plan = make_plan(seed, FAULTS, seconds=60, per_minute=40)
    assert len(plan) >= 30
    assert len({planned.kind for planned in plan}) >= 15


@pytest.mark.parametrize("seed", range(20))
def test_no_part_has_two_faults_at_once_and_none_outlives_the_run(seed: int) -> None:
    free_at: dict[str, float] = {}
    plan = make_plan(seed, FAULTS, seconds=120, per_minute=60)
    assert plan == sorted(plan, key=lambda planned: planned.at_s)
    for planned in plan:
        fault = FAULTS[planned.kind]
        assert planned.part in fault.parts
        assert planned.at_s >= free_at.get(planned.part, 0) - 0.01
        free_at[planned.part] = planned.at_s + fault.lasts_s
        assert free_at[planned.part] <= 120.01


def test_every_pair_is_one_job_with_a_reserved_number() -> None:
    orders = make_orders(1, jobs=5000, seconds=300)
    assert max(Counter((order.extid, order.outto) for order in orders).values()) == 1
    assert all(order.outto.startswith("02055501") for order in orders)
    assert all(int(order.extid) in EXTENSIONS[order.pbx] for order in orders)
    assert not set(EXTENSIONS["hq"]) & set(EXTENSIONS["branch"])


def test_redial_has_extensions_of_its_own() -> None:
    orders = make_orders(1, jobs=5000, seconds=300)
    again = {order.extid for order in orders if order.on_unknown == "redial"}
    assert again
    assert not again & {order.extid for order in orders if order.on_unknown == "hold"}


def test_orders_are_of_all_sorts() -> None:
    orders = make_orders(1, jobs=1000, seconds=60)
    assert {order.priority for order in orders} == {"urgent", "normal", "bulk"}
    for whim in ("not_before_s", "expires_in_s", "cancel_after_s", "again_after_s"):
        assert 10 < sum(getattr(order, whim) is not None for order in orders) < 200
