"""Pages of other origins that may use `/v1` (CORS): those that the settings list, and no others."""

from collections.abc import Collection

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_UNDER = "/v1/"
_METHODS = ("GET", "POST")
_REQUEST_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "traceparent", "tracestate")
_RESPONSE_HEADERS = ("Location", "Link", "Retry-After", "RateLimit", "RateLimit-Policy", "Idempotency-Replayed")
# A browser asks again after this; Chromium keeps an answer for two hours at most.
_KEPT_S = 600


class CrossOrigin:
    """
    Answers preflights, and lets pages of some origins read the answers of `/v1`.

    It stands in front of the guard: a preflight has no API key. Browsers send no credentials by themselves here,
    because there are no cookies; a page has to have the key that it sends.

    Args:
        app: The application behind it.
        origins: Exact origins.
    """

    def __init__(self, app: ASGIApp, *, origins: Collection[str]) -> None:
        self._app = app
        self._cors = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_REQUEST_HEADERS,
            expose_headers=_RESPONSE_HEADERS,
            allow_credentials=False,
            # Intakes are often on a private network, and these origins were chosen.
            allow_private_network=True,
            max_age=_KEPT_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_under = scope["type"] == "http" and scope["path"].startswith(_UNDER)
        await (self._cors if is_under else self._app)(scope, receive, send)
