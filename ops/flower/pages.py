"""Flower's pages where ours must differ: what it shows to anybody, and what would do a job harm."""

from typing import Any

from flower.api import BaseApiHandler
from flower.views import BaseHandler
from flower.views.monitor import Metrics
from tornado import web

_NO_CONTROL = (
    "Jobs are not controlled here: a revoked message would come again and be thrown away for ever. "
    "Use `outdial cancel`, `outdial enqueue` or `outdial pause`."
)


class GuardedMetrics(Metrics):  # type: ignore[misc]  # Flower has no types
    """Names of workers are not for everybody; Flower itself asks nobody for a password here."""

    @web.authenticated
    async def get(self) -> None:
        await super().get()


class NoTaskControl(BaseApiHandler):  # type: ignore[misc]
    """Refuses what acts on single tasks, for operators too."""

    @web.authenticated
    def post(self, _task: str) -> None:
        raise web.HTTPError(403, _NO_CONTROL)


class ShownResult(BaseApiHandler):  # type: ignore[misc]
    """The result as Flower shows it; that of the results backend holds the CRM's metadata."""

    @web.authenticated
    def get(self, task_id: str) -> None:
        job = self.application.events.state.tasks.data.get(task_id)
        if job is None:
            raise web.HTTPError(404, "There is no such job here; `outdial status` may know it.")
        self.write({"task-id": task_id, "state": job.state, "result": job.result})


def answer_any_login() -> None:
    """Let a login with letters beyond ASCII be a wrong one; Flower fails on it, and logs a traceback each time."""
    flowers_own = BaseHandler.get_current_user

    def checked(handler: Any) -> Any:
        try:
            return flowers_own(handler)
        except TypeError:
            raise web.HTTPError(401) from None

    BaseHandler.get_current_user = checked


def handlers(url_prefix: str) -> list[tuple[Any, ...]]:
    """Return the handlers that go before Flower's own; *url_prefix* has no slash at its ends."""
    prefix = f"/{url_prefix}" if url_prefix else ""
    acting = "apply|async-apply|send-task|abort|timeout|rate-limit|revoke"
    ours: list[tuple[Any, ...]] = [
        (rf"{prefix}/metrics", GuardedMetrics),
        (rf"{prefix}/api/task/(?:{acting})/(.+)", NoTaskControl),
        (rf"{prefix}/api/task/result/(.+)", ShownResult),
    ]
    return [*ours, (prefix, web.RedirectHandler, {"url": f"{prefix}/"})] if prefix else ours
