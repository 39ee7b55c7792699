"""Routes of PBXs: how they do, and pauses."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from producers.api.access import Caller, needs
from producers.api.bodies import read_as, read_json_if_any
from producers.api.description import PAUSE_BODY, REASON_BODY, problems
from producers.api.intake import Intake
from producers.api.models import Paused, PauseOrder, Pbxs
from producers.api.problems import Problem, of_fields
from producers.masking import masked
from producers.obstacles import of_all_pbxs
from producers.pauses import plain_pause
from producers.showing import reasons_against
from worker.hopper import KILL_SWITCH, Overview, PbxGlance

PATH = "/v1/pbxs"
_EXPECTED = {"extid": "1 to 10 digits", "reason": "text of at most 200 characters"}

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
        body = problems(400, 403, 408, 413, 415, 422)
        for path, endpoint, summary, wrong in (
            (f"{one}:pause", self.pause, "Stop dialing on a PBX, or for one of its extensions", body | refused),
            (f"{one}:resume", self.resume, "Go on dialing on a PBX, or for one of its extensions", body | refused),
            (f"{PATH}:pause", self.pause_all, "Stop dialing everywhere: the kill switch", body),
            (f"{PATH}:resume", self.resume_all, "Lift the kill switch", body),
        ):
            route(
                path,
                endpoint,
                methods=["POST"],
                response_model=Paused,
                responses=wrong,
                openapi_extra=PAUSE_BODY if "{pbx}" in path else REASON_BODY,
                summary=summary,
            )

    async def all(self, caller: Reader) -> Response:
        """See what waits and runs on each PBX that the API key may use, and whether it takes calls."""
        hopper = self._intake.dialer.hopper
        names = [name for name in self._intake.dialer.settings.pbx if caller.may_use(name)]
        overview = await self._intake.ask(hopper.overview, names)
        stops = of_all_pbxs(overview.held_why, overview.refusal, len(overview.workers))
        stopped = [one.sentence for one in stops]
        default = caller.only_pbx or self._intake.dialer.default_pbx
        seen = [_plain(glance, overview, stopped) for glance in overview.pbxs]
        shown: dict[str, object] = {"pbxs": seen, "default": default if default in names else None}
        shown |= {"everything_paused": overview.everything_paused}
        return JSONResponse(shown | {"everything_pause": plain_pause(overview.everything_pause)})

    async def pause(self, request: Request, pbx: str, caller: Operator) -> Response:
        """
        Stop releases and claims of one PBX until somebody resumes it; calls under way end as they do.

        With `extid` in the body, those of one extension. The API key is the author of the pause.
        """
        return await self._paused_after("pause", request, self._known(pbx, caller), caller)

    async def resume(self, request: Request, pbx: str, caller: Operator) -> Response:
        """Lift the pause of one PBX, or with `extid` in the body that of one extension; other pauses stay."""
        return await self._paused_after("resume", request, self._known(pbx, caller), caller)

    async def pause_all(self, request: Request, caller: Operator) -> Response:
        """Stop dialing everywhere; for keys that may use all PBXs."""
        return await self._paused_after("pause", request, _everything(caller), caller)

    async def resume_all(self, request: Request, caller: Operator) -> Response:
        """Lift the kill switch; what was paused by itself stays so. For keys that may use all PBXs."""
        return await self._paused_after("resume", request, _everything(caller), caller)

    async def _paused_after(self, step: str, request: Request, pbx: str, caller: Caller) -> Response:
        body = await read_json_if_any(request, most=self._intake.settings.max_body_bytes)
        order = read_as(PauseOrder, body, what="a pause", right=_EXPECTED)
        if order.extid is not None and pbx == KILL_SWITCH:
            raise of_fields(422, ["extid: an extension is one of a PBX; send it to /v1/pbxs/NAME"])
        hopper = self._intake.dialer.hopper.acting_as(caller.actor)
        act = hopper.pause if step == "pause" else hopper.resume
        await self._intake.ask(act, pbx, order.extid or "", reason=order.reason or "")
        pauses = await self._intake.ask(hopper.pauses)
        seen = [pause for pause in pauses if pause.pbx == KILL_SWITCH or caller.may_use(pause.pbx)]
        places = [{"pbx": one.pbx, "extid": one.extid or None} | (plain_pause(one) or {}) for one in seen]
        return JSONResponse({"paused": [one.pbx for one in seen if not one.extid], "pauses": places})

    def _known(self, pbx: str, caller: Caller) -> str:
        if pbx not in self._intake.dialer.settings.pbx or not caller.may_use(pbx):
            raise Problem(404, "pbx: there is none of this name that the API key may use; see GET /v1/pbxs")
        return pbx


def _everything(caller: Caller) -> str:
    if caller.pbxs:
        raise Problem(403, "this API key may not use all PBXs; pause those it may use one by one")
    return KILL_SWITCH


def _plain(glance: PbxGlance, overview: Overview, stopped: Sequence[str]) -> dict[str, object]:
    reasons = reasons_against(glance, overview.everything_paused, overview.everything_pause, stopped)
    return {
        "name": glance.name,
        "waiting": glance.waiting_in_all,
        "later": glance.later,
        "released": glance.released,
        "open_calls": glance.open_calls,
        "in_doubt": glance.in_doubt,
        "paused": glance.is_paused or overview.everything_paused,
        "pause": plain_pause(glance.pause),
        "paused_extensions": [
            {"extid": lane.extid, "waiting": lane.waiting} | (plain_pause(lane.pause) or {})
            for lane in glance.paused_lanes
        ],
        "breaker": glance.breaker.state,
        "breaker_reason": glance.breaker.reason or None,
        "takes_calls": not reasons,
        "why_not": masked("; ".join(reasons)) or None,
    }
