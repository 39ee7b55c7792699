"""Routes of PBXs: how they do, and pauses."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from producers.api.access import Caller, needs
from producers.api.description import problems
from producers.api.intake import Intake
from producers.api.models import Paused, Pbxs
from producers.api.problems import Problem
from worker.hopper import KILL_SWITCH, PbxView

PATH = "/v1/pbxs"

Reader = Annotated[Caller, Depends(needs("read"))]
Operator = Annotated[Caller, Depends(needs("operate"))]


class PbxRoutes:
    """
    The routes under `/v1/pbxs`.

    Args:
        intake: What they share with the others.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.router = APIRouter(tags=["PBXs"])
        route, one, refused = self.router.add_api_route, f"{PATH}/{{pbx}}", problems(403, 404)
        route(
            PATH, self.all, methods=["GET"], response_model=Pbxs, responses=problems(403), summary="See all PBXs"
        )
        for path, endpoint, summary, wrong in (
            (f"{one}:pause", self.pause, "Stop dialing on a PBX", refused),
            (f"{one}:resume", self.resume, "Go on dialing on a PBX", refused),
            (f"{PATH}:pause", self.pause_all, "Stop dialing everywhere: the kill switch", problems(403)),
            (f"{PATH}:resume", self.resume_all, "Lift the kill switch", problems(403)),
        ):
            route(path, endpoint, methods=["POST"], response_model=Paused, responses=wrong, summary=summary)

    async def all(self, caller: Reader) -> Response:
        """See what waits and runs on each PBX that the API key may use, and whether it takes calls."""
        names = [name for name in self._intake.dialer.settings.pbx if caller.may_use(name)]
        views = await self._intake.ask(lambda: [self._intake.dialer.hopper.view(name) for name in names])
        paused = await self._intake.ask(self._intake.dialer.hopper.paused)
        default = caller.only_pbx or self._intake.dialer.default_pbx
        told = {"pbxs": [_plain(view) for view in views], "default": default if default in names else None}
        return JSONResponse(told | {"everything_paused": KILL_SWITCH in paused})

    async def pause(self, pbx: str, caller: Operator) -> Response:
        """Stop releases and claims of one PBX until somebody resumes it; calls under way end as they do."""
        return await self._paused_after("pause", self._known(pbx, caller), caller)

    async def resume(self, pbx: str, caller: Operator) -> Response:
        """Lift the pause of one PBX."""
        return await self._paused_after("resume", self._known(pbx, caller), caller)

    async def pause_all(self, caller: Operator) -> Response:
        """Stop dialing everywhere; for keys that may use all PBXs."""
        return await self._paused_after("pause", _everything(caller), caller)

    async def resume_all(self, caller: Operator) -> Response:
        """Lift the kill switch; PBXs that were paused one by one stay so. For keys that may use all PBXs."""
        return await self._paused_after("resume", _everything(caller), caller)

    async def _paused_after(self, step: str, pbx: str, caller: Caller) -> Response:
        hopper = self._intake.dialer.hopper.acting_as(caller.actor)
        await self._intake.ask(hopper.pause if step == "pause" else hopper.resume, pbx)
        paused = await self._intake.ask(hopper.paused)
        return JSONResponse(
            {"paused": sorted(name for name in paused if name == KILL_SWITCH or caller.may_use(name))}
        )

    def _known(self, pbx: str, caller: Caller) -> str:
        if pbx not in self._intake.dialer.settings.pbx or not caller.may_use(pbx):
            raise Problem(404, "pbx: there is none of this name that the API key may use; see GET /v1/pbxs")
        return pbx


def _everything(caller: Caller) -> str:
    if caller.pbxs:
        raise Problem(403, "this API key may not use all PBXs; pause those it may use one by one")
    return KILL_SWITCH


def _plain(view: PbxView) -> dict[str, object]:
    return {
        "name": view.name,
        "waiting": view.waiting,
        "later": view.later,
        "released": view.released,
        "open_calls": view.open_calls,
        "in_doubt": view.in_doubt,
        "paused": view.paused,
        "breaker": view.breaker,
        "breaker_reason": view.barred_reason or None,
    }
