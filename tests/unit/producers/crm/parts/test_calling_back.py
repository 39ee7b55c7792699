"""Calls that tell a CRM of a result: from a template, and safe against what a wish brought along."""

import json
from typing import Any

import pytest

from producers.crm.registry import adapter
from tests.unit.producers.crm.deliveries import FIXTURES, adapter_of
from worker.errors import ConfigurationError
from worker.jobs import DialResult, JobState
from worker.webhooks import Call

URL = "https://crm.example/deals/{{ metadata.deal }}/calls"


def result(state: JobState = JobState.PLACED, **metadata: str) -> DialResult:
    fields = {"job_id": "j-1", "state": state, "callid": "17.2", "pbx": "hq", "extid": "1002", "attempts": 1}
    return DialResult.model_validate(fields | {"enqueued_at": "2026-11-23T09:00:00Z", "metadata": metadata})


def call(ended: DialResult, **template: Any) -> Call | None:
    block = {"kind": "generic", "auth": {"kind": "none"}, "map": {"outto": "phone"}, "result": template}
    return adapter("crm", block).result_call(ended, seq=1)


def made(ended: DialResult, **template: Any) -> Call:
    it = call(ended, **template)
    assert it is not None
    return it


def test_a_template_becomes_the_crms_own_call() -> None:
    it = adapter_of(FIXTURES / "automation" / "two.http").result_call(result(deal="77"), seq=2)
    assert it is not None
    assert (it.method, it.url) == ("POST", "https://crm.example/deals/77/calls")
    assert it.headers == {
        "Authorization": "Bearer made-up-crm-key",
        "Idempotency-Key": "j-1-2",
        "Content-Type": "application/json",
    }
    assert json.loads(it.body) == {"outcome": "connected", "callid": "17.2", "text": "Extension 1002: connected"}


def test_a_state_without_a_name_of_the_crms_keeps_its_own() -> None:
    it = made(result(JobState.EXPIRED), url="https://crm.example/", body={"s": "{{ state }}", "n": 1})
    assert json.loads(it.body) == {"s": "expired", "n": 1}


def test_expressions_that_find_nothing_are_null_or_an_empty_text() -> None:
    it = made(result(), url="https://crm.example/", body={"a": "{{ metadata.x }}", "b": ["is {{ metadata.x }}"]})
    assert json.loads(it.body) == {"a": None, "b": ["is "]}


def test_forms_are_encoded() -> None:
    it = made(result(deal="a&b=c"), url="https://crm.example", format="form", body={"d": "{{ metadata.deal }}"})
    assert (it.body, it.headers["Content-Type"]) == (b"d=a%26b%3Dc", "application/x-www-form-urlencoded")


def test_there_is_no_call_where_none_is_wanted() -> None:
    block = {"kind": "generic", "auth": {"kind": "none"}, "map": {"outto": "phone"}}
    assert adapter("crm", block).result_call(result(), seq=1) is None
    assert call(result(), url="https://crm.example/", when="state == 'failed'") is None


@pytest.mark.parametrize("deal", ["", ".", "..", "..."])
def test_a_url_that_would_be_of_something_else_is_not_called(deal: str) -> None:
    assert call(result(deal=deal), url=URL) is None
    assert call(result(), url=URL) is None


@pytest.mark.parametrize(
    ("deal", "written"),
    [("a/../b", "a%2F..%2Fb"), ("7?x=1#y", "7%3Fx%3D1%23y"), ("é\r\nX: y", "%C3%A9%0D%0AX%3A%20y")],
)
def test_values_in_a_url_are_percent_encoded(deal: str, written: str) -> None:
    assert made(result(deal=deal), url=URL).url == f"https://crm.example/deals/{written}/calls"


def test_values_in_headers_cannot_begin_new_ones() -> None:
    it = made(
        result(deal="7\r\nX-Evil: 1\0é"), url="https://crm.example/", headers={"X-Deal": "{{ metadata.deal }}"}
    )
    assert it.headers["X-Deal"] == "7%0D%0AX-Evil: 1%00%C3%A9"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ({}, "result.url: is missing"),
        ({"url": "ftp://crm.example/"}, "must begin with https"),
        ({"url": "https://{{ metadata.host }}/"}, "must begin with https"),
        ({"url": "https://crm.example{{ metadata.host }}/"}, "must begin with https"),
        ({"url": "https://crm.example:{{ metadata.port }}/"}, "must begin with https"),
        ({"url": "https://user@crm.example/"}, "must begin with https"),
        ({"url": "https://crm.example/{{ a[ }}"}, "no JMESPath expression"),
        ({"url": "https://crm.example/", "body": {"a": [{"b": "{{ f(x) }}"}]}}, "no function f"),
        ({"url": "https://crm.example/", "headers": {"X Y": "1"}}, "headers"),
        ({"url": "https://crm.example/", "states": {"busy": "x"}}, "states.busy"),
        ({"url": "https://crm.example/", "format": "form", "body": "x"}, "table of fields"),
    ],
)
def test_a_template_that_cannot_work_is_refused_at_start(template: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        call(result(), **template)


def test_no_part_of_a_template_is_shown() -> None:
    block = {"kind": "generic", "auth": {"kind": "none"}, "map": {"outto": "phone"}}
    template = {"url": "https://crm.example/made-up", "headers": {"X-Key": "made-up"}, "body": {"key": "made-up"}}
    assert "made-up" not in repr(adapter("crm", {**block, "result": template}).settings)
