import json
from typing import Any

import pytest
from pydantic import ValidationError

from producers.crm.base import BadPayload, Delivery, NotAuthentic
from producers.crm.bitrix24 import Adapter, Settings
from tests.unit.producers.crm.deliveries import FIXTURES, adapter_of, fixture
from worker.jobs import DialResult, JobState, Priority

BITRIX24 = adapter_of(FIXTURES / "bitrix24/click.http")
TOKEN = "00112233445566778899aabbccddeeff"
CALL_ID = "externalCall.00ff11ee22dd33cc44bb55aa66997788.1795428000"


def adapter(**block: Any) -> Adapter:
    return Adapter("b24", Settings(kind="bitrix24", application_token=TOKEN, **block))


def delivery(body: Any) -> Delivery:
    return Delivery(
        method="POST", url="https://outdial.example/hooks/b24", headers={}, body=json.dumps(body).encode()
    )


def click(data: dict[str, Any], **auth: str) -> Delivery:
    return delivery({"event": "ONEXTERNALCALLSTART", "data": data, "auth": {"application_token": TOKEN, **auth}})


def result(state: JobState, **more: Any) -> DialResult:
    fields = {
        "job_id": "j1", "state": state, "pbx": "hq", "extid": "1002", "enqueued_at": "2026-11-23T10:00:00Z",
        "metadata": {"bitrix24_call_id": CALL_ID, "bitrix24_user_id": "1269"}, **more,
    }  # fmt: skip
    return DialResult.model_validate(fields)


def finished(state: JobState, **more: Any) -> dict[str, Any]:
    call = adapter(rest_url="https://acme.example/rest/1/s3cret/").result_call(result(state, **more), seq=1)
    assert call is not None
    assert call.url == "https://acme.example/rest/1/s3cret/telephony.externalcall.finish"
    assert "s3cret" not in repr(call)
    fields: dict[str, Any] = json.loads(call.body)
    return fields


def test_a_click_is_a_call_by_the_one_who_clicked() -> None:
    (wish,) = BITRIX24.read(fixture("bitrix24/click"))
    assert (wish.outto, wish.user) == ("+442079460018", "1269")
    assert wish.metadata == {
        "bitrix24_call_id": CALL_ID,
        "bitrix24_user_id": "1269",
        "bitrix24_entity_type": "CONTACT",
        "bitrix24_entity_id": "797",
        "bitrix24_line": "7",
    }


def test_a_click_may_come_as_json_with_a_national_number_alone() -> None:
    data = {"PHONE_NUMBER": "2025550143", "PHONE_NUMBER_INTERNATIONAL": "", "USER_ID": 77, "CALL_ID": "c1"}
    (wish,) = adapter().read(click(data))
    assert (wish.outto, wish.user, wish.dedupe) == ("2025550143", "77", "call:c1")


@pytest.mark.parametrize("typed", ["(202) 555-0143 x12", "(202) 555-0143 / 555-0144"])
def test_what_was_typed_counts_where_it_holds_more_than_one_number(typed: str) -> None:
    data = {"PHONE_NUMBER": typed, "PHONE_NUMBER_INTERNATIONAL": "+12025550143", "USER_ID": 77, "CALL_ID": "c1"}
    (wish,) = adapter().read(click(data))
    assert wish.numbers == (typed,)
    (wish,) = adapter().read(click({**data, "PHONE_NUMBER": "(202) 555-0143"}))
    assert wish.numbers == ("+12025550143", "(202) 555-0143")


def test_a_person_waits_so_calls_are_urgent_and_soon_too_late() -> None:
    assert (BITRIX24.settings.priority, BITRIX24.settings.expires_in_s) == (Priority.URGENT, 60)


def test_a_callback_rings_the_default_extension_and_its_key_shows_no_number() -> None:
    (wish,) = BITRIX24.read(fixture("bitrix24/callback"))
    assert (wish.outto, wish.user) == ("+12025550143", None)
    assert "555" not in wish.dedupe
    assert wish.metadata["bitrix24_entity_id"] == "5785"


@pytest.mark.parametrize("name", ["other-event", "call-of-the-pbx"])
def test_other_events_wish_for_nothing(name: str) -> None:
    assert BITRIX24.read(fixture(f"bitrix24/{name}")) == []
    assert len(BITRIX24.passed_over(fixture(f"bitrix24/{name}"))) == 1


@pytest.mark.parametrize(
    "auth", [{"application_token": "another"}, {"application_token": ""}, {"application_token": "é"}]
)
def test_another_token_is_not_authentic(auth: dict[str, str]) -> None:
    with pytest.raises(NotAuthentic, match="application_token"):
        adapter().read(click({"CALL_ID": "c1"}, **auth))


def test_an_event_without_auth_is_not_authentic() -> None:
    with pytest.raises(NotAuthentic):
        adapter().read(delivery({"event": "ONEXTERNALCALLSTART", "data": {"CALL_ID": "c1"}}))


@pytest.mark.parametrize("block", [{"domains": ["mine.example"]}, {"member_ids": ["m1"]}])
def test_other_accounts_are_not_let_in(block: dict[str, list[str]]) -> None:
    theirs, mine = {"domain": "theirs.example", "member_id": "m2"}, {"domain": "mine.example", "member_id": "m1"}
    with pytest.raises(NotAuthentic):
        adapter(**block).check(click({}, **theirs))
    adapter(**block).check(click({}, **mine))


@pytest.mark.parametrize("data", [{}, [], {"CALL_ID": ""}, {"CALL_ID": "c" * 201}, {"CALL_ID": {"a": "b"}}, "x"])
def test_a_click_without_a_usable_call_id_cannot_be_read(data: Any) -> None:
    with pytest.raises(BadPayload):
        adapter().read(click(data))


def test_a_placed_call_is_finished_with_an_unknown_duration() -> None:
    assert finished(JobState.PLACED) == {
        "CALL_ID": CALL_ID,
        "USER_ID": "1269",
        "DURATION": 0,
        "STATUS_CODE": "200",
        "ADD_TO_CHAT": 0,
    }


@pytest.mark.parametrize(
    ("state", "errno", "status"),
    [
        (JobState.FAILED, "10008", "486"),
        (JobState.FAILED, "10011", "404"),
        (JobState.FAILED, "unreachable", "503"),
        (JobState.FAILED, "10006", "603"),
        (JobState.REFUSED, "invalid_number", "404"),
        (JobState.REFUSED, "emergency_number", "403"),
        (JobState.UNKNOWN, "unreachable", "OTHER"),
        (JobState.CANCELLED, None, "603-S"),
        (JobState.EXPIRED, None, "480"),
    ],
)
def test_each_end_has_its_status_code(state: JobState, errno: str | None, status: str) -> None:
    fields = finished(state, errno=errno, error="the number +12025550143 is odd")
    assert fields["STATUS_CODE"] == status
    assert "2025550143" not in fields["FAILED_REASON"]


def test_a_call_by_no_known_user_is_finished_by_its_extension() -> None:
    assert finished(JobState.PLACED, metadata={"bitrix24_call_id": CALL_ID})["USER_PHONE_INNER"] == "1002"


def test_calls_are_finished_once_and_only_those_bitrix24_waits_for() -> None:
    told, placed = adapter(rest_url="https://acme.example/rest/1/s"), result(JobState.PLACED)
    assert told.result_call(placed, seq=2) is None
    assert told.result_call(result(JobState.PLACED, metadata={}), seq=1) is None
    assert adapter().result_call(placed, seq=1) is None
    by_pbx = adapter(rest_url="https://acme.example/rest/1/s", finish_placed=False)
    assert by_pbx.result_call(placed, seq=1) is None
    assert by_pbx.result_call(result(JobState.FAILED), seq=1) is not None


def test_a_rest_url_that_is_none_is_refused_without_being_shown() -> None:
    with pytest.raises(ValidationError) as refused:
        adapter(rest_url="acme.example/rest/1/s3cret")
    assert "s3cret" not in str(refused.value)
