"""API keys: known until revoked, and good for so many requests in so many seconds."""

import pytest

from tests.integration.hopper.stage import Stage
from worker.hopper import ApiKey

RIGHT, WRONG = "a" * 64, "b" * 64


def key(key_id: str = "k1", *, requests: int = 100, window_s: int = 10) -> ApiKey:
    return ApiKey(key_id, "crm", ("enqueue", "read"), ("hq",), requests, window_s)


def test_a_key_is_stored_once_and_told_with_the_digest_of_its_secret(stage: Stage) -> None:
    assert stage.hopper.new_key(key(), RIGHT)
    assert not stage.hopper.new_key(key(), WRONG)

    [admission] = stage.hopper.admit([("k1", RIGHT)])
    assert admission is not None
    assert admission.digest == RIGHT
    assert (admission.key.name, admission.key.scopes, admission.key.pbxs) == ("crm", ("enqueue", "read"), ("hq",))


def test_an_unknown_key_and_a_revoked_one_are_nobodys(stage: Stage) -> None:
    stage.hopper.new_key(key(), RIGHT)

    assert stage.hopper.admit([("k2", RIGHT)]) == [None]
    assert stage.hopper.revoke_key("k1") == "revoked"
    assert stage.hopper.admit([("k1", RIGHT)]) == [None]
    assert (stage.hopper.revoke_key("k1"), stage.hopper.revoke_key("k2")) == ("again", "gone")
    [listed] = stage.hopper.api_keys()
    assert listed.revoked_at > listed.created_at - 1 > 0


def test_so_many_requests_are_served_in_a_window_and_the_next_is_told_when(stage: Stage) -> None:
    stage.hopper.new_key(key(requests=5, window_s=1000), RIGHT)

    answers = stage.hopper.admit([("k1", RIGHT)] * 7)

    told = [(answer.left, answer.retry_in_s > 0) for answer in answers if answer]
    assert told == [(4, False), (3, False), (2, False), (1, False), (0, False), (0, True), (0, True)]
    last = answers[-1]
    assert last is not None
    assert last.retry_in_s == pytest.approx(200, abs=5)
    assert last.full_in_s == pytest.approx(1000, abs=5)


def test_a_wrong_secret_costs_the_key_no_request(stage: Stage) -> None:
    stage.hopper.new_key(key(requests=2, window_s=1000), RIGHT)
    stage.hopper.admit([("k1", WRONG)] * 50)

    [answer] = stage.hopper.admit([("k1", RIGHT)])
    assert answer is not None
    assert (answer.left, answer.retry_in_s) == (1, 0)
