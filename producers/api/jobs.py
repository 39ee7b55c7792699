"""Routes of dial jobs: hand in, look, list, wait, cancel, resolve."""

import time
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from producers.api.access import Caller, needs
from producers.api.bodies import read_as, read_json, read_json_if_any
from producers.api.description import ACCEPTED_HEADERS, JOB_BODY, REASON_BODY, RESOLUTION_BODY, problems
from producers.api.holding import obstacle_of
from producers.api.idempotency import under_way
from producers.api.intake import Intake
from producers.api.models import Accepted, Filters, JobNow, Page, Reason, Resolution
from producers.api.problems import FieldProblem, Problem, of_fields, unavailable
from producers.ids import known_form
from worker.errors import InputRefused, ServiceUnreachable
from worker.hopper import JobFilter, Once, Order, Receipt
from worker.jobs import DialJob, DialResult, id_of_key
from worker.metrics import jobs_accepted

PATH = "/v1/dial-jobs"
# Clients and proxies give up after ten seconds, some of them.
LONGEST_WAIT_S = 5.0
_SECONDS = Query(
    ge=0,
    allow_inf_nan=False,
    description=f"Seconds to wait for its end. At most {LONGEST_WAIT_S:g} are waited, whatever is asked for: "
    "ask again while `finished_at` is null.",
    examples=[LONGEST_WAIT_S],
)
_LONGEST_LOOK = 10
_EXPECTED = {
    "verdict": "placed, failed or redial",
    "callid": "1 to 64 letters, digits and . _ -",
    "reason": "text of at most 200 characters",
}

Enqueuer = Annotated[Caller, Depends(needs("enqueue"))]
Reader = Annotated[Caller, Depends(needs("read"))]
Withdrawer = Annotated[Caller, Depends(needs("enqueue", "operate"))]
JobId = Annotated[
    str, Path(json_schema_extra={"format": "uuid"}, examples=["0190f3f2-5b57-5c3e-9b3a-4f0e8c9d7a11"])
]
Operator = Annotated[Caller, Depends(needs("operate"))]


class _BeforeColon(Convertor[str]):
    """A path segment up to its verb, so that `GET /v1/dial-jobs/ID:cancel` is 405 and not a job nobody has."""

    regex = "[^/:]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class JobRoutes:
    """
    The routes under `/v1/dial-jobs` that are about single jobs and lists of them.

    Args:
        intake: What they share with the others.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.router = APIRouter(tags=["dial jobs"])
        register_url_convertor("job_id", _BeforeColon())
        route = self.router.add_api_route
        # The one route that has to be quick: the same endpoint without what FastAPI does around it, which costs as
        # much again as all the rest. The next one serves the description.
        self.router.routes.append(Route(PATH, self._post, methods=["POST"]))
        route(
            PATH,
            self.post,
            methods=["POST"],
            status_code=202,
            response_model=Accepted,
            responses=problems(400, 403, 408, 409, 413, 415, 422) | {202: {"headers": ACCEPTED_HEADERS}},
            openapi_extra=JOB_BODY,
            summary="Hand in one job",
        )
        route(
            PATH,
            self.page,
            methods=["GET"],
            response_model=Page,
            responses=problems(403, 422),
            summary="List jobs",
        )
        one, missing = f"{PATH}/{{job_id:job_id}}", problems(403, 404, 422)
        route(one, self.get, methods=["GET"], response_model=JobNow, responses=missing, summary="Look at one job")
        withdrawn = problems(400, 403, 404, 408, 409, 413, 415, 422)
        route(
            f"{one}:cancel",
            self.cancel,
            methods=["POST"],
            response_model=DialResult,
            responses=withdrawn,
            openapi_extra=REASON_BODY,
            summary="Withdraw a job that no call was begun for",
        )
        route(
            f"{one}:resolve",
            self.resolve,
            methods=["POST"],
            response_model=DialResult,
            responses=problems(400, 403, 404, 408, 409, 413, 415, 422),
            openapi_extra=RESOLUTION_BODY,
            summary="Say what became of a job that ended as unknown",
        )

    async def post(self, request: Request, caller: Enqueuer) -> Response:
        """
        Hand in one job: extension `extid` is to call `outto`.

        It is kept from this answer on, and dialed when its turn comes: look at `Location`, or have the result sent
        to you. With an `Idempotency-Key` the request may be sent again, and the answer is the same job. Without
        it, and without a `key` in the body, each request is a new job.
        """
        with under_way(self._intake, request, caller) as name:
            fields = await read_json(request, most=self._intake.settings.max_body_bytes)
            job = self._job(fields, caller)
            once = Once(name, _mark(job, fields), self._intake.kept_s) if name else None
            return _accepted(await self._kept(Order(job, caller.origin, once, job_id=job.job_id())))

    async def _post(self, request: Request) -> Response:
        # FastAPI names the routes that it made itself alone.
        request.scope["shown_path"] = PATH
        return await self.post(request, await needs("enqueue")(request))

    async def page(self, request: Request, caller: Reader, filters: Annotated[Filters, Query()]) -> Response:
        """
        List jobs, the one handed in last first.

        A page may hold fewer than `limit`, even none, and still have a next one. `since` and `before` are about
        when a job was handed in. `key` finds the one job of a key.
        """
        if filters.key is not None:
            return _page(await self._by_key(filters.key, caller), None, request)
        if filters.pbx is not None and not caller.may_use(filters.pbx):
            raise foreign(filters.pbx, parameter="pbx")
        everything = (*caller.pbxs, "") if caller.pbxs else ()
        wanted = JobFilter(
            states=tuple(filters.state),
            pbxs=(filters.pbx,) if filters.pbx is not None else everything,
            origins=(filters.origin,) if filters.origin else (),
            extids=(filters.extid,) if filters.extid else (),
            errnos=tuple(filters.errno),
            metadata=dict(entry.split("=", 1) for entry in filters.metadata),
            since=unix_s(filters.since),
            before=unix_s(filters.before),
            ended_since=unix_s(filters.ended_since),
            ended_before=unix_s(filters.ended_before),
        )
        jobs, after = await self._intake.ask(self._newest, wanted, filters.cursor or "", filters.limit)
        return _page(jobs, after, request)

    async def get(
        self,
        job_id: JobId,
        caller: Reader,
        wait: Annotated[float, _SECONDS] = 0,
    ) -> Response:
        """
        Look at one job, and at what holds it back.

        With `wait` the answer comes when the job has ended, or after so many seconds.
        """
        until = time.monotonic() + min(wait, LONGEST_WAIT_S)
        result = await known_job(self._intake, job_id, caller)
        while not result.state.is_final and (left := until - time.monotonic()) > 0:
            if self._intake.is_stopping:
                break
            await self._intake.ends.next_look(result.job_id, left)
            result = await known_job(self._intake, job_id, caller)
        obstacle = await self._intake.ask(obstacle_of, self._intake.dialer, result)
        return JSONResponse(result.plain() | {"obstacle": obstacle})

    async def cancel(self, request: Request, job_id: JobId, caller: Withdrawer) -> Response:
        """Withdraw a job that no call was begun for; again it changes nothing. The API key is its author."""
        known = await known_job(self._intake, job_id, caller)
        body = await read_json_if_any(request, most=self._intake.settings.max_body_bytes)
        said = read_as(Reason, body, what="a cancel", right=_EXPECTED)
        hopper = self._intake.dialer.hopper.acting_as(caller.actor)
        word, state = await self._intake.ask(hopper.cancel, known.job_id, reason=said.reason or "")
        if word == "too_late":
            raise Problem(409, f"it is too late to cancel: the job is {state}")
        return JSONResponse((await known_job(self._intake, job_id, caller)).plain())

    async def resolve(self, request: Request, job_id: JobId, caller: Operator) -> Response:
        """Say what became of a job that ended as unknown: `placed` (with its callid), `failed`, or `redial`."""
        known = await known_job(self._intake, job_id, caller)
        said = _resolution(await read_json(request, most=self._intake.settings.max_body_bytes))
        hopper = self._intake.dialer.hopper.acting_as(caller.actor)
        word, state = await self._intake.ask(
            hopper.resolve, known.job_id, said.verdict, callid=said.callid or "", why=said.reason or ""
        )
        if word == "not_unknown":
            raise Problem(409, f"only a job that ended as unknown can be resolved; this one is {state}")
        if word == "expired":
            raise Problem(409, "its expires_at has passed, so it is not dialed again; say placed or failed")
        return JSONResponse((await known_job(self._intake, job_id, caller)).plain())

    def _job(self, fields: Mapping[str, Any], caller: Caller) -> DialJob:
        if fields.get("pbx") is None and caller.only_pbx:
            fields = {**fields, "pbx": caller.only_pbx}
        job = self._intake.dialer.job_for(fields)
        assert job.pbx is not None, "the door names it"
        if not caller.may_use(job.pbx):
            raise foreign(job.pbx)
        return job

    async def _kept(self, order: Order) -> Receipt:
        try:
            with self._intake.dialer.reaching_redis():
                receipt = await self._intake.put(order)
        except ServiceUnreachable as error:
            raise unavailable(f"{error}. {_advice(error, order)}") from None
        if isinstance(receipt, InputRefused):
            raise receipt
        if receipt.is_new and not receipt.is_replay:
            jobs_accepted("api")
        return receipt

    async def _by_key(self, key: str, caller: Caller) -> list[DialResult]:
        result = await self._intake.ask(self._intake.dialer.hopper.result, id_of_key(key))
        return [result] if result is not None and caller.may_use(result.pbx) else []

    def _newest(self, wanted: JobFilter, below: str, limit: int) -> tuple[list[DialResult], str]:
        found: list[DialResult] = []
        for _ in range(_LONGEST_LOOK):
            some, below = self._intake.dialer.hopper.find(wanted, below=below, most=limit - len(found))
            found += some
            if not below or len(found) >= limit:
                break
        return found, below


async def known_job(intake: Intake, job_id: str, caller: Caller) -> DialResult:
    """
    Return a job that the caller may see.

    Raises:
        Problem: 404, if there is none.
    """
    known = known_form(job_id)
    result = await intake.ask(intake.dialer.hopper.result, known) if known else None
    if result is None or not caller.may_use(result.pbx):
        raise Problem(404, "there is no such job (any more); records are kept for some days after the end")
    return result


def _advice(error: ServiceUnreachable, order: Order) -> str:
    if order.once or order.job.key:
        return "Send it again: there will be one job"
    if error.nothing_done:
        return "Nothing was stored"
    return f"The job may have been stored: look at {PATH}/{order.job_id} before you send it again without a key"


def _accepted(receipt: Receipt) -> Response:
    href = f"{PATH}/{receipt.id}"
    headers = {"Location": href} | ({"Idempotency-Replayed": "true"} if receipt.is_replay else {})
    body = {"job_id": receipt.id, "state": receipt.state, "is_new": receipt.is_new, "href": href}
    return JSONResponse(body, 202, headers)


def _mark(job: DialJob, fields: Mapping[str, Any]) -> str:
    """Return what tells this request from another one under its idempotency key."""
    return job.fingerprint() + sha256(repr(fields.get("key")).encode("utf-8", "replace")).hexdigest()[:16]


def _page(jobs: list[DialResult], after: str | None, request: Request) -> Response:
    headers = {}
    if after:
        query = request.url.include_query_params(cursor=after).query
        headers["Link"] = f'<{PATH}?{query}>; rel="next"'
    return JSONResponse({"jobs": [job.plain() for job in jobs], "next": after or None}, headers=headers)


def _resolution(body: dict[str, Any]) -> Resolution:
    said = read_as(Resolution, body, what="a resolution", right=_EXPECTED)
    if (said.verdict == "placed") != (said.callid is not None):
        raise of_fields(422, ["callid: belongs to the verdict placed, and to it alone"])
    return said


def foreign(pbx: str, *, parameter: str | None = None, pointer: str = "/pbx") -> Problem:
    """Return the problem of a PBX that the API key may not use."""
    detail = f"{(parameter or pointer).removeprefix('/')}: this API key may not use {pbx!r}"
    where = FieldProblem(pointer=None if parameter else pointer, parameter=parameter, detail=detail)
    return Problem(403, detail, errors=[where])


def unix_s(moment: datetime | None) -> float | None:
    """Return a time as unix seconds."""
    return None if moment is None else moment.timestamp()
