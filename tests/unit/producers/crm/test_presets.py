"""Presets: what well-known CRMs send becomes the right wishes, whatever is missing or comes on top."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.crm import presets
from producers.crm.base import Adapter, BadPayload, Delivery, NotAuthentic, Wish
from producers.crm.parts.values import Number
from producers.crm.registry import adapter
from tests.unit.producers.crm.deliveries import FIXTURES, adapter_of, delivery_of, fixture

SF_USER, DV_USER = "005000000000001AAA", "75df116d-d9da-e711-a94b-000d3a34ed47"
AUTH: dict[str, dict[str, str]] = {
    "odoo": {"token": "t"},
    "pipedrive": {"username": "u", "password": "p"},
    "zoho": {"token": "t"},
    "freshsales": {"token": "t"},
    "salesforce-flow": {"token": "t"},
    "dataverse": {"token": "t"},
    "monday": {"token": "t"},
    "intercom": {"secret": "s"},
    "less-annoying-crm": {"token": "t"},
}


def preset_adapter(name: str, **block: Any) -> Adapter:
    return adapter("crm", {"kind": "generic", "preset": name, "auth": AUTH[name], **block})


def posted(body: Any, headers: dict[str, str] | None = None) -> Delivery:
    return Delivery("POST", "https://outdial.example/hooks/crm", headers or {}, json.dumps(body).encode())


def one_wish(name: str, body: Any, **block: Any) -> Wish:
    (wish,) = preset_adapter(name, **block).wishes(posted(body))
    return wish


def test_every_preset_is_tested() -> None:
    assert set(AUTH) == set(presets.names())


@pytest.mark.parametrize(
    ("name", "outto", "user", "dedupe"),
    [
        ("odoo/lead", "+1 (202) 555-0143", "2", "crm.lead:9:2026-11-23 09:51:02"),
        ("odoo/partner-reference", "020 7946 0018", "2", "res.partner:14:2026-11-23 09:52:00"),
        ("pipedrive/person-change", "020 7946 0018", "77", "b1c7b5a0-5f0f-4b57-8d5b-0d9f0c9d3c11"),
        ("pipedrive/version-1", "+442079460018", "77", "v1:501:person:123:1795427462123456"),
        ("zoho/form", "+1 202-555-0143", "5725767000000411001", "5725767000000524157:2026-11-23T09:51:02+01:00"),
        ("zoho/url", "202 555 0144", "5725767000000411001", "5725767000000524158:2026-11-23 09:51:02"),
        ("zoho/json", "(202) 555-0145", "5725767000000411001", "5725767000000524159:2026-11-23T09:51:02+01:00"),
        ("zoho/url-and-form", "(202) 555-0147", "5725767000000411001", "57257670005241:2026-11-23T09:51:02-08:00"),
        ("freshsales/xml", "+44 20 7946 0018", "4021", "4000126:2026-11-23T09:51:02Z"),
        ("freshsales/flat", "+1 202 555 0143", "4021", "4000123:2026-11-23T09:51:02Z"),
        ("freshsales/nested", "+442079460018", "4021", "4000124:2026-11-23T09:51:02Z"),
        ("salesforce-flow/flat", "(202) 555-0143", SF_USER, "003000000000001AAA:2026-11-23T09:51:02.000+0000"),
        ("salesforce-flow/record", "+442079460018", SF_USER, "003000000000002AAA:2026-11-23T09:51:02.000+0000"),
        ("dataverse/update", "202-555-0143", DV_USER, "4af10637-4ea2-e711-8122-000d3aa2331c"),
        ("dataverse/create-lead", "+1 202 555 0144", DV_USER, "4af10637-4ea2-e711-8122-000d3aa2331d"),
        ("odoo/ticket", "020 7946 0018", None, "helpdesk.ticket:31:2026-11-23 09:53:00"),
        ("pipedrive/lead-change", "", "77", "b1c7b5a0-5f0f-4b57-8d5b-0d9f0c9d3c21"),
        ("dataverse/two-images", "202-555-0144", DV_USER, "4af10637-4ea2-e711-8122-000d3aa2332b"),
        ("dataverse/phone-call", "(202) 555-0187", DV_USER, "4af10637-4ea2-e711-8122-000d3aa2332c"),
        ("monday/phone-changed", "12025550143", "9603417", "b5ed2e17c530f43668de130142445cba"),
        ("monday/item-created", "+442079460018", "9603417", "5c28578c66653a87b00a80aa4f7a6ce3"),
        ("intercom/tagged", "+12025550143", "4021", "notif_1"),
        ("intercom/lead-created", "+442079460018", "4021", "notif_2"),
        ("kommo/contact", "+1 202 555 0143", "504", "3202:1795427462"),
        ("hubspot-workflow/contact", "202-555-0143", None, "5715001:1795427462000"),
    ],
)  # fmt: skip
def test_what_a_crm_sends_becomes_a_wish(name: str, outto: str, user: str | None, dedupe: str) -> None:
    file = FIXTURES / f"{name}.http"
    (wish,) = adapter_of(file).read(delivery_of(file))
    assert (wish.outto, wish.user, wish.dedupe) == (outto, user, dedupe)


@pytest.mark.parametrize(
    "name",
    [
        "pipedrive/from-api",
        "pipedrive/bulk-edit",
        "pipedrive/version-1-bulk-update",
        "pipedrive/person-delete",
        "dataverse/delete",
        "monday/phone-cleared",
        "intercom/ping",
    ],
)
def test_echoes_tests_and_deletions_are_passed_over(name: str) -> None:
    file = FIXTURES / f"{name}.http"
    assert adapter_of(file).read(delivery_of(file)) == []
    assert "unless is so" in adapter_of(file).passed_over(delivery_of(file))[0]


def test_new_and_changed_contacts_of_one_delivery_are_calls_each() -> None:
    file = FIXTURES / "kommo/new-and-changed.http"
    wishes = adapter_of(file).read(delivery_of(file))
    assert [(wish.outto, wish.dedupe) for wish in wishes] == [
        ("+1 202 555 0145", "3302:1795427500"),
        ("+1 202 555 0144", "3301:1795427500"),
    ]


def test_every_contact_that_is_added_to_a_group_is_a_call() -> None:
    file = FIXTURES / "less-annoying-crm/added-to-group.http"
    first, second = adapter_of(file).read(delivery_of(file))
    assert (first.outto, first.user, first.metadata["id"][-2:]) == ("(202) 555-0143", "483823", "36")
    assert (second.outto, second.metadata["event"]) == ("", "GroupMembership.Create")
    assert first.dedupe != second.dedupe


def test_the_country_of_a_phone_column_comes_with_its_number() -> None:
    for name, country in (("monday/phone-changed", "US"), ("monday/item-created", "GB")):
        (wish,) = adapter_of(FIXTURES / f"{name}.http").read(delivery_of(FIXTURES / f"{name}.http"))
        assert isinstance(wish.outto, Number)
        assert wish.outto.country == country


@pytest.mark.parametrize("preset", presets.names())
def test_nothing_is_taken_without_proof(preset: str) -> None:
    with pytest.raises(NotAuthentic):
        preset_adapter(preset).read(posted({"phone": "+12025550143"}))


@pytest.mark.parametrize(
    ("preset", "body", "outto"),
    [
        ("odoo", {"_id": 1, "phone": False, "mobile": False, "partner_phone": 12025550143}, "12025550143"),
        ("odoo", {"_id": 1}, ""),
        ("monday", {"event": {"columnValues": {"a": {"phone": ""}, "b": "x", "c": {"phone": "9"}}}}, "9"),
        ("monday", {"event": {"columnId": "status", "value": {"label": {"text": "Call"}}}}, ""),
        ("intercom", {"data": {"item": {"type": "contact", "phone": None}}}, ""),
        ("pipedrive", {"meta": {"action": "change"}, "data": {"phones": [{"value": "1"}]}}, "1"),
        ("pipedrive", {"current": {"phone": "+12025550143"}}, "+12025550143"),
        ("pipedrive", {"meta": {"id": "x"}, "data": {"person_id": {"phone": [{"value": "7"}]}}}, "7"),
        ("pipedrive", {"meta": None, "data": []}, ""),
        ("zoho", {"Lead Phone": "+12025550143"}, "+12025550143"),
        ("freshsales", {"lead": {"work_number": "+12025550143"}}, "+12025550143"),
        ("freshsales", {"contact": "4", "mobile_number": "+12025550143"}, "+12025550143"),
        ("freshsales", {"data": {"contact": {"phone_numbers": [{"value": "9"}]}}}, "9"),
        ("salesforce-flow", {"Contact_Phone": "+12025550143"}, "+12025550143"),
        (
            "dataverse",
            {"PreEntityImages": [{"value": {"Attributes": [{"key": "telephone1", "value": "8"}]}}]},
            "8",
        ),
        ("dataverse", {"InputParameters": None, "PostEntityImages": "odd"}, ""),
    ],
)
def test_presets_take_what_is_there(preset: str, body: Any, outto: str) -> None:
    assert one_wish(preset, body).outto == outto


def test_what_changed_goes_over_images_of_before_and_under_those_of_after() -> None:
    def image(number: str) -> list[Any]:
        return [{"key": "any", "value": {"Attributes": [{"key": "telephone1", "value": number}]}}]

    def target(number: str) -> list[Any]:
        return [{"key": "Target", "value": image(number)[0]["value"]}]

    context = {"PreEntityImages": image("1"), "InputParameters": target("2")}
    assert one_wish("dataverse", context).outto == "2"
    assert one_wish("dataverse", {**context, "PostEntityImages": image("3")}).outto == "3"


def test_events_of_one_record_are_told_apart() -> None:
    zero = "00000000-0000-0000-0000-000000000000"
    contexts = [{"OperationId": zero, "CorrelationId": text, "PrimaryEntityId": "r"} for text in ("a", "b")]
    events = [{"meta": {"id": 7, "timestamp": moment}, "current": {"phone": "1"}} for moment in (1, 2)]
    unmarked = [{"_model": "crm.lead", "_id": 9, "phone": number} for number in ("1", "2")]
    for preset, bodies in (("dataverse", contexts), ("pipedrive", events), ("odoo", unmarked)):
        assert len({one_wish(preset, body).dedupe for body in bodies}) == 2


def test_a_pipedrive_event_is_not_named_by_its_record_alone() -> None:
    def dedupe(**meta: Any) -> str:
        named = {"entity": "deal", "entity_id": 7, "id": 7, "timestamp": 1, "version": "2.0", **meta}
        return one_wish("pipedrive", {"meta": named, "data": {"phone": "1"}}).dedupe

    assert dedupe(attempt=1) == dedupe(attempt=2)
    assert len({dedupe(), dedupe(timestamp=2), dedupe(id=8, entity_id=8), dedupe(id="an-id-of-the-event")}) == 4


def test_a_context_that_dataverse_cut_is_said_to_be_so() -> None:
    cut = posted({"MessageName": "Update"}, {"x-ms-dynamics-msg-size-exceeded": "true"})
    with pytest.raises(BadPayload, match="256 KB"):
        preset_adapter("dataverse").wishes(cut)


def test_a_block_wins_over_its_preset_and_keeps_the_filters() -> None:
    block: dict[str, Any] = {
        "map": {"outto": "data.custom", "metadata": {"name": "data.name"}},
        "unless": "data.do_not_call",
        "when": "data.dial",
    }
    source = preset_adapter("pipedrive", **block)
    data = {"custom": "+12025550143", "phones": [{"value": "1"}], "name": "Ada", "dial": True}

    def wishes(changes: dict[str, Any], **meta: str) -> Any:
        return source.wishes(posted({"meta": {"id": "m", **meta}, "data": {**data, **changes}}))

    (wish,) = wishes({})
    assert (wish.outto, wish.metadata) == ("+12025550143", {"name": "Ada", "id": "m"})
    assert wishes({}, change_source="api") == wishes({"do_not_call": True}) == wishes({"dial": False}) == []


def test_another_kind_of_proof_replaces_that_of_the_preset() -> None:
    source = preset_adapter("dataverse", auth={"kind": "header", "header": "X-Key", "token": "t"})
    source.check(posted({}, {"x-key": "t"}))


def test_the_tolerant_reading_does_not_depend_on_the_fixture_being_whole() -> None:
    whole = json.loads(fixture("dataverse/update").body)
    for name in whole:
        rest = {key: value for key, value in whole.items() if key != name}
        preset_adapter("dataverse").wishes(posted(rest))


NAMES = "meta data current phone phones contact record id key value Attributes InputParameters user_id _id"
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES.split()), inner, max_size=4)


json_values = st.recursive(scalars, nested, max_leaves=12)


@given(body=json_values)
def test_no_payload_makes_a_preset_fail(body: Any) -> None:
    for name in presets.names():
        try:
            wishes = preset_adapter(name).wishes(posted(body))
        except BadPayload:
            continue
        assert all(wish.dedupe for wish in wishes)
