"""Puts the parts of the HTTP intake together."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from producers.api import description, problems
from producers.api.access import Guard
from producers.api.batches import BatchRoutes
from producers.api.cross_origin import CrossOrigin
from producers.api.health import HealthRoutes
from producers.api.hooks import PATH as HOOKS
from producers.api.hooks import HookRoutes
from producers.api.intake import Intake
from producers.api.jobs import JobRoutes
from producers.api.logbook import Logbook
from producers.api.methods import Heads
from producers.api.page import OPEN_PATHS, PageRoutes
from producers.api.pbxs import PbxRoutes
from producers.api.redials import RedialRoutes
from producers.api.traces import Traces
from producers.crm import Adapter
from producers.enqueue import Dialer
from worker.errors import InputRefused, ServiceUnreachable

_OPEN = frozenset({"/healthz", "/readyz", *OPEN_PATHS})


def build(dialer: Dialer, sources: Callable[[], Mapping[str, Adapter]]) -> FastAPI:
    """
    Return the ASGI application of the intake; nothing is sent before its first request.

    Args:
        dialer: The door into the hopper.
        sources: Returns the CRM hooks by name.
    """
    intake = Intake(dialer, sources)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        intake.close()

    app = FastAPI(
        title="outdial",
        version=version("outdial"),
        summary="Hand in dial jobs, look at them, and take what CRMs send.",
        description="Every path under /v1 wants an API key: `Authorization: Bearer KEY`.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    # The batch comes before the route of one job, which would take `:batch` for the end of an id.
    routers = [
        part(intake).router
        for part in (BatchRoutes, JobRoutes, RedialRoutes, PbxRoutes, HookRoutes, HealthRoutes, PageRoutes)
    ]
    for router in routers:
        app.include_router(router)
    app.state.intake = intake
    app.state.routes = [*app.routes, *(route for router in routers for route in router.routes)]
    for kind in (
        problems.Problem,
        InputRefused,
        ServiceUnreachable,
        RequestValidationError,
        HTTPException,
        Exception,
    ):
        app.add_exception_handler(kind, problems.answer)
    app.add_exception_handler(405, problems.not_allowed)
    app.openapi = lambda: description.describe(app, list(dialer.settings.pbx))  # type: ignore[method-assign]  # FastAPI's own way
    app.add_middleware(Guard, admit=intake.admit, is_open=_is_open)
    if origins := dialer.settings.api.cors_origins:
        app.add_middleware(CrossOrigin, origins=origins)
    app.add_middleware(Traces)
    app.add_middleware(Logbook)
    app.add_middleware(Heads, but_under=HOOKS)
    return app


def _is_open(path: str) -> bool:
    return path in _OPEN or path.startswith(HOOKS)
