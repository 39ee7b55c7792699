"""Routes for those who watch over the process."""

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from producers.api.intake import Intake
from producers.api.models import Health
from worker.errors import ServiceUnreachable

# Whoever asks for readiness asks often, and must not wait for a Redis that hangs.
_ANSWER_WITHIN_S = 2.0


class HealthRoutes:
    """
    `/healthz`: the process lives. `/readyz`: Redis answers and takes jobs.

    Args:
        intake: Whose Redis is asked.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.router = APIRouter(tags=["health"])
        unready: dict[int | str, dict[str, Any]] = {
            503: {"model": Health, "description": "Redis does not answer; jobs are refused."}
        }
        self.router.add_api_route("/healthz", self.alive, methods=["GET"], response_model=Health, summary="Alive?")
        self.router.add_api_route(
            "/readyz",
            self.ready,
            methods=["GET"],
            response_model=Health,
            responses=unready,
            summary="Ready for jobs?",
        )

    async def alive(self) -> Response:
        """Say that the process serves requests."""
        return JSONResponse({"status": "ok"})

    async def ready(self) -> Response:
        """Ask Redis, and say whether jobs can be taken."""
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await self._intake.ask(self._intake.dialer.hopper.make_sure_of_room)
        except ServiceUnreachable as error:
            return JSONResponse({"status": "unavailable", "detail": str(error)}, 503)
        except TimeoutError:
            return JSONResponse({"status": "unavailable", "detail": "Redis does not answer in time"}, 503)
        return JSONResponse({"status": "ok"})
