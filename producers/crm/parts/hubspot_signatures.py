"""
How HubSpot signs what it sends.

Source: developers.hubspot.com/docs, "Validating requests", read 2026-11-23; its examples are unit tests.
"""

import base64
import hmac
import re
from collections.abc import Iterator
from hashlib import sha256

from producers.crm.base import Delivery, NotAuthentic
from producers.crm.parts.auth import is_same

# HubSpot's own limit of age; a clock ahead of ours gets the same.
_WINDOW_S = 300.0
# The escapes that HubSpot takes out of the URL before it signs it; all others stay.
_ESCAPES = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$",
    "%27": "'", "%28": "(", "%29": ")", "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip
_ESCAPE = re.compile("|".join(_ESCAPES), re.IGNORECASE)
_TIMESTAMP = re.compile(r"[0-9]{1,15}")


def check_signature(delivery: Delivery, secret: bytes, *, require_v3: bool) -> None:
    """
    Return if an app's secret has signed a delivery by version 3, or by version 2 where 3 is not there.

    Args:
        delivery: As it came; its URL must be the public one, for that is what HubSpot signs.
        secret: The app's client secret.
        require_v3: Whether version 2 is not enough; it has no time, so what was sent once can be sent again.

    Raises:
        NotAuthentic: If not. Version 1 covers the body alone and is never enough.
    """
    headers = delivery.headers
    if "x-hubspot-signature-v3" in headers:
        is_signed = _is_v3(delivery, secret, headers["x-hubspot-signature-v3"])
    elif require_v3:
        raise NotAuthentic("X-HubSpot-Signature-v3 is missing; this source demands it (require_v3)")
    elif not headers.get("x-hubspot-signature"):
        raise NotAuthentic("a signature is missing; let HubSpot sign its requests")
    elif headers.get("x-hubspot-signature-version", "").strip().lower() == "v1":
        raise NotAuthentic("the signature is of version 1, which does not cover the URL; version 3 or 2 is needed")
    else:
        is_signed = _is_v2(delivery, secret, headers["x-hubspot-signature"])
    if not is_signed:
        raise NotAuthentic("the signature is wrong; compare client_secret and api.public_url with HubSpot's")


def _is_v3(delivery: Delivery, secret: bytes, signature: str) -> bool:
    stamp = delivery.headers.get("x-hubspot-request-timestamp", "").strip()
    if not _TIMESTAMP.fullmatch(stamp):
        raise NotAuthentic("X-HubSpot-Request-Timestamp is missing or no number; give unix milliseconds")
    if abs(delivery.received_at - int(stamp) / 1000) > _WINDOW_S:
        raise NotAuthentic("X-HubSpot-Request-Timestamp is more than 5 minutes off; set the clock by NTP")
    digests = (hmac.digest(secret, text + stamp.encode(), "sha256") for text in _signed_texts(delivery))
    return any(is_same(signature.strip(), base64.b64encode(digest).decode()) for digest in digests)


def _is_v2(delivery: Delivery, secret: bytes, signature: str) -> bool:
    digests = (sha256(secret + text).hexdigest() for text in _signed_texts(delivery))
    return any(is_same(signature.strip().lower(), digest) for digest in digests)


def _signed_texts(delivery: Delivery) -> Iterator[bytes]:
    """Yield method, URL and body as HubSpot may have put them together: the URL unescaped, and as received."""
    unescaped = _ESCAPE.sub(lambda found: _ESCAPES[found.group().upper()], delivery.url)
    for url in dict.fromkeys((unescaped, delivery.url)):
        yield f"{delivery.method}{url}".encode(errors="replace") + delivery.body
