"""One line in the log for each request, and the headers that every answer has."""

import time

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.metrics import request_served

log = structlog.get_logger()

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_WENT_WRONG = 400
_QUIET = ("/healthz", "/readyz")


class Logbook:
    """
    The outermost layer: notes what came of each request, without what it said.

    A path may hold a secret (`/hooks/SOURCE/TOKEN`) or a job's id: the route's template is logged instead.

    Args:
        app: What is behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.monotonic(), 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            seconds = time.monotonic() - begun
            request_served(_template_of(scope), scope["method"], status, seconds)
            if scope["path"] not in _QUIET:
                self._note(scope, status, seconds)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        caller = scope.get("state", {}).get("caller")
        said = {
            "method": scope["method"],
            "route": route_of(scope),
            "status": status,
            "ms": round(seconds * 1000, 1),
            "key": caller.admission.key.name if caller else "",
        }
        if "refused_because" in scope:
            said["why"] = scope["refused_because"]
        # What went well is told by jobs and metrics; a line for each would cost a tenth of the request.
        if status < _WENT_WRONG:
            log.debug("request", **said)
        else:
            log.info("request", **said)


def route_of(scope: Scope) -> str:
    """Return the template of the route that took a request, `none` if none did."""
    if "shown_path" in scope:
        return str(scope["shown_path"])
    return _template_of(scope)


def _template_of(scope: Scope) -> str:
    return getattr(scope.get("route"), "path_format", "") or str(scope.get("shown_path", "none"))
