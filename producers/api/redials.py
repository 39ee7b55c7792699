"""Routes that bring ended jobs back: one by its id, or those that match a filter."""

from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from producers.api.access import Caller
from producers.api.bodies import Model, read_as, read_json
from producers.api.description import REDIAL_BODY, REDIALS_BODY, problems
from producers.api.intake import Intake
from producers.api.jobs import PATH, JobId, Operator, foreign, known_job, unix_s
from producers.api.models import RedialAnswer, RedialOne, RedialSelected
from producers.api.problems import Problem, of_fields
from producers.redialing import Plan, RedialCount, Redialing
from worker.errors import InputRefused
from worker.hopper import JobFilter
from worker.jobs import DialResult, JobState

# A request brings back no more jobs than can be read and moved in some seconds.
MOST_JOBS = 10_000
_EXPECTED = {
    "pbx": "the name of a PBX in the settings (a-z 0-9 _ -)",
    "even_if_rung": "true or false",
    "expires_in_s": "seconds above 0, a year at most",
    "reason": "text of at most 200 characters",
    "state": "a list of failed, unknown, cancelled, expired and refused",
    "from_pbx": "a list of names of PBXs",
    "extid": "a list of extensions, 1 to 10 digits each",
    "errno": "a list of codes",
    "origin": "a list of origins, such as hook:pipedrive",
    "key": "1 to 200 characters",
    "metadata": "an object of names and texts",
    "since": "a time with its offset, such as 2026-11-23T09:00:00Z",
    "until": "a time with its offset, such as 2026-11-23T17:00:00Z",
    "ended_since": "a time with its offset, such as 2026-11-23T09:00:00Z",
    "ended_until": "a time with its offset, such as 2026-11-23T17:00:00Z",
    "dry_run": "true or false",
    "count": f"a number from 0 to {MOST_JOBS}",
}


class RedialRoutes:
    """
    `POST /v1/dial-jobs/ID:redial` and `POST /v1/dial-jobs:redial`.

    Args:
        intake: What they share with the others.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.router = APIRouter(tags=["dial jobs"])
        self.router.add_api_route(
            f"{PATH}/{{job_id:job_id}}:redial",
            self.one,
            methods=["POST"],
            response_model=DialResult,
            responses=problems(400, 403, 404, 408, 409, 413, 415, 422),
            openapi_extra=REDIAL_BODY,
            summary="Bring back a job that ended without a call",
        )
        self.router.add_api_route(
            f"{PATH}:redial",
            self.selected,
            methods=["POST"],
            response_model=RedialAnswer,
            responses=problems(400, 403, 408, 409, 413, 415, 422),
            openapi_extra=REDIALS_BODY,
            summary="Bring back the jobs that match a filter",
        )

    async def one(self, request: Request, job_id: JobId, caller: Operator) -> Response:
        """
        Bring back a job that ended without a call: it waits again under its id.

        A placed job never comes back, and one in state `unknown` only with `even_if_rung`, because its phone may
        have rung.
        """
        known = await known_job(self._intake, job_id, caller)
        asked = await self._asked(RedialOne, request)
        redialing = self._redialing(asked, caller)
        [plan] = await self._intake.ask(lambda: list(redialing.carry_out(redialing.plans([known.job_id]))))
        if plan.problem:
            raise Problem(409, f"the job {plan.problem}")
        return JSONResponse((await known_job(self._intake, known.job_id, caller)).plain())

    async def selected(self, request: Request, caller: Operator) -> Response:
        """
        Bring back the jobs that match a filter, or count them.

        A job must match every field; in a list, one of its values. Without `state` the filter chooses failed and
        expired jobs. Send `dry_run` first, and then its `count`: where another number of jobs would come back by
        then, nothing is done.
        """
        asked = await self._asked(RedialSelected, request)
        _refuse_foreign(asked, caller)
        redialing = self._redialing(asked, caller)
        plans = await self._intake.work(self._plans, redialing, _filter(asked, redialing, caller))
        counted = RedialCount.of(plans)
        if asked.dry_run:
            return _answer(counted, is_done=False)
        if asked.count is None:
            raise of_fields(422, ["count: is missing; expected the number of jobs, as a dry_run counts them"])
        if asked.count != counted.total:
            raise Problem(
                409, f"count: {asked.count} jobs were expected, {counted.total} match; nothing was changed"
            )
        done = await self._intake.work(lambda: list(redialing.carry_out(plans)))
        return _answer(RedialCount.of(done), is_done=True)

    async def _asked(self, model: type[Model], request: Request) -> Model:
        body = await read_json(request, most=self._intake.settings.max_body_bytes)
        return read_as(model, body, what="a redial", right=_EXPECTED, sentences=_of_whole_fields)

    def _redialing(self, how: RedialOne, caller: Caller) -> Redialing:
        dialer = self._intake.dialer
        if how.pbx is not None and not caller.may_use(dialer.pbx_for(how.pbx)):
            raise foreign(how.pbx)
        return Redialing(
            dialer,
            dialer.hopper.acting_as(caller.actor),
            to_pbx=how.pbx,
            even_if_rung=how.even_if_rung,
            expires_in_s=how.expires_in_s,
            why=how.reason,
        )

    @staticmethod
    def _plans(redialing: Redialing, wanted: JobFilter) -> list[Plan]:
        found = redialing.hopper.find_each(wanted)
        ids = [result.job_id for result in islice(found, MOST_JOBS + 1)]
        if len(ids) > MOST_JOBS:
            raise InputRefused([f"state: more than {MOST_JOBS:,} jobs match; choose fewer by another field"])
        return list(redialing.plans(ids))


def _refuse_foreign(asked: RedialSelected, caller: Caller) -> None:
    for pbx in asked.from_pbx:
        if not caller.may_use(pbx):
            raise foreign(pbx, pointer="/from_pbx")


def _filter(asked: RedialSelected, redialing: Redialing, caller: Caller) -> JobFilter:
    """Return what is meant, of the PBXs that the caller may use."""
    return JobFilter(
        states=tuple(map(JobState, asked.state)) or redialing.default_states,
        pbxs=tuple(asked.from_pbx) or caller.pbxs,
        origins=tuple(asked.origin),
        extids=tuple(asked.extid),
        errnos=tuple(asked.errno),
        key=asked.key or "",
        metadata=asked.metadata,
        since=unix_s(asked.since),
        before=unix_s(asked.until),
        ended_since=unix_s(asked.ended_since),
        ended_before=unix_s(asked.ended_until),
    )


def _answer(counted: RedialCount, *, is_done: bool) -> Response:
    body: Mapping[str, Any] = {
        "redialed": counted.total if is_done else 0,
        "count": counted.total,
        "by_state": dict(counted.states),
        "moved_from": dict(counted.moves),
        "stay": dict(counted.stay),
    }
    return JSONResponse(body)


def _of_whole_fields(
    refused: ValidationError, known: Collection[str], *, what: str, right: Mapping[str, str]
) -> list[str]:
    """Return one sentence for each wrong field; of a list or an object, for the field as a whole."""
    sentences = {}
    for problem in refused.errors(include_url=False, include_context=False, include_input=False):
        field = str(problem["loc"][0])
        if problem["type"] == "extra_forbidden":
            sentences[field] = f"{field}: is not a field of {what}; expected {', '.join(known)}"
        else:
            sentences[field] = f"{field}: is invalid; expected {right[field]}"
    return list(sentences.values())
