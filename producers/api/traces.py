"""The first span of a job's trace: the request that brought it."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from producers.api.hooks import PATH as HOOKS
from producers.api.logbook import route_of
from worker import tracing

_WENT_WRONG = 500


class Traces:
    """
    Traces requests that may bring jobs; a caller's `traceparent` is gone on with (W3C Trace Context).

    Like the log it knows a request by its route: a path may hold a secret.

    Args:
        app: What is behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not (tracing.is_on() and scope["type"] == "http" and _may_bring_jobs(scope)):
            await self._app(scope, receive, send)
            return
        status = 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method, parent = scope["method"], Headers(scope=scope).get("traceparent", "")
        with tracing.begin(method, {"http.request.method": method}, kind="server", parent=parent) as span:
            try:
                await self._app(scope, receive, send_and_note)
            finally:
                route = route_of(scope)
                facts: dict[str, tracing.Value] = {"http.route": route, "http.response.status_code": status}
                span.note(facts, name=f"{method} {route}", failed=status >= _WENT_WRONG)


def _may_bring_jobs(scope: Scope) -> bool:
    return scope["method"] == "POST" or str(scope["path"]).startswith(HOOKS)
