"""Handshakes that several senders share, each as the block `handshake` of a source: what `like` stands for."""

from collections.abc import Mapping
from typing import Any

_ECHO = "{{ challenge }}"

# Sources, read 2026-11-30: "Webhooks" of monday.com and "url_verification" of Slack; "Webhooks" of Asana, "REST
# Hooks" of Keap, "Using webhooks" of Less Annoying CRM; "Webhooks" of Meta; "Receive change notifications through
# webhooks" (Graph) and "Webhook event delivery" (Event Grid) of Microsoft; "HTTP webhooks" of CloudEvents 1.0;
# "Validate your webhook endpoint" of Zoom; "Securing webhooks" of X; "Set up webhooks" of Intercom.
KNOWN: Mapping[str, Mapping[str, Any]] = {
    # A field of the body is echoed. In a record that has a field of this name it does not come alone.
    "challenge": {
        "when": "length(@) == `1` || type == 'url_verification'",
        "challenge": "challenge",
        "body": {"challenge": _ECHO},
    },
    # A header is echoed as the same header.
    "hook-secret": {"challenge": "header('X-Hook-Secret')", "headers": {"X-Hook-Secret": _ECHO}},
    # A GET with the challenge in its query, and a token that both sides know.
    "hub": {
        "methods": ["GET"],
        "when": "query('hub.mode') == 'subscribe'",
        "challenge": "query('hub.challenge')",
        "body": _ECHO,
        "auth": {"kind": "url_token", "parameter": "hub.verify_token"},
    },
    "validation-token": {"challenge": "query('validationToken')", "body": _ECHO},
    "event-grid": {
        "when": "[0].eventType == 'Microsoft.EventGrid.SubscriptionValidationEvent'",
        "challenge": "[0].data.validationCode",
        "body": {"validationResponse": _ECHO},
    },
    "cloudevents": {
        "methods": ["OPTIONS"],
        "challenge": "header('WebHook-Request-Origin')",
        "headers": {"WebHook-Allowed-Origin": _ECHO, "WebHook-Allowed-Rate": "*"},
    },
    # The answer is signed by the secret that signs deliveries too.
    "zoom": {
        "when": "event == 'endpoint.url_validation'",
        "challenge": "payload.plainToken",
        "body": {"plainToken": _ECHO, "encryptedToken": "{{ hmac_hex }}"},
    },
    "crc": {
        "methods": ["GET"],
        "challenge": "query('crc_token')",
        "body": {"response_token": "sha256={{ hmac_base64 }}"},
    },
    # The CRM only looks whether the address answers.
    "alive": {"methods": ["GET", "HEAD"]},
}
