"""Route of CRM hooks: from a delivery to its answer, within a second."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.routing import Route, request_response
from starlette.types import Receive, Scope, Send

from producers import hooks
from producers.api.bodies import read_body
from producers.api.description import problems
from producers.api.intake import Intake
from producers.api.methods import is_fetched_ahead, listed
from producers.api.problems import Problem, unavailable
from producers.crm import Adapter, Answer, BadPayload, Delivery, NotAuthentic, SourceSettings
from worker.jobs import JobState
from worker.metrics import jobs_accepted

log = structlog.get_logger()

PATH = "/hooks/"
# Odoo gives up after one second; what is stored later all the same comes again under the same key.
_ANSWER_WITHIN_S = 0.8
_BODY_WITHIN_S = 5.0


# What a source of unknown name is treated as, so that a 405 does not show which names there are.
_DEFAULT_METHODS: tuple[str, ...] = SourceSettings.model_fields["methods"].default


class HookRoutes:
    """
    `/hooks/{source}` and `/hooks/{source}/{token}`, for senders that have no place but the URL for a secret.

    Every method comes here, because it depends on the source which of them bring deliveries.

    Args:
        intake: What the routes share with the others.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.router = APIRouter(tags=["CRM hooks"])
        answers = problems(400, 401, 403, 404, 405, 408, 413, 415, 503) | {
            200: {"description": "The answer that the CRM expects."}
        }
        one = f"{PATH}{{source}}"
        described: dict[str, Any] = {"responses": answers, "response_class": Response}
        self.router.add_api_route(one, self.take, methods=["POST"], summary="Take what a CRM sends", **described)
        for path in (one, f"{one}/{{token}}"):
            self.router.routes.append(Route(path, _EveryMethod(self, path), include_in_schema=False))

    async def take(self, request: Request, source: str) -> Response:
        """
        Take one delivery of a CRM; the settings of its source may name other methods than POST.

        The jobs that it asks for are stored before this answer; the same delivery again adds none. A job that a
        rule forbids is answered like the others, and is kept in state `refused`.
        """
        return await self.answer(request, source, None)

    async def answer(self, request: Request, source: str, token: str | None) -> Response:
        """Answer one request of any method; its body is read only if it may be a delivery."""
        adapter = self._intake.sources.get(source)
        # The rest may be a secret, and so may what is in the place of a name.
        request.scope["shown_path"] = f"{PATH}{source if adapter else '...'}"
        methods = adapter.settings.methods if adapter else _DEFAULT_METHODS
        if request.method not in methods and not (adapter and request.method in adapter.handshake_methods):
            return self._not_allowed(request, adapter, token)
        if request.method == "GET" and is_fetched_ahead(request.headers):
            raise Problem(403, "a browser fetches this ahead of a person's click; that makes no job")
        if adapter is None:
            raise Problem(404, "there is no source of this name in the settings")
        body = await read_body(request, most=self._intake.settings.max_body_bytes, within_s=_BODY_WITHIN_S)
        delivery = self._delivery(request, body, token)
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                return await self._intake.ask(self._taken, adapter, delivery)
        except (NotAuthentic, BadPayload) as error:
            # A CRM shows its own people the status at most; the operator finds the reason in the log.
            request.scope["refused_because"] = str(error)
            raise Problem(401 if isinstance(error, NotAuthentic) else 400, str(error)) from None
        except TimeoutError:
            raise unavailable("Redis does not answer in time; send it again") from None

    def _taken(self, adapter: Adapter, delivery: Delivery) -> Response:
        if (handshake := adapter.handshake(delivery)) is not None:
            log.info("handshake_answered", source=adapter.name)
            return _response(handshake)
        if delivery.method not in adapter.settings.methods:
            return _refusal(adapter.settings.methods)
        wishes = adapter.read(delivery)
        if not wishes:
            why = adapter.passed_over(delivery)
            log.info("delivery_passed_over", source=adapter.name, elements=len(why), why=next(iter(why), ""))
        verdicts = hooks.take(self._intake.dialer, adapter, wishes)
        jobs_accepted("hook", sum(one.is_new and one.state is not JobState.REFUSED for one in verdicts))
        return _response(adapter.answer(verdicts))

    def _not_allowed(self, request: Request, adapter: Adapter | None, token: str | None) -> Response:
        if adapter is not None and (hint := adapter.handshake_hint(self._delivery(request, b"", token))):
            request.scope["refused_because"] = hint
        return _refusal(adapter.settings.methods if adapter else _DEFAULT_METHODS)

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


class _EveryMethod:
    """
    An ASGI application for all methods, which Starlette's routes of functions cannot have.

    Args:
        routes: Answer the requests.
        path: The template of the route, for the metrics.
    """

    def __init__(self, routes: HookRoutes, path: str) -> None:
        self._app = request_response(self._answer)
        self._routes = routes
        self.path_format = path

    async def _answer(self, request: Request) -> Response:
        return await self._routes.answer(request, request.path_params["source"], request.path_params.get("token"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self
        await self._app(scope, receive, send)


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers), answer.media_type)


def _refusal(methods: Sequence[str]) -> Response:
    """Return a 405 that is the same for every source with these methods, and for names that are no source's."""
    some = listed(methods)
    detail = f"only {some} may bring a delivery here; no other method does anything"
    return Problem(405, detail, headers={"Allow": some}).response(f"{PATH}...")
