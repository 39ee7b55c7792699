"""When a connection is given up."""

import pytest

from producers.api.patience import Course, Patience, Verdict, verdict

PATIENCE = Patience(head_s=10, idle_s=20, rest_s=5, quiet_s=1, unread_s=30)
NOW = 1000.0


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        (Course(), Verdict.WAIT),  # a request is being served: its route has limits of its own
        (Course(head_since=NOW - 9.9), Verdict.WAIT),
        (Course(head_since=NOW - 10), Verdict.TELL),
        (Course(idle_since=NOW - 19.9), Verdict.WAIT),
        (Course(idle_since=NOW - 20), Verdict.CLOSE),
        (Course(rest_since=NOW - 4.9, rest_at=NOW - 0.9), Verdict.WAIT),
        (Course(rest_since=NOW - 5, rest_at=NOW), Verdict.CLOSE),
        (Course(rest_since=NOW - 2, rest_at=NOW - 1), Verdict.CLOSE),
        (Course(unread_since=NOW - 29.9), Verdict.WAIT),
        (Course(unread_since=NOW - 30), Verdict.CUT),
        (Course(unread_since=NOW - 30, is_ending=True, rest_since=NOW, rest_at=NOW), Verdict.CUT),
    ],
)
def test_each_wait_has_its_end(course: Course, expected: Verdict) -> None:
    assert verdict(course, NOW, PATIENCE) is expected
