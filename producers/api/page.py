"""The page to dial from, and the one that describes the interface: files without a secret, open to all."""

from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from producers.api.intake import Intake
from producers.api.live import LiveRoutes

_FOLDER = Path(__file__).parent / "static"
_PAGES = {"/": "page.html", "/docs": "docs.html"}
_PARTS = (
    "docs.css",
    "docs.js",
    "door.js",
    "elements.js",
    "form.js",
    "icon.svg",
    "jobs.js",
    "look.css",
    "page.js",
    "schema.js",
    "stream.js",
)
_FILES = _PAGES | {f"/static/{name}": name for name in _PARTS}
OPEN_PATHS = tuple(_FILES)

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {
    # The names stay the same from version to version, so whoever has a copy asks whether it is still right.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


class PageRoutes:
    """
    Serves what is in `producers/api/static`, each file under a path of its own, and the live state they show.

    Args:
        intake: What it shares with the others.
    """

    def __init__(self, intake: Intake) -> None:
        self.router = APIRouter(include_in_schema=False)
        self.router.include_router(LiveRoutes(intake).router)
        for path, name in _FILES.items():
            self.router.add_api_route(path, _File(_FOLDER / name).serve, methods=["GET", "HEAD"])


class _File:
    """One file, held in memory."""

    def __init__(self, file: Path) -> None:
        self._content = file.read_bytes()
        self._type = f"{_TYPES[file.suffix]}; charset=utf-8"
        self._tag = f'"{sha256(self._content).hexdigest()[:20]}"'

    async def serve(self, request: Request) -> Response:
        headers = _HEADERS | {"ETag": self._tag}
        # A proxy that compresses makes our tag a weak one (RFC 9110, section 13.1.2 compares them all the same).
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if self._tag in known:
            return Response(status_code=304, headers=headers)
        return Response(self._content, headers=headers, media_type=self._type)
