from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from pydantic import ValidationError

from producers.crm.base import BadPayload, Delivery, NotAuthentic
from producers.crm.salesforce import Adapter, Settings
from tests.unit.producers.crm.deliveries import FIXTURES, adapter_of, fixture

SALESFORCE = adapter_of(FIXTURES / "salesforce/one.http")


def adapter(**block: Any) -> Adapter:
    return Adapter(
        "sf",
        Settings.model_validate({"kind": "salesforce", "without_token": True, "any_organization": True, **block}),
    )


def changed(name: str, old: str, new: str) -> Delivery:
    whole = fixture(name)
    return replace(whole, body=whole.body.replace(old.encode(), new.encode()))


def test_a_lead_without_owner_is_called_at_the_number_it_has() -> None:
    (wish,) = SALESFORCE.read(fixture("salesforce/lead"))
    assert (wish.outto, wish.user, wish.metadata["salesforce_object"]) == ("202-555-0187", None, "Lead")


def test_a_notification_is_a_call_by_the_records_owner() -> None:
    (wish,) = SALESFORCE.read(fixture("salesforce/one"))
    assert (wish.outto, wish.user, wish.dedupe) == (
        "(202) 555-0143",
        "0055e000003tXyZ",
        "notification:04l5e00000Gx7QzAAJ",
    )
    assert wish.metadata == {
        "salesforce_organization_id": "00D5e000000KQ2eEAG",
        "salesforce_notification_id": "04l5e00000Gx7QzAAJ",
        "salesforce_object": "Contact",
        "salesforce_id": "0035e00000ZkM3hAAF",
        "LastName": "Lovelace",
    }


def test_each_notification_is_a_wish_and_a_nil_field_is_no_number() -> None:
    wishes = SALESFORCE.read(fixture("salesforce/two"))
    assert [wish.outto for wish in wishes] == ["(202) 555-0143", "+44 20 7946 0018"]
    assert [wish.user for wish in wishes] == ["0055e000003tXyZ", "0055e000009aBcDAAU"]


def test_prefixes_are_free() -> None:
    assert SALESFORCE.read(fixture("salesforce/other-prefixes")) == SALESFORCE.read(fixture("salesforce/one"))


def test_a_message_may_begin_with_blank_lines() -> None:
    whole = fixture("salesforce/one")
    assert SALESFORCE.read(replace(whole, body=b"\r\n\n" + whole.body)) == SALESFORCE.read(whole)


def test_a_record_without_a_number_is_a_wish_that_can_be_refused() -> None:
    (wish,) = adapter(number_fields=["Fax"]).wishes(fixture("salesforce/one"))
    assert wish.outto == ""


def test_a_country_field_says_whose_number_it_is() -> None:
    body = changed("salesforce/one", "<sf:LastName>Lovelace<", "<sf:LastName>gb<")
    assert adapter(country_field="LastName").wishes(body)[0].country == "gb"
    assert adapter(country_field="LastName").wishes(fixture("salesforce/one"))[0].country == "Lovelace"


@pytest.mark.parametrize("token", [None, "", "0123456789abcdef0123456789abcdeX", "é"])
def test_another_token_is_not_authentic_and_the_body_is_not_read(token: str | None) -> None:
    with pytest.raises(NotAuthentic, match="token"):
        SALESFORCE.read(replace(fixture("salesforce/one"), token=token, body=b"<no"))


def test_another_organization_is_not_authentic() -> None:
    with pytest.raises(NotAuthentic, match="organizations"):
        SALESFORCE.read(changed("salesforce/one", "00D5e000000KQ2eEAG", "00D5e000000KQ2fEAG"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<soapenv:Envelope", "<!DOCTYPE x [<!ENTITY a 'b'>]><soapenv:Envelope"),
        ("<Id>04l5e00000Gx7QzAAJ</Id>", ""),
        ("<Id>04l5e00000Gx7QzAAJ</Id>", '<Id xsi:nil="true"/>'),
        ("notifications", "queryResponse"),
        ("</soapenv:Envelope>", ""),
    ],
    ids=["doctype", "no-id", "nil-id", "another-message", "cut-off"],
)
def test_what_is_no_outbound_message_cannot_be_read(old: str, new: str) -> None:
    with pytest.raises(BadPayload):
        adapter().wishes(changed("salesforce/one", old, new))


@pytest.mark.parametrize("body", [b"", b"{}", b"<a/>", b"<Envelope>x</Envelope>", b"<Envelope><Body/></Envelope>"])
def test_neither_can_anything_else(body: bytes) -> None:
    with pytest.raises(BadPayload):
        adapter().wishes(replace(fixture("salesforce/one"), body=body))


def test_more_notifications_than_salesforce_sends_are_not_read() -> None:
    one = "<Notification><Id>04l</Id></Notification>"
    with pytest.raises(BadPayload, match="100"):
        adapter().wishes(changed("salesforce/one", "<Notification>", one * 100 + "<Notification>"))


def test_the_answer_acknowledges_the_whole_message() -> None:
    answer = SALESFORCE.answer([])
    acks = ET.fromstring(answer.body).iter("{http://soap.sforce.com/2005/09/outbound}Ack")
    assert (answer.status, answer.media_type, [ack.text for ack in acks]) == (200, "text/xml", ["true"])


@pytest.mark.parametrize(
    ("block", "field"),
    [
        ({"organizations": ["00D5e000000KQ2e"]}, "token"),
        ({"token": "0123456789abcdef"}, "organizations"),
        ({"token": "0123456789abcdef", "organizations": ["Acme"]}, "organizations"),
        ({"token": "short", "any_organization": True}, "token"),
        ({"without_token": True, "any_organization": True, "metadata_fields": ["Phone"]}, "metadata_fields"),
    ],
)
def test_a_source_that_proves_too_little_is_refused_at_load(block: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        Settings.model_validate({"kind": "salesforce", **block})


def test_a_source_that_does_without_a_proof_says_so() -> None:
    assert SALESFORCE.warnings() == []
    assert [sentence.partition(":")[0] for sentence in adapter().warnings()] == [
        "without_token",
        "any_organization",
    ]
