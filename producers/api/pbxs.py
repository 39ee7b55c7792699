"""Routes of PBXs: how they do, and pauses."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from producers.api.access import Caller, needs
from producers.api.description import problems
from producers.api.intake import Intake
from producers.api.models import Paused, Pbxs
from producers.api.problems import Problem
from producers.masking import masked
from producers.obstacles import of_all_pbxs
from producers.showing import reasons_against
from worker.hopper import KILL_SWITCH, PbxGlance

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
        overview = await self._intake.ask(self._intake.dialer.hopper.overview, names)
        stops = of_all_pbxs(overview.held_why, overview.refusal, len(overview.workers))
        stopped = [one.sentence for one in stops]
        default = caller.only_pbx or self._intake.dialer.default_pbx
        seen = [_plain(glance, overview.everything_paused, stopped) for glance in overview.pbxs]
        shown = {"pbxs": seen, "default": default if default in names else None}
        return JSONResponse(shown | {"everything_paused": overview.everything_paused})

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


def _plain(glance: PbxGlance, everything_paused: bool, stopped: Sequence[str]) -> dict[str, object]:  # noqa: FBT001
    reasons = reasons_against(glance, everything_paused, stopped=stopped)
    return {
        "name": glance.name,
        "waiting": glance.waiting_in_all,
        "later": glance.later,
        "released": glance.released,
        "open_calls": glance.open_calls,
        "in_doubt": glance.in_doubt,
        "paused": glance.is_paused or everything_paused,
        "breaker": glance.breaker.state,
        "breaker_reason": glance.breaker.reason or None,
        "takes_calls": not reasons,
        "why_not": masked("; ".join(reasons)) or None,
    }
