"""Which methods a path has: HEAD wherever there is GET, and for the rest a 405 that names them."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send


class Heads:
    """
    Serves HEAD as GET; the server leaves the body out, for it knows what was asked.

    Args:
        app: What is behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def allowed(path: str, routes: Sequence[BaseRoute]) -> str:
    """Return the value of `Allow` for a path: the methods of all its routes, of which Starlette names one's."""
    found = {
        method
        for route in routes
        if isinstance(route, Route) and route.path_regex.match(path)
        for method in route.methods or ()
    }
    return ", ".join(sorted(found | {"HEAD"} if "GET" in found else found))
