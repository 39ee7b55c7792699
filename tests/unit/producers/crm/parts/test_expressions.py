"""Expressions: they find what CRMs mean, and never fail at a payload."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.crm.base import Delivery
from producers.crm.parts.expressions import LONGEST_EXPRESSION, Expression, Scope, is_true

DELIVERY = Delivery("POST", "https://outdial.example/hooks/x?code=7&code=8", {"x-user": "77"}, b"")


def found(text: str, value: Any, body: Any = None) -> Any:
    return Expression.parse(text).of(value, Scope(body, DELIVERY))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("a[", "too early"),
        ("a.b c", "character 5"),
        ("a[?b=]", "cannot be read|look at"),
        ("a # b", "character 3"),
        ("fone(@)", "no function fone"),
        ("a[?length(@, b)]", "length takes another number"),
        ("field(@)", "field takes another number"),
        ("(" * 490 + "a" + ")" * 490, "nested too deeply"),
        ("a" * (LONGEST_EXPRESSION + 1), "at most 1000"),
        (7, "as a text"),
    ],
)
def test_a_wrong_expression_is_refused_when_the_settings_are_read(text: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Expression.parse(text)


MISFITS = [
    "length(a)",
    "contains(a, 'x')",
    "join(',', a)",
    "avg(a)",
    "sort_by(a, &b)",
    "to_number(a)",
    "max(a)",
    "a[::0]",
    "abs('x')",
    "starts_with(a, a)",
    "field(a, 'b', a)",
    "merge(a, a)",
    "ceil(a)",
    "map(&length(@), a)",
]


@given(value=st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), st.lists, max_leaves=5))
def test_no_payload_makes_an_expression_fail(value: Any) -> None:
    for text in MISFITS:
        found(text, {"a": value})


def test_expressions_reach_the_whole_delivery() -> None:
    assert found("root().account.id", {"id": 1}, body={"account": {"id": 2}}) == 2
    assert found("header('X-User')", {}) == "77"
    assert found("header('X-Other')", {}) is None
    assert found("query('code')", {}) == "7"


def test_fields_are_found_however_their_names_are_written() -> None:
    record = {"Mobile Phone": "1", "work_phone": "2", "empty": "", "no": False}
    assert found("field(@, 'phone', 'mobile_phone', 'workPhone')", record) == "1"
    assert found("field(@, 'empty', 'no', 'WORK-PHONE')", record) == "2"
    assert found("field(@, 'nothing')", record) is None
    assert found("field(@, 'a')", ["a"]) is None


def test_lists_of_keys_and_values_become_tables() -> None:
    pairs = [{"key": "telephone1", "value": "1"}, {"value": 2}, "odd", {"key": 3, "value": 4}]
    assert found("table(@).telephone1", pairs) == "1"
    assert found("table(@)", None) == {}


def test_truth_is_that_of_jmespath() -> None:
    assert [is_true(value) for value in (0, "0", [None], {"a": None}, True)] == [True] * 5
    assert [is_true(value) for value in (None, False, "", [], {})] == [False] * 5


def test_fields_are_all_that_have_a_value() -> None:
    value = {"Phone": " ", "mobile": "N/A", "Work Phone": 7, "home": None, "other": "1"}
    scope = Scope(value)
    assert Expression.parse("field(@, 'phone', 'mobile')").of(value, scope) == "N/A"
    found = Expression.parse("fields(@, 'phone', 'mobile', 'work_phone', 'home', 'other')").of(value, scope)
    assert found == ["N/A", 7, "1"]
    assert Expression.parse("fields(nothing, 'phone')").of(value, scope) == []
