"""Nothing secret gets into a line, whatever it is put into; what an operator needs stays."""

from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from urllib3.exceptions import MaxRetryError, NewConnectionError

from tests.unit.worker.numbers import written_numbers
from tests.unit.worker.test_masking import digits_of
from worker.logs.formats import renderer
from worker.logs.redaction import redact

NUMBER = "+1 (202) 555-0143"
TOKEN = "48a7d7481a5355aa4fb5dc285edeb40e"


def line_of(**fields: Any) -> str:
    """The line as a program reads it."""
    line: Any = {"event": "said", "level": "info", **fields}
    for step in (redact, *renderer("json", is_terminal=False)):
        line = step(None, "info", line)
    return str(line).partition(",")[2]  # without its time


class Word(StrEnum):
    """A text of another kind."""

    NUMBER = NUMBER


class Sulky:
    """What says nothing of itself."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value",
    [
        NUMBER,
        NUMBER.encode(),
        {"a": {"b": [("x", NUMBER)]}},
        {NUMBER: 1},
        {NUMBER.encode(): {1, NUMBER}},
        ["+1", 202, 555, "0143"],
        [2025550143],
        2025550143,
        2025550143.0,
        Decimal(2025550143),
        Word.NUMBER,
        ValueError(NUMBER),
        ValueError(f"http://x/?number={NUMBER}"),
        {"a": [[[[[[[[NUMBER]]]]]]]]},
        "x" * 20_000 + NUMBER,
    ],
)
def test_a_number_is_found_in_values_of_all_kinds(value: Any) -> None:
    line = line_of(value=value)
    assert "555" not in line
    assert "0143" not in line


@pytest.mark.parametrize(
    "value",
    [
        f"https://pbx/api/login?token={TOKEN}",
        {"token": "short"},
        {"headers": {"Authorization": "Bearer short-one"}},
        {b"password": "short"},
        [{"name": "x", "secret": ["short"]}],
        ["Authorization", "Bearer short-one"],
        requests.ConnectionError(
            MaxRetryError(None, f"/api/v1.0.0/dial?token={TOKEN}", NewConnectionError(None, "refused"))  # type: ignore[arg-type]
        ),
        requests.Request("POST", f"https://user:short@pbx/?token={TOKEN}", json={"password": "short"})
        .prepare()
        .url,
        SecretStr("short"),
        '{"username":"api","password":"short"}',
    ],
)
def test_a_secret_is_found_in_values_of_all_kinds(value: Any) -> None:
    line = line_of(value=value)
    assert TOKEN not in line
    assert "short" not in line


def test_errors_are_told_with_all_their_causes_and_none_of_their_secrets() -> None:
    def fails() -> None:
        try:
            requests.get(f"http://127.0.0.1:1/api/dial?token={TOKEN}", timeout=1)
        except requests.ConnectionError as error:
            error.add_note(f"it dialed {NUMBER}")
            raise ValueError({"outto": "41000", "password": "short"}) from error

    with pytest.raises(ValueError, match="outto") as failed:
        fails()
    import structlog

    line = line_of(**structlog.processors.format_exc_info(None, "error", {"exc_info": failed.value}))
    assert "ConnectionRefusedError" in line
    assert "direct cause" in line
    assert not any(secret in line for secret in (TOKEN, "short", "41000", "555-0143"))


@given(written_numbers(), st.sampled_from(["field", "error", "hint", "reason", "thread"]))
def test_no_number_comes_through_by_any_field(number: tuple[str, str], name: str) -> None:
    written, digits = number
    for value in (written, [written], {"deep": {"deeper": written}}, ValueError(written), int(digits)):
        assert digits[:-2] not in digits_of(line_of(**{name: value}))


@given(st.uuids().map(str), st.integers(0, 10**12), st.floats(0, 10**6), st.integers(1, 65535))
def test_what_an_operator_needs_stays(job_id: str, size: int, seconds: float, port: int) -> None:
    kept = {"job_id": job_id, "errno": "10008", "callid": "1637297512.92", "used_bytes": size, "after_s": seconds}
    kept |= {
        "port": port,
        "worker": "dialer1.4194304@web-10-20-30-40",
        "trace_id": TOKEN,
        "key": "crm",
        "state": "placed",
    }
    assert redact(None, "info", dict(kept)) == kept


def test_a_line_comes_out_whatever_is_put_in() -> None:
    line = line_of(
        sulky=Sulky(), deep=[{"x": Sulky()}], nan=float("nan"), big=10**5000, half="\ud800", none=None, y=True
    )
    assert '"sulky":"Sulky that cannot be shown","deep":"list that cannot be shown","nan":"nan"' in line
    assert '"big":"int that cannot be shown","half":"\\ud800","none":null,"y":true' in line


def test_a_terminal_gets_no_commands() -> None:
    line: Any = {"event": "said", "level": "info", "error": "a\x1b[2Jb", "exception": "Traceback\n\x1b[2J"}
    for step in (redact, *renderer("console", is_terminal=False)):
        line = step(None, "info", line)
    assert "\x1b" not in line
    assert "Traceback\n" in line
