import json
from typing import Any

import pytest
from pydantic import ValidationError

from producers.crm.base import BadPayload, Delivery, NotAuthentic, Verdict, Wish
from producers.crm.hubspot import Adapter, Settings
from tests.unit.producers.crm.deliveries import FIXTURES, adapter_of, fixture
from worker.jobs import DialResult, JobState

HUBSPOT = adapter_of(FIXTURES / "hubspot/events.http")
CALLBACK = "ap-62517-56777914962-11-0"


def adapter(**block: Any) -> Adapter:
    return Adapter("hs", Settings(kind="hubspot", client_secret="made-up", **block))


def delivery(body: Any, *, url: str = "https://outdial.example/hooks/hs") -> Delivery:
    return Delivery(method="POST", url=url, headers={}, body=json.dumps(body).encode())


def wish_of(body: Any, **block: Any) -> Wish:
    (wish,) = adapter(**block).wishes(delivery(body))
    return wish


def event(**more: Any) -> dict[str, Any]:
    """An event as the documentation of the Webhooks API shows it, of a phone property."""
    return {
        "objectId": 1246965,
        "propertyName": "phone",
        "propertyValue": "+12025550143",
        "changeSource": "CRM_UI",
        "eventId": 3816279340,
        "subscriptionId": 25,
        "portalId": 33,
        "appId": 1160452,
        "occurredAt": 1462216307945,
        "subscriptionType": "contact.propertyChange",
        "attemptNumber": 0,
        **more,
    }


def result(state: JobState, **more: Any) -> DialResult:
    fields = {
        "job_id": "j1", "state": state, "pbx": "hq", "extid": "1002",
        "enqueued_at": "2026-11-23T10:00:00Z", "finished_at": "2026-11-23T10:00:09Z",
        "metadata": {"hubspot_callback_id": CALLBACK}, **more,
    }  # fmt: skip
    return DialResult.model_validate(fields)


def verdict(state: JobState, **more: Any) -> Verdict:
    wish = Wish(dedupe="d", outto="", metadata={"hubspot_callback_id": CALLBACK})
    return Verdict(wish, job_id="j1", state=state, is_new=True, **more)


# What comes in


def test_a_contact_of_a_workflow_is_called_at_its_first_number_by_its_owner() -> None:
    (wish,) = HUBSPOT.read(fixture("hubspot/workflow-contact"))
    assert (wish.outto, wish.user, wish.extid, wish.country) == ("(202) 555-0143", "411", None, "US")
    assert wish.metadata == {"hubspot_portal_id": "62517", "hubspot_object_id": "2604"}


def test_an_object_of_the_newer_api_is_read_too() -> None:
    (wish,) = HUBSPOT.read(fixture("hubspot/workflow-object"))
    assert (wish.outto, wish.user) == ("+44 20 7946 0018", None)
    assert wish.metadata["hubspot_object_type"] == "0-2"


@pytest.mark.parametrize(
    ("name", "outto", "user"),
    [("company", "020 7946 0018", "411"), ("ticket", "+12025550143", None), ("deal", "", None)],
)
def test_objects_of_all_kinds_are_read(name: str, outto: str, user: str | None) -> None:
    (wish,) = HUBSPOT.read(fixture(f"hubspot/workflow-{name}"))
    assert (wish.outto, wish.user) == (outto, user)


def test_events_of_all_other_subscriptions_are_taken_and_forgotten() -> None:
    events = fixture("hubspot/other-events")
    assert HUBSPOT.read(events) == []
    assert len(HUBSPOT.passed_over(events)) == len(json.loads(events.body))


def test_chosen_fields_may_name_the_extension() -> None:
    (wish,) = HUBSPOT.read(fixture("hubspot/workflow-chosen"))
    assert (wish.outto, wish.extid) == ("+12025550143", "1005")


def test_of_a_batch_only_wanted_changes_are_calls() -> None:
    wishes = HUBSPOT.read(fixture("hubspot/events"))
    assert [(wish.outto, wish.user) for wish in wishes] == [
        ("+12025550143", "userId:411"),
        ("(202) 555-0187", "userId:9"),
    ]
    assert len(HUBSPOT.passed_over(fixture("hubspot/events"))) == 6


def test_a_custom_action_goes_by_its_inputs_before_its_object() -> None:
    (wish,) = HUBSPOT.read(fixture("hubspot/action"))
    assert (wish.outto, wish.extid, wish.user, wish.country) == ("+44 20 7946 0958", "1005", "411", "GB")
    assert wish.metadata["hubspot_callback_id"] == CALLBACK
    assert wish.metadata["hubspot_workflow_id"] == "192814114"


def test_an_action_without_a_number_is_a_wish_that_can_be_refused() -> None:
    body = {
        "callbackId": "ap-102670506-56777914962-11-0",
        "origin": {"portalId": 102670506, "actionDefinitionId": 10860211},
        "object": {"objectId": 614, "objectType": "CONTACT"},
        "inputFields": {"widgetOwner": "10887165", "widgetName": "My Widget Name"},
    }
    assert wish_of(body).outto == ""


def test_an_unsigned_delivery_is_not_read() -> None:
    with pytest.raises(NotAuthentic):
        adapter().read(delivery({"phone": "+12025550143"}))


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        [event(changeSource="INTEGRATION")],
        [event(changeSource="api")],
        [event(objectId=None)],
        [event(eventId=None, occurredAt=None)],
        [event(subscriptionType="contact.creation")],
        [event(subscriptionType="contact.deletion", changeFlag="DELETED")],
        event(propertyName="lifecyclestage", propertyValue="subscriber", changeSource="ACADEMY"),
        [{"subscriptionType": "contact.associationChange", "fromObjectId": 1, "toObjectId": 2}],
        [{"eventType": "contact.merge", "primaryObjectId": 1, "mergedObjectIds": [2]}],
    ],
)
def test_what_is_no_wish_makes_none(body: Any) -> None:
    assert adapter().wishes(delivery(body)) == []


def test_the_older_name_of_the_event_type_is_read() -> None:
    older = event(eventType="contact.propertyChange")
    del older["subscriptionType"]
    assert wish_of([older]).outto == "+12025550143"


def test_a_trigger_property_is_the_only_one_that_counts() -> None:
    settings = {"trigger_property": "dial_to"}
    assert adapter(**settings).wishes(delivery([event()])) == []
    assert wish_of([event(propertyName="dial_to")], **settings).outto == "+12025550143"


def test_a_flag_has_no_number_so_its_wish_can_be_refused() -> None:
    settings = {"trigger_property": "dial_now", "trigger_value": "true"}
    assert wish_of([event(propertyName="dial_now", propertyValue="true")], **settings).outto == ""
    assert adapter(**settings).wishes(delivery([event(propertyName="dial_now", propertyValue="false")])) == []


@pytest.mark.parametrize("blank", ["", None, " "])
def test_a_blank_input_of_an_action_is_not_given(blank: str | None) -> None:
    record = {"objectId": 7, "properties": {"phone": "+12025550143", "country": "Germany"}}
    action = {"callbackId": "ap-1", "origin": {"portalId": 33}, "inputFields": {"phone": blank}, "object": record}
    (wish,) = adapter().wishes(delivery(action))
    assert (wish.outto, wish.country) == ("+12025550143", "Germany")


def test_other_accounts_than_the_listed_ones_wish_for_nothing() -> None:
    theirs = adapter(portals=[33])
    action = {"callbackId": "ap-1", "origin": {"portalId": 34}, "inputFields": {"phone": "+12025550143"}}
    deliveries = [delivery([event(portalId=34)]), delivery(action), delivery({"portal-id": 34, "phone": "1"})]
    assert [theirs.wishes(each) for each in deliveries] == [[], [], []]
    assert len(theirs.wishes(delivery([event()]))) == 1


@pytest.mark.parametrize(
    "difference",
    [{"eventId": 2}, {"subscriptionId": 2}, {"portalId": 2}, {"objectId": 2}, {"occurredAt": 2}],
    ids=lambda difference: next(iter(difference)),
)
def test_events_that_differ_in_any_id_are_two_wishes(difference: dict[str, int]) -> None:
    assert wish_of([event()]).dedupe != wish_of([event(**difference)]).dedupe


def test_an_object_changed_since_is_another_wish_and_so_is_another_workflow() -> None:
    body = {"id": "7", "properties": {"phone": "+12025550143"}, "updatedAt": "2026-11-23T10:00:00.000Z"}
    later = {**body, "updatedAt": "2026-11-23T10:05:00.000Z"}
    other = delivery(body, url="https://outdial.example/hooks/hs?workflow=2")
    dedupes = {wish_of(body).dedupe, wish_of(later).dedupe, adapter().wishes(other)[0].dedupe}
    assert len(dedupes) == 3
    assert not any("555" in dedupe for dedupe in dedupes)


def test_a_contacts_own_extension_does_not_choose_who_calls() -> None:
    assert wish_of({"vid": 1, "properties": {"phone": {"value": "+12025550143"}, "extension": "77"}}).extid is None


def test_numbers_may_come_as_integers_and_metadata_are_chosen() -> None:
    wish = wish_of(
        {"id": 1, "phone": 12025550143, "note": {"value": "later"}}, metadata_properties=["note", "absent"]
    )
    assert wish.outto == "12025550143"
    assert wish.metadata == {"hubspot_object_id": "1", "note": "later"}


@pytest.mark.parametrize(
    "body",
    [
        7,
        "x",
        [7],
        [[event()]],
        {"callbackId": None},
        {"callbackId": "../../../etc"},
        {"callbackId": "ap-1", "origin": 7},
        {"callbackId": "ap-1", "inputFields": ["phone"]},
        {"id": 1, "properties": "phone"},
    ],
)
def test_what_cannot_be_read_is_said_without_quoting_it(body: Any) -> None:
    with pytest.raises(BadPayload) as refused:
        adapter().wishes(delivery(body))
    assert "555" not in str(refused.value)


# What goes back


def outputs(verdicts: list[Verdict], **block: Any) -> dict[str, str]:
    answer = adapter(**block).answer(verdicts)
    assert answer.status == 200
    fields: dict[str, str] = json.loads(answer.body)["outputFields"]
    return fields


def test_webhooks_are_answered_by_an_empty_object() -> None:
    wish = Wish(dedupe="d", outto="")
    assert adapter().answer([Verdict(wish, "j1", JobState.WAITING, is_new=True)]).body == b"{}"


def test_a_custom_action_waits_for_the_end_of_its_call() -> None:
    assert outputs([verdict(JobState.WAITING)], access_token="t", wait_s=900) == {
        "outdial_state": "waiting",
        "outdial_job_id": "j1",
        "hs_execution_state": "BLOCK",
        "hs_expiration_duration": "PT900S",
    }


def test_without_an_access_token_the_workflow_goes_on_at_once() -> None:
    assert outputs([verdict(JobState.WAITING)])["hs_execution_state"] == "SUCCESS"


def test_a_refused_action_is_told_why_at_once() -> None:
    refused = verdict(JobState.REFUSED, errno="invalid_number", error="outto: +12025550143 is not right")
    said = outputs([refused], access_token="t")
    assert (said["hs_execution_state"], said["outdial_errno"]) == ("FAIL_CONTINUE", "invalid_number")
    assert "2025550143" not in said["outdial_error"]


@pytest.mark.parametrize(
    ("state", "execution"),
    [
        (JobState.PLACED, "SUCCESS"),
        (JobState.FAILED, "FAIL_CONTINUE"),
        (JobState.UNKNOWN, "FAIL_CONTINUE"),
        (JobState.EXPIRED, "FAIL_CONTINUE"),
    ],
)
def test_the_end_of_its_call_completes_the_action(state: JobState, execution: str) -> None:
    call = adapter(access_token="pat-made-up").result_call(result(state, callid="1.2"), seq=1)
    assert call is not None
    assert call.url == f"https://api.hubapi.com/automation/actions/callbacks/2026-03/{CALLBACK}/complete"
    assert call.headers["Authorization"] == "Bearer pat-made-up"
    fields = json.loads(call.body)["outputFields"]
    assert (fields["hs_execution_state"], fields["outdial_state"]) == (execution, state)
    assert "pat-made-up" not in repr(call)


def test_only_an_action_that_still_waits_is_completed() -> None:
    with_token, placed = adapter(access_token="t"), result(JobState.PLACED)
    at_the_door = result(JobState.REFUSED, finished_at="2026-11-23T10:00:00Z")
    assert adapter().result_call(placed, seq=1) is None
    assert with_token.result_call(placed, seq=2) is None
    assert with_token.result_call(result(JobState.PLACED, metadata={}), seq=1) is None
    assert with_token.result_call(at_the_door, seq=1) is None
    assert with_token.result_call(result(JobState.REFUSED), seq=1) is not None


# Settings


def test_ignored_sources_may_be_written_in_any_case() -> None:
    assert adapter(ignored_sources=["crm_ui"]).wishes(delivery([event()])) == []


def test_a_number_cannot_be_chosen_as_metadata() -> None:
    with pytest.raises(ValidationError, match="metadata_properties: phone"):
        adapter(metadata_properties=["phone"])
