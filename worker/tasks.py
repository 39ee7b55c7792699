"""Celery's tasks: doors, not rooms."""

from celery import Celery

from worker.dialing import Dialing
from worker.results import DIAL_TASK


def register(app: Celery) -> None:
    """
    Add the tasks to *app*; the worker's start-up puts a `Dialing` at `app.dialing`.

    `dial` stores no result and sends no event by itself: several messages of one job may run, and only the
    outbox knows which end is the job's (see `worker.results`).
    """

    @app.task(name=DIAL_TASK, shared=False, ignore_result=True, send_events=False)  # type: ignore[untyped-decorator]
    def dial(job_id: str) -> None:
        dialing: Dialing = app.dialing
        dialing.place_call(job_id)
