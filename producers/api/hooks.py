"""Route of CRM hooks: from a delivery to its answer, within a second."""

import asyncio
import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from producers import hooks
from producers.api.bodies import read_body
from producers.api.description import problems
from producers.api.intake import Intake
from producers.api.problems import Problem, unavailable
from producers.crm import Adapter, BadPayload, Delivery, NotAuthentic
from worker.jobs import JobState
from worker.metrics import jobs_accepted

PATH = "/hooks/"
# Odoo gives up after one second; what is stored later all the same comes again under the same key.
_ANSWER_WITHIN_S = 0.8
_BODY_WITHIN_S = 5.0


class HookRoutes:
    """
    `POST /hooks/{source}` and `/hooks/{source}/{token}`, for senders that have no place but the URL for a secret.

    Args:
        intake: What they share with the others.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.router = APIRouter(tags=["CRM hooks"])
        answers = problems(400, 401, 404, 408, 413, 415, 503) | {
            200: {"description": "What the CRM wants to hear."}
        }
        one = f"{PATH}{{source}}"
        take: dict[str, Any] = {"endpoint": self.post, "responses": answers, "response_class": Response}
        for method in ("POST", "PUT", "GET"):
            self.router.add_api_route(one, methods=[method], summary="Take what a CRM sends", **take)
            path = f"{one}/{{token}}"
            self.router.add_api_route(path, methods=[method], include_in_schema=False, **take)

    async def post(self, request: Request, source: str, token: str | None = None) -> Response:
        """
        Take one delivery of a CRM.

        What it wishes for is kept before this answer; sent again it adds nothing. What a rule forbids is answered
        like the rest, and becomes a job in state `refused`.
        """
        adapter = self._intake.sources.get(source)
        # The rest may be a secret, and so may what is in the place of a name.
        request.scope["shown_path"] = f"{PATH}{source if adapter else '...'}"
        if adapter is None:
            raise Problem(404, "there is no source of this name in the settings")
        body = await read_body(request, most=self._intake.settings.max_body_bytes, within_s=_BODY_WITHIN_S)
        delivery = self._delivery(request, body, token)
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                return await self._intake.ask(self._taken, adapter, delivery)
        except NotAuthentic as error:
            raise Problem(401, str(error)) from None
        except BadPayload as error:
            raise Problem(400, str(error)) from None
        except TimeoutError:
            raise unavailable("Redis does not answer in time; send it again") from None

    def _taken(self, adapter: Adapter, delivery: Delivery) -> Response:
        wishes = adapter.read(delivery)
        verdicts = hooks.take(self._intake.dialer, adapter, wishes)
        jobs_accepted("hook", sum(one.is_new and one.state is not JobState.REFUSED for one in verdicts))
        answer = adapter.answer(verdicts)
        return Response(answer.body, answer.status, dict(answer.headers), answer.media_type)

    def _delivery(self, request: Request, body: bytes, token: str | None) -> Delivery:
        # As it came, not as it was decoded: what is signed is the text on the wire.
        path = request.scope.get("raw_path") or request.scope["path"].encode()
        query = request.scope["query_string"]
        target = path.decode("latin-1") + (f"?{query.decode('latin-1')}" if query else "")
        base = self._intake.settings.public_url or str(request.base_url).rstrip("/")
        headers: dict[str, str] = {}
        for name, value in request.headers.items():
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return Delivery(request.method, base + target, headers, body, token, time.time())
