"""HTTP methods: HEAD where a path has GET, the value of `Allow`, and requests that only fetch ahead."""

from collections.abc import Iterable, Mapping, Sequence

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

# How browsers mark a request that no person made: Chrome, Firefox and Safari now, and the two of old ones.
_MARKS = ("sec-purpose", "purpose", "x-purpose", "x-moz")
_AHEAD = ("prefetch", "prerender", "preview")


class Heads:
    """
    Serves HEAD as GET, except where GET may change something; the server leaves the body out.

    Args:
        app: The application behind it.
        but_under: Requests for paths that begin so keep their method.
    """

    def __init__(self, app: ASGIApp, *, but_under: str) -> None:
        self._app = app
        self._but_under = but_under

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        if is_head and not scope["path"].startswith(self._but_under):
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def allowed(path: str, routes: Sequence[BaseRoute]) -> str:
    """Return the value of `Allow` for a path: the methods of all its routes; Starlette names those of one."""
    found = {
        method
        for route in routes
        if isinstance(route, Route) and route.path_regex.match(path)
        for method in route.methods or ()
    }
    return listed(found | {"HEAD"} if "GET" in found else found)


def listed(methods: Iterable[str]) -> str:
    """Return methods as `Allow` and sentences list them."""
    return ", ".join(sorted(methods))


def is_fetched_ahead(headers: Mapping[str, str]) -> bool:
    """
    Return whether a browser marks a request as a prefetch or preview, which no person asked for yet.

    Source: `Sec-Purpose` of the Fetch standard (WHATWG), read 2026-11-30; the others are its forerunners.
    """
    marks = " ".join(headers.get(name, "") for name in _MARKS).lower()
    return any(word in marks for word in _AHEAD)
