"""Whatever a body holds, adapters with a protocol of their own read it, or say that they cannot."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from producers.crm.base import Adapter, BadPayload, Delivery
from tests.unit.producers.crm.deliveries import FIXTURES, adapter_of

ADAPTERS = {kind: adapter_of(FIXTURES / kind / "source.toml") for kind in ("hubspot", "bitrix24", "salesforce")}
HUBSPOT_NAMES = (
    "callbackId", "origin", "object", "inputFields", "properties", "phone", "portalId", "objectId", "eventId",
    "subscriptionType", "propertyName", "propertyValue", "changeSource", "vid", "context", "lastmodifieddate",
    "value",
)  # fmt: skip
BITRIX24_NAMES = (
    "event",
    "data",
    "auth",
    "application_token",
    "CALL_ID",
    "USER_ID",
    "PHONE_NUMBER",
    "ts",
    "member_id",
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["contact.propertyChange", "phone", "ONEXTERNALCALLSTART", "ONEXTERNALCALLBACKSTART", "ap-1"]),
)
TAGS = ("Envelope", "Body", "notifications", "OrganizationId", "Notification", "Id", "sObject", "Phone", "OwnerId")
XML = st.recursive(
    st.sampled_from(["", "04l", '<Id nil="true"/>', "<sf:Phone xmlns:sf='u'>1</sf:Phone>"]),
    lambda inner: st.lists(st.tuples(st.sampled_from(TAGS), inner), min_size=1, max_size=4).map(
        lambda children: "".join(f"<{tag}>{child}</{tag}>" for tag, child in children)
    ),
    max_leaves=12,
)


def json_of(names: tuple[str, ...]) -> st.SearchStrategy[Any]:
    return st.recursive(
        VALUES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=6),
        max_leaves=20,
    )


def reads_or_refuses(adapter: Adapter, body: bytes) -> None:
    delivery = Delivery(method="POST", url="https://outdial.example/hooks/x?a=b", headers={}, body=body)
    try:
        wishes = adapter.wishes(delivery)
    except BadPayload:
        return
    assert all(wish.dedupe and isinstance(wish.outto, str) for wish in wishes)
    assert all(text for wish in wishes for text in wish.metadata.values())
    adapter.passed_over(delivery)


@settings(max_examples=60)
@given(value=json_of(HUBSPOT_NAMES))
def test_any_json_from_hubspot_is_read_or_refused(value: Any) -> None:
    reads_or_refuses(ADAPTERS["hubspot"], json.dumps(value).encode())


@settings(max_examples=60)
@given(value=json_of(BITRIX24_NAMES))
def test_any_json_from_bitrix24_is_read_or_refused(value: Any) -> None:
    reads_or_refuses(ADAPTERS["bitrix24"], json.dumps(value).encode())


@settings(max_examples=60)
@given(inside=XML)
def test_any_xml_is_read_or_refused(inside: str) -> None:
    reads_or_refuses(ADAPTERS["salesforce"], f"<Envelope><Body>{inside}</Body></Envelope>".encode())


@given(body=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for adapter in ADAPTERS.values():
        reads_or_refuses(adapter, body)
