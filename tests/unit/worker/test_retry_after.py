"""Both forms of the `Retry-After` header, and everything else that may stand in it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.retry_after import retry_after_s

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY_S = 86_400.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("0", 0),
        (" 120 ", 120),
        ("1.5", 0),
        ("-5", 0),
        ("soon", 0),
        ("9" * 5000, DAY_S),
        ("Mon, 23 Nov 2026 12:01:00 GMT", 60),
        ("Mon, 23 Nov 2026 12:01:00", 60),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
        ("Mon, 23 Nov 2099 12:00:00 GMT", DAY_S),
        ("Mon, 99 Nov 2026 99:00:00 GMT", 0),
        ("²", 0),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float) -> None:
    assert retry_after_s(header, now=NOW, most_s=DAY_S) == seconds


@given(st.text())
def test_retry_after_never_raises(header: str) -> None:
    assert 0 <= retry_after_s(header, now=NOW, most_s=DAY_S) <= DAY_S
