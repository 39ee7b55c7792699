"""Retry decisions for every kind of failure, and what must hold for any attempt."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import errors
from worker.consequences import TABLE, Consequence, Until, Waits, Whose, consequence_of
from worker.errors import (
    AttemptFailed,
    ExtensionBusy,
    LineBusy,
    LoginLocked,
    LoginRefused,
    NeverTry,
    NotConfigured,
    NotPlaced,
    NotReplicated,
    OutcomeUnknown,
    OutOfFiles,
    PbxDenies,
    PbxDown,
    PbxRefuses,
    TokenRefused,
    TooLate,
    TryLater,
)
from worker.jobs import JobState
from worker.retries import Again, RetryPolicy, Stop
from worker.settings import RetrySettings

POLICY = RetryPolicy.from_settings(RetrySettings())
OF_THE_PBX = [PbxDown, PbxRefuses, PbxDenies, LoginRefused, LoginLocked, TokenRefused, LineBusy]
OF_A_WORKER = [TooLate, NotConfigured, NotReplicated, OutOfFiles]


def decide(
    kind: type[NotPlaced], *, attempts: int = 1, trying_s: float = 0, tries_in_vain: int = 0
) -> Stop | Again:
    return POLICY.decide(kind("1", "words"), attempts=attempts, trying_s=trying_s, tries_in_vain=tries_in_vain)


def again(kind: type[NotPlaced], **so_far: float) -> Again:
    decision = decide(kind, **so_far)  # type: ignore[arg-type]  # whole numbers where they are wanted
    assert isinstance(decision, Again)
    return decision


def test_what_may_have_rung_is_nothing_the_policy_decides() -> None:
    # The PBX is looked at instead; see `worker.evidence`.
    assert not issubclass(OutcomeUnknown, NotPlaced)


def test_what_would_fail_again_is_not_tried_again() -> None:
    assert decide(NeverTry) == Stop(JobState.FAILED, "1", "words")


@pytest.mark.parametrize("kind", [ExtensionBusy, *OF_THE_PBX, *OF_A_WORKER])
def test_what_is_not_the_jobs_fault_costs_no_attempt_however_long_it_lasts(kind: type[NotPlaced]) -> None:
    assert again(kind, attempts=99, trying_s=1e6, tries_in_vain=10_000).is_free


@pytest.mark.parametrize(
    ("kind", "waits", "until"),
    [
        (PbxDown, Waits.PBX, Until.BREAKER),
        (PbxRefuses, Waits.PBX, Until.BREAKER),
        (PbxDenies, Waits.PBX, Until.BREAKER),
        (LoginLocked, Waits.PBX, Until.BREAKER),
        (TokenRefused, Waits.JOB, Until.LOGIN),
        (ExtensionBusy, Waits.LANE, Until.AVAILABLE),
        (LineBusy, Waits.JOB, Until.AVAILABLE),
        (TooLate, Waits.JOB, Until.AT_ONCE),
        (TryLater, Waits.JOB, Until.BACKOFF),
    ],
)
def test_what_waits_and_until_when(kind: type[NotPlaced], waits: Waits, until: Until) -> None:
    because = consequence_of(kind("1", "words"))
    assert (because.waits, because.until) == (waits, until)


@pytest.mark.parametrize("kind", [PbxDown, TokenRefused, TooLate])
def test_the_breaker_or_a_log_in_decides_when_the_job_goes_again(kind: type[NotPlaced]) -> None:
    assert again(kind).delay_s == 0


@pytest.mark.parametrize("kind", [NotReplicated, NotConfigured, OutOfFiles])
def test_trouble_of_a_worker_costs_a_moment(kind: type[NotPlaced]) -> None:
    assert again(kind).delay_s == 0.5


def test_gives_up_at_the_last_attempt_and_says_so() -> None:
    assert isinstance(decide(TryLater, attempts=4), Again)
    assert decide(TryLater, attempts=5) == Stop(JobState.FAILED, "1", "words; gave up after 5 attempts")


def test_gives_up_at_the_total_deadline() -> None:
    assert isinstance(decide(TryLater, trying_s=3598), Again)
    assert isinstance(decide(TryLater, trying_s=3602), Stop)


@pytest.mark.parametrize("tries_in_vain", [0, 1, 3, 5, 10_000])
def test_a_busy_extension_is_tried_again_after_waits_that_grow_up_to_a_bound(tries_in_vain: int) -> None:
    decision = again(ExtensionBusy, tries_in_vain=tries_in_vain)
    doubled_s = 2.0 ** min(tries_in_vain, 10)
    assert min(doubled_s, 15) <= decision.delay_s <= min(doubled_s, 15) + 1
    assert decision.rest_s == decision.delay_s, "other jobs of the agent wait too"


def test_the_trouble_of_one_job_keeps_no_other_from_its_extension() -> None:
    assert again(LineBusy).rest_s == again(TryLater).rest_s == 0


@pytest.mark.parametrize("line", TABLE, ids=lambda line: line.failure.__name__)
def test_an_attempt_is_spent_on_the_jobs_own_failures_alone(line: Consequence) -> None:
    assert line.costs_attempt == (line.whose is Whose.JOB)


@pytest.mark.parametrize("kind", [NeverTry, TryLater, ExtensionBusy, LineBusy, TokenRefused])
def test_an_answer_about_a_call_closes_the_breaker(kind: type[NotPlaced]) -> None:
    assert consequence_of(kind("1", "words")).was_answered


@pytest.mark.parametrize("kind", [PbxDown, PbxRefuses, LoginRefused, *OF_A_WORKER])
def test_what_is_no_answer_about_a_call_does_not(kind: type[NotPlaced]) -> None:
    assert not consequence_of(kind("1", "words")).was_answered


@given(
    attempts=st.integers(min_value=1, max_value=10_000),
    base_s=st.floats(min_value=1e-3, max_value=1e3),
    cap_s=st.floats(min_value=1e-3, max_value=1e6),
)
def test_a_wait_is_within_zero_and_the_cap_for_any_attempt(attempts: int, base_s: float, cap_s: float) -> None:
    policy = RetryPolicy.from_settings(RetrySettings(max_attempts=100, base_s=base_s, cap_s=cap_s))
    state = policy.decide(TryLater("1", "words"), attempts=min(attempts, 99), trying_s=0)
    assert isinstance(state, Again)
    assert 0 <= state.delay_s <= max(cap_s, base_s)


def test_waits_are_spread_over_the_whole_interval() -> None:
    waits = [decide(TryLater, attempts=4) for _ in range(300)]
    seconds = [wait.delay_s for wait in waits if isinstance(wait, Again)]
    assert min(seconds) < 1.5
    assert max(seconds) > 6.5
    assert max(seconds) <= 8


def test_every_failure_that_did_not_ring_has_its_consequence() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AttemptFailed)]
    for kind in kinds:
        if not issubclass(kind, OutcomeUnknown) and kind not in (AttemptFailed, NotPlaced):
            consequence_of(kind("1", "words"))
    with pytest.raises(LookupError, match="NotPlaced"):
        consequence_of(NotPlaced("1", "words"))


def test_errors_cross_process_lines() -> None:
    samples = [
        PbxDown("unreachable", "words", asked_rest_s=7.0),
        errors.InputRefused(["a", "b"]),
        errors.KeyConflict(["a"]),
        errors.PbxBarred(3.0, "words"),
        errors.CallNotPlaced("words", {"errno": "10006", "error": "words"}),
        errors.ConfigurationError(["a"]),
    ]
    for error in samples:
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)
