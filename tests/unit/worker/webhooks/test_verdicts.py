"""What becomes of a delivery after an attempt."""

import re
from datetime import UTC, datetime
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.hopper import Ending
from worker.masking import safe
from worker.webhooks.endpoints import RETRY_S
from worker.webhooks.transport import NoReply, Reply
from worker.webhooks.verdicts import answer_words, ending_of, next_wait

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def ending(heard: Reply | NoReply, *, attempts: int = 1) -> Ending:
    return ending_of(heard, attempts=attempts, retry_s=RETRY_S, roll=0.5, now=NOW)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_2xx_is_a_success(status: int) -> None:
    assert ending(Reply(status)) == Ending("delivered")


@pytest.mark.parametrize(
    "status", [100, 103, 199, 300, 301, 307, 400, 401, 403, 404, 408, 422, 429, 500, 503, 599]
)
def test_everything_else_is_tried_again(status: int) -> None:
    told = ending(Reply(status))

    assert (told.word, told.blames, told.delay_s, told.disable) == ("again", True, 5, "")
    assert f"HTTP {status}" in told.error


def test_no_reply_is_tried_again_with_its_reason() -> None:
    assert ending(NoReply("connection refused")) == Ending("again", 5, 0, "connection refused", blames=True)


def test_gone_disables_the_endpoint() -> None:
    told = ending(Reply(410))
    assert (told.word, told.disable) == ("dead", "it says that it is gone for good (HTTP 410)")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (301, "HTTP 301: redirects are not followed; set url to the final address"),
        (401, "compare the secret and the headers on both sides"),
        (404, "correct the path in url"),
        (410, "HTTP 410: it is gone for good; set url to its new address, or remove the endpoint"),
        (418, "it rejected the call; see its log"),
        (429, "raise its limit, or lower max_in_flight"),
        (504, "the proxy in front of it got no answer from it; check that it is running"),
        (599, "see its log"),
    ],
)
def test_a_status_comes_with_advice(status: int, words: str) -> None:
    assert words in answer_words(status)
    assert ending(Reply(status)).error == answer_words(status)


def test_every_answer_that_is_no_success_has_advice_that_names_only_its_own_settings() -> None:
    for status in range(300, 1000):
        assert "; " in answer_words(status)
        of_a_source = answer_words(status, is_own_call=True)
        assert not re.search(r"\burl\b|[{}]", of_a_source)
        assert safe(of_a_source) == of_a_source
    assert [answer_words(status) for status in (200, 204)] == ["HTTP 200", "HTTP 204"]


@pytest.mark.parametrize("status", [400, 404, 409, 410, 422])
def test_a_crm_that_refuses_its_own_call_is_not_asked_again_and_not_blamed(status: int) -> None:
    told = ending_of(Reply(status), attempts=1, retry_s=RETRY_S, roll=0.5, now=NOW, is_own_call=True)
    assert (told.word, told.blames, told.disable) == ("dead", False, "")


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 503])
def test_a_crm_that_may_take_its_own_call_later_is_asked_again(status: int) -> None:
    told = ending_of(Reply(status), attempts=1, retry_s=RETRY_S, roll=0.5, now=NOW, is_own_call=True)
    assert (told.word, told.blames) == ("again", True)


def test_the_default_schedule_ends_after_about_three_days() -> None:
    words = [ending(Reply(500), attempts=n).word for n in range(1, len(RETRY_S) + 2)]

    assert words == ["again"] * len(RETRY_S) + ["dead"]
    assert 70 < list(accumulate(RETRY_S))[-1] / 3600 < 80
    assert list(RETRY_S) == sorted(RETRY_S)


@given(attempts=st.integers(1, len(RETRY_S)), roll=st.floats(0, 1, exclude_max=True))
def test_jitter_stays_within_a_fifth(attempts: int, roll: float) -> None:
    wait = next_wait(attempts, retry_s=RETRY_S, roll=roll)
    assert 0.79 * RETRY_S[attempts - 1] < wait < 1.21 * RETRY_S[attempts - 1]


@pytest.mark.parametrize(("status", "rest_s"), [(429, 90), (503, 90), (500, 0), (302, 0)])
def test_retry_after_is_a_lower_bound_and_holds_for_the_endpoint_that_asks_for_less(
    status: int, rest_s: float
) -> None:
    told = ending(Reply(status, "90"))
    assert (told.delay_s, told.rest_s) == (90, rest_s)
    assert ending(Reply(status, "1")).delay_s == 5
