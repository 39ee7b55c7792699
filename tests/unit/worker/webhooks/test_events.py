"""What endpoints get, and that its signatures are those of Standard Webhooks."""

import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from worker.jobs import DialResult
from worker.webhooks.endpoints import EndpointSettings
from worker.webhooks.events import result_event, signed_call

SECRET, OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
JOB = "6f2b7f0e-5a0f-4f5c-9d55-0d1a1f0c0d1a"
RESULT = DialResult.model_validate(
    {
        "job_id": JOB,
        "state": "placed",
        "callid": "1.7",
        "pbx": "hq",
        "extid": "1001",
        "enqueued_at": "2026-11-23T12:00:00Z",
        "finished_at": "2026-11-23T12:00:09.5Z",
        "metadata": {"lead": "Ünal"},
    }
)


def endpoint(*secrets: str, **more: object) -> EndpointSettings:
    return EndpointSettings.model_validate({"url": "https://crm.example.com/hook", "secret": list(secrets)} | more)


def test_an_event_holds_the_result_and_its_seq_and_is_always_the_same() -> None:
    body = result_event(RESULT, seq=2)

    told = json.loads(body)
    assert (told["type"], told["timestamp"]) == ("dial_job.placed", "2026-11-23T12:00:09.500Z")
    assert told["data"] == RESULT.plain() | {"seq": 2}
    assert body == result_event(RESULT, seq=2)


def test_the_known_answer_of_the_specification_is_reached() -> None:
    now = datetime.fromtimestamp(1614265330, UTC)
    call = signed_call(
        endpoint(SECRET), b'{"test": 2432232314}', message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", now=now
    )

    assert call.headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert call.headers["webhook-timestamp"] == "1614265330"


def test_during_a_rotation_both_secrets_verify_and_no_other() -> None:
    body = result_event(RESULT, seq=1)
    call = signed_call(endpoint(SECRET, OTHER), body, message_id=f"{JOB}_1_crm", now=datetime.now(UTC))

    assert Webhook(SECRET).verify(body, dict(call.headers)) == json.loads(body)
    assert Webhook(OTHER).verify(body, dict(call.headers)) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(body, dict(call.headers))


def test_headers_of_the_operator_go_along_and_are_shown_nowhere() -> None:
    made = endpoint(SECRET, headers={"Authorization": "Bearer t0ken"})
    call = signed_call(made, b"{}", message_id="x", now=datetime.now(UTC))

    assert call.headers["Authorization"] == "Bearer t0ken"
    assert all(
        secret not in f"{made!r}{made}{call!r}" for secret in ("t0ken", SECRET, SECRET[6:], "crm.example.com")
    )
