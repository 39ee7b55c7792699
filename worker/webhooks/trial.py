"""Trying an endpoint now, with an event that is about nothing."""

import secrets
from datetime import UTC, datetime

from worker.settings import Settings
from worker.webhooks.events import TEST_EVENT, event, signed_call
from worker.webhooks.transport import NoReply, Transport
from worker.webhooks.verdicts import answer_words


def try_endpoint(settings: Settings, name: str) -> tuple[bool, str]:
    """
    Send a signed `webhook.test` event from this process, past the queue.

    Args:
        settings: Where the endpoint is.
        name: One of `settings.webhook`.

    Returns:
        Whether it was taken, and a sentence without address or secret; `outdial webhooks list` has the same.
    """
    now = datetime.now(UTC)
    timestamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    body = event(TEST_EVENT, timestamp=timestamp, data={"endpoint": name})
    endpoint = settings.webhook[name]
    call = signed_call(endpoint, body, message_id=f"test_{secrets.token_hex(8)}", now=now)
    heard = Transport().send(call, endpoint)
    if isinstance(heard, NoReply):
        return False, heard.error
    return 200 <= heard.status < 300, f"it answered {answer_words(heard.status)}"
