"""The table of PBX codes against the vendor's pages."""

import pytest

from worker.pbx.codes import CODES, UNKNOWN_CODE, Advice, code


@pytest.mark.parametrize("errno", ["10004", "10006", "100024", "30001"])
def test_every_code_of_the_dial_page_is_known(errno: str) -> None:
    assert "dial page" in CODES[errno].source


@pytest.mark.parametrize(
    ("advice", "errnos"),
    [
        (Advice.LOG_IN, {"20004", "20005", "20006"}),
        (Advice.LOOK_FIRST, {"30001"}),
        (Advice.LOOK_AND_REST, {"20010"}),
        (Advice.LOGIN_LOCKED, {"20002"}),
        (Advice.LOGIN_REFUSED, {"20003", "20008"}),
        (Advice.PBX_DOWN, {"10025", "30003"}),
        (Advice.PBX_REFUSES, {"10002", "10003", "20000", "20001", "20007", "20009"}),
        (Advice.EXTENSION_BUSY, {"10008"}),
        (Advice.LINE_BUSY, {"10027"}),
    ],
)
def test_codes_that_are_more_than_a_failure(advice: Advice, errnos: set[str]) -> None:
    assert {errno for errno, line in CODES.items() if line.advice is advice} == errnos


def test_both_spellings_of_the_missing_permission_say_the_same() -> None:
    assert CODES["10024"].advice is CODES["100024"].advice is Advice.FAIL
    assert CODES["10024"].meaning == CODES["100024"].meaning


@pytest.mark.parametrize("errno", ["99999", "", "none", "1e9"])
def test_a_code_in_no_table_fails_the_job(errno: str) -> None:
    assert code(errno) is UNKNOWN_CODE
    assert UNKNOWN_CODE.advice is Advice.FAIL


def test_every_line_has_a_meaning_and_a_source() -> None:
    assert all(line.meaning and line.source for line in CODES.values())
