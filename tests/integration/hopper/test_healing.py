"""What former, longer limits have left behind is cut to what the present ones allow."""

import pytest

from tests.conftest import pbx_settings
from tests.integration.clock import StepClock
from tests.integration.hopper.stage import Stage
from worker.hopper import Hopper
from worker.settings import BreakerSettings, LookSettings, RetrySettings

NO_LEASES = {"open_call_s": 0, "extension_rest_s": 0, "burst": 1}


def register(stage: Stage, **limits: object) -> None:
    stage.hopper.register("hq", pbx_settings(**limits))


def test_a_permit_of_a_lower_limit_is_not_waited_for(stage: Stage, clock: StepClock) -> None:
    register(stage, calls_per_second=0.02, **NO_LEASES)
    job_id, claim = stage.claimed("1001")
    stage.finish(job_id, "n1", claim)
    other = stage.put("1002")
    assert stage.release() == []

    register(stage, calls_per_second=10, **NO_LEASES)
    assert stage.release() == []
    clock.advance(0.1)
    assert stage.release() == [other]
    clock.advance(0.1)
    stage.go(other, "n")


def test_a_claim_waits_for_no_permit_of_a_lower_limit(stage: Stage, clock: StepClock) -> None:
    register(stage, calls_per_second=10, **NO_LEASES)
    job_id = stage.put("1001")
    assert stage.release() == [job_id]
    # As another host, or yesterday's limit, has left it.
    stage.hopper.client.hset(stage.hopper.keys.pbx("hq"), "tat", f"{clock.now() + 3600:.6f}")
    stage.claim(job_id, slot_wait_s=1)
    clock.advance(0.11)
    stage.go(job_id, "n")


@pytest.mark.parametrize("permits", [0, 1, 10])
def test_the_permits_of_looks_are_waited_for(stage: Stage, clock: StepClock, permits: int) -> None:
    looks = LookSettings(permits=permits)
    stage.hopper = Hopper(stage.hopper.client, namespace=stage.hopper.keys.namespace, retain_s=600, looks=looks)
    register(stage, calls_per_second=1, **NO_LEASES)
    stage.doubted("1001")
    clock.advance(2)
    stage.look()
    other = stage.put("1002")
    assert stage.release() == ([other] if permits == 0 else [])
    clock.advance(1.1 * permits)
    assert stage.release() == ([] if permits == 0 else [other])


@pytest.mark.parametrize("state", ["released", "claimed", "placed", "in doubt"])
def test_leases_of_longer_calls_are_cut(stage: Stage, clock: StepClock, state: str) -> None:
    register(stage, open_call_s=86_400, extension_rest_s=3600)
    job_id = stage.put("1001")
    stage.release()
    if state != "released":
        claim = stage.go(job_id, "n1")
    if state == "placed":
        stage.finish(job_id, "n1", claim)
    if state == "in doubt":
        stage.sweep()

    register(stage, open_call_s=30, extension_rest_s=2)

    longest_s = 30 if state == "placed" else 30 + 45 + 60 + 1
    line, lease = stage.score("lines:hq", job_id), stage.score("exts:hq", "1001")
    assert line is not None
    assert lease is not None
    assert line - clock.now() <= longest_s
    assert lease - clock.now() <= longest_s + 2
    assert float(stage.hopper.record(job_id)["hold"]) == lease, "it is still this job's"
    if state == "placed":
        waiting = stage.put("1001")
        clock.advance(32.1)
        assert stage.release() == [waiting]


def test_leases_within_the_present_limits_stay_as_they_are(stage: Stage) -> None:
    register(stage, open_call_s=30, extension_rest_s=2)
    placed, claim = stage.claimed("1001")
    stage.finish(placed, "n1", claim)
    stage.claimed("1002", nonce="n2")
    stage.put("1003")
    stage.release()
    before = stage.snapshot()

    register(stage, open_call_s=30, extension_rest_s=2)

    after = stage.snapshot()
    changed = {name for name in before if before[name] != after.get(name)}
    assert all(name.endswith((":wake", ":pbxs")) for name in changed), changed


def test_the_rest_of_a_busy_extension_is_cut(stage: Stage, clock: StepClock) -> None:
    job_id, _ = stage.claimed("1001")
    stage.hopper.park(job_id, "n1", delay_s=86_400, rest_s=86_400)
    register(stage)
    lease = stage.score("exts:hq", "1001")
    assert lease is not None
    assert lease - clock.now() <= RetrySettings().busy_cap_s + RetrySettings().base_s


@pytest.mark.parametrize("how", [{}, {"lost_dial": True}, {"asked_rest_s": 9000.0}])
def test_the_rest_of_a_pbx_is_cut(stage: Stage, how: dict[str, object]) -> None:
    stage.unreachable(base_s=7200, cap_s=7200, **how)
    assert stage.hopper.view("hq").barred_s > 7000

    register(stage)

    present = BreakerSettings()
    longest_s = 600 if "asked_rest_s" in how else present.dial_cap_s if how else present.cap_s
    assert stage.hopper.view("hq").barred_s == pytest.approx(longest_s, abs=1)


def test_the_block_of_a_wrong_password_is_not_cut_below_the_present_one(stage: Stage) -> None:
    stage.hopper.login_turn("hq", refused=2, nonce="a", lease_s=30, spacing_s=0)
    stage.hopper.login_done("hq", "a", block_s=9000, reason="wrong password")
    register(stage)
    assert stage.hopper.view("hq").barred_s == pytest.approx(RetrySettings().login_block_s, abs=1)
