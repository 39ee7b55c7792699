"""Celery's tasks: doors, not rooms."""

from celery import Celery

from worker.dialing import Dialing
from worker.task_events import DIAL_TASK
from worker.webhooks import DELIVER_TASK
from worker.webhooks.sending import Sender


def register(app: Celery) -> None:
    """
    Add the tasks to *app*; the worker's start-up puts a `Dialing` at `app.dialing`, or a `Sender` at `app.sender`.

    `dial` stores no result and sends no event by itself: several messages of one job may run, and only the
    outbox knows which end is the job's (see `worker.results`). What became of a delivery is in the hopper.
    """

    @app.task(name=DIAL_TASK, shared=False, ignore_result=True, send_events=False)  # type: ignore[untyped-decorator]
    def dial(job_id: str) -> None:
        dialing: Dialing = app.dialing
        dialing.place_call(job_id)

    @app.task(name=DELIVER_TASK, shared=False, ignore_result=True, send_events=False)  # type: ignore[untyped-decorator]
    def deliver(delivery_id: str) -> None:
        sender: Sender = app.sender
        sender.deliver(delivery_id)
