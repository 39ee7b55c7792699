"""Labels come from bounded sets, whatever a PBX, a record or a client says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from producers import hooks
from producers.numbers import refusals
from worker.errors import InputRefused
from worker.metrics.labels import (
    OTHER,
    OWN_WORDS,
    PARK_REASONS,
    errno_label,
    method_label,
    name_label,
    reason_label,
)
from worker.pbx.codes import CODES

ROOT = Path(__file__).parents[4]
# Errors whose first argument is an errno.
_ERRNO_FIRST = re.compile(
    "AttemptFailed|NotPlaced|TryLater|ExtensionBusy|PbxDown|TooLate|NotConfigured|NotReplicated|OutOfFiles"
    "|TokenRefused|NeverTry|OutcomeUnknown|PbxSaidFailed|RefusedJob"
)


@given(st.text() | st.from_regex(r"[0-9]{1,12}", fullmatch=True))
@example("2025550143")
@example("http_2025")
@example("10006")
def test_an_errno_is_a_known_one_or_other(errno: str) -> None:
    known = {"", OTHER, *CODES, *OWN_WORDS}
    assert errno_label(errno) in known or re.fullmatch("http_[1-5][0-9][0-9]", errno_label(errno))


@pytest.mark.parametrize("errno", ["10008", "100024", "unreachable", "worker_lost", "http_429"])
def test_what_is_known_is_told_as_it_is(errno: str) -> None:
    assert errno_label(errno) == errno


def test_no_errno_is_no_word() -> None:
    assert errno_label(None) == errno_label("") == ""


def words_in(file: Path) -> Iterator[str]:
    """Every errno written as a word in a file: as the first argument of an error, or as `errno=`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        given = [keyword.value for keyword in node.keywords if keyword.arg == "errno"]
        given += node.args[:1] if _ERRNO_FIRST.fullmatch(name) else []
        yield from (value.value for value in given if isinstance(value, ast.Constant) and value.value)


def test_every_word_of_ours_is_known() -> None:
    files = [file for folder in ("worker", "producers") for file in (ROOT / folder).rglob("*.py")]
    words = {word for file in files for word in words_in(file)}
    assert {"unreachable", "no_reply", "not_configured", "login"} <= words
    numbers = {refusals.INVALID, refusals.EMERGENCY, refusals.PREMIUM, refusals.COUNTRY, refusals.SERVICE_CODE}
    fields = {
        hooks._errno(InputRefused([f"{field}: is wrong"])) for field in ("outto", "user", "extid", "metadata")
    }
    assert words | numbers | fields <= OWN_WORDS


def test_every_reason_of_a_claim_to_go_back_is_known() -> None:
    script = (ROOT / "worker/hopper/scripts/claim.lua").read_text()
    reasons = set(re.findall(r"return back\([^\n]*'([^'\n]+)'\)", script))
    assert len(reasons) >= 6
    assert reasons <= PARK_REASONS


@pytest.mark.parametrize(
    ("reason", "label"),
    [("pacing", "pacing"), ("pbx not known", "pbx_not_known"), ("10008", "10008"), ("?", OTHER)],
)
def test_a_reason_is_a_word_of_the_pacing_or_an_errno(reason: str, label: str) -> None:
    assert reason_label(reason) == label


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("hq", "hq"),
        ("pbx2025", "pbx2025"),
        ("", ""),
        ("elsewhere", "elsewhere"),
        ("source:crm", "source:crm"),
        ("02079460123", OTHER),
        ("Not A Name", OTHER),
    ],
)
def test_a_name_from_a_record_that_could_be_a_number_is_no_label(name: str, label: str) -> None:
    assert name_label(name, frozenset({"hq", "pbx2025"})) == label


def test_methods_that_nobody_knows_are_one() -> None:
    assert [method_label(method) for method in ("GET", "BREW", "get")] == ["GET", OTHER, OTHER]
