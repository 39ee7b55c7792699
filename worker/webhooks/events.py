"""The events that endpoints get, and how they are signed: Standard Webhooks 1.0."""

import json
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook

from worker.jobs import DialResult
from worker.webhooks.calls import Call
from worker.webhooks.endpoints import EndpointSettings, signing_key

TEST_EVENT = "webhook.test"


def result_event(result: DialResult, *, seq: int) -> bytes:
    """
    Return the body that tells of one end of a job; always the same for the same end.

    `{"type": "dial_job.placed", "timestamp": when it ended, "data": the result and `seq`}`; the last part of the
    type is the state.

    Args:
        result: What came of the job.
        seq: Counts the ends of this job, from 1.
    """
    plain = result.plain()
    return event(f"dial_job.{result.state}", timestamp=plain["finished_at"], data={**plain, "seq": seq})


def event(kind: str, *, timestamp: str, data: dict[str, object]) -> bytes:
    """Return the body of one event; *timestamp* is ISO 8601."""
    body = {"type": kind, "timestamp": timestamp, "data": data}
    return json.dumps(body, separators=(",", ":")).encode()


def signed_call(endpoint: EndpointSettings, body: bytes, *, message_id: str, now: datetime) -> Call:
    """
    Return the request that brings an event to an endpoint.

    Args:
        endpoint: Where it goes, and by which secrets it is signed.
        body: The event.
        message_id: The same over all attempts; without a full stop, which parts the signed text.
        now: The time of this attempt, in UTC: the library would take another zone's clock for it.

    Source: standardwebhooks specification 1.0.0.
    """
    secrets = [secret.get_secret_value() for secret in endpoint.secret]
    headers = {name: value.get_secret_value() for name, value in endpoint.headers.items()}
    headers |= {"Content-Type": "application/json", "User-Agent": "outdial"}
    headers |= _signature(secrets, body, message_id=message_id, now=now)
    return Call("POST", endpoint.url, headers, body)


def _signature(secrets: Sequence[str], body: bytes, *, message_id: str, now: datetime) -> dict[str, str]:
    signatures = [Webhook(signing_key(secret)).sign(message_id, now, body.decode()) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
