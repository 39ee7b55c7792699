"""Retry decisions for every kind of failure, and what must hold for any attempt."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import errors
from worker.errors import (
    AttemptFailed,
    ExtensionBusy,
    NeverTry,
    NotConfigured,
    NotPlaced,
    NotReplicated,
    OutcomeUnknown,
    OutOfFiles,
    PbxDown,
    TokenRefused,
    TryLater,
)
from worker.jobs import JobState
from worker.retries import Again, RetryPolicy, Stop
from worker.settings import RetrySettings

POLICY = RetryPolicy.from_settings(RetrySettings())


def decide(kind: type[AttemptFailed], *, attempts: int = 1, age_s: float = 0) -> Stop | Again:
    return POLICY.decide(kind("1", "words"), attempts=attempts, age_s=age_s)


def test_what_may_have_rung_is_nothing_the_policy_decides() -> None:
    # The PBX is looked at instead; see `worker.evidence`.
    assert not issubclass(OutcomeUnknown, NotPlaced)


def test_what_would_fail_again_is_not_tried_again() -> None:
    assert decide(NeverTry) == Stop(JobState.FAILED, "1", "words")


@pytest.mark.parametrize("kind", [PbxDown, TokenRefused])
def test_what_is_not_the_jobs_fault_costs_no_attempt_however_long_it_lasts(kind: type[AttemptFailed]) -> None:
    assert decide(kind, attempts=99, age_s=1e6) == Again(0, free=True, rest_s=0, errno="1", error="words")


@pytest.mark.parametrize("kind", [NotReplicated, NotConfigured, OutOfFiles])
def test_what_is_the_workers_fault_costs_no_attempt_but_a_moment(kind: type[AttemptFailed]) -> None:
    again = decide(kind, attempts=99, age_s=1e6)
    assert again == Again(0.5, free=True, rest_s=0, errno="1", error="words")


@pytest.mark.parametrize("kind", [TryLater, ExtensionBusy])
def test_gives_up_at_the_last_attempt_and_says_so(kind: type[AttemptFailed]) -> None:
    assert isinstance(decide(kind, attempts=4), Again)
    assert decide(kind, attempts=5) == Stop(JobState.FAILED, "1", "words; gave up after 5 attempts")


def test_gives_up_at_the_total_deadline() -> None:
    assert isinstance(decide(TryLater, age_s=3598), Again)
    assert isinstance(decide(TryLater, age_s=3602), Stop)


def test_a_busy_extension_rests_as_long_as_its_job_waits() -> None:
    again = decide(ExtensionBusy)
    assert isinstance(again, Again)
    assert again.rest_s == again.delay_s


@given(
    attempts=st.integers(min_value=1, max_value=10_000),
    base_s=st.floats(min_value=1e-3, max_value=1e3),
    cap_s=st.floats(min_value=1e-3, max_value=1e6),
)
def test_a_wait_is_within_zero_and_the_cap_for_any_attempt(attempts: int, base_s: float, cap_s: float) -> None:
    policy = RetryPolicy.from_settings(RetrySettings(max_attempts=100, base_s=base_s, cap_s=cap_s))
    state = policy.decide(TryLater("1", "words"), attempts=min(attempts, 99), age_s=0)
    assert isinstance(state, Again)
    assert 0 <= state.delay_s <= max(cap_s, base_s)


def test_waits_are_spread_over_the_whole_interval() -> None:
    waits = [decide(TryLater, attempts=4) for _ in range(300)]
    seconds = [wait.delay_s for wait in waits if isinstance(wait, Again)]
    assert min(seconds) < 1.5
    assert max(seconds) > 6.5
    assert max(seconds) <= 8


def test_every_failure_of_an_attempt_is_decided() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AttemptFailed)]
    decided = {kind for kind in kinds if issubclass(kind, TryLater | NeverTry | OutcomeUnknown)}
    assert set(kinds) - decided == {AttemptFailed, errors.NotPlaced}


def test_errors_cross_process_lines() -> None:
    samples = [
        PbxDown("unreachable", "words"),
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
