"""Builds the Celery app: the only place Celery is configured, each setting with its reason."""

import json
from typing import Any

from celery import Celery
from kombu.connection import Connection
from kombu.entity import Exchange, Queue

from worker import tasks
from worker.settings import Settings
from worker.task_events import DIAL_TASK
from worker.webhooks import DELIVER_TASK

_STAND_IN = "00000000-0000-4000-8000-000000000000"


def build_app(settings: Settings, *, queue: str | None = None) -> Celery:
    """
    Return a Celery app for *settings*, with the tasks registered; nothing is connected yet.

    Args:
        settings: Where broker and results are.
        queue: The one queue it knows; None is that of dial jobs.

    The sources of the choices are measurements with Celery 5.7 and kombu 5.7; `docs/adr/0003-celery.md` tells
    what each one prevents.
    """
    queue = queue or settings.queue
    jobs, results = settings.redis_address, settings.result_address
    transport = _transport_options(settings.limits.visibility_timeout_s)
    result_url = results.celery_url if results else settings.result_backend_url
    app = Celery("outdial", broker=jobs.celery_url, backend=result_url, set_as_current=False)
    app.conf.update(
        # One queue: a queue for each PBX drained eight times slower. No other queue springs up by a slip.
        task_queues=[_queue(queue)],
        task_default_queue=queue,
        task_create_missing_queues=False,
        # A message counts as one of the worker's until its call is over, so a worker whose slots are all taken
        # takes no more; a killed worker's jobs are brought back by the sweeper (see _transport_options).
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        # Both would run a task again, or stop it, just because a connection broke while it dialed.
        task_retry_on_worker_lost=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # Redis may be away for long; the worker waits for it.
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # JSON only: nothing is unpickled from a broker.
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        # Arguments have no place in results.
        result_extended=False,
        result_expires=settings.retain_s,
        # A warm stop waits for calls under way; the supervisor's grace bounds it (worker.stop_grace_s).
        worker_soft_shutdown_timeout=0,
        enable_utc=True,
        timezone="UTC",
        # Our own logging is set up by the process that runs the worker.
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        # Visibility must be the same wherever a process may restore messages, Flower's included.
        broker_transport_options=transport | jobs.celery_transport_options,
        result_backend_transport_options=transport | (results.celery_transport_options if results else {}),
        broker_use_ssl=jobs.tls_options or None,
        redis_backend_use_ssl=(results.tls_options if results else {}) or None,
        visibility_timeout=settings.limits.visibility_timeout_s,
        redis_socket_timeout=10,
        redis_socket_connect_timeout=5,
        # A unix socket has no keepalive, and Celery passes the option on all the same: no result could be stored.
        redis_socket_keepalive=not (results and results.socket),
        redis_backend_health_check_interval=25,
        redis_max_connections=128,
        # A repeated command is a command executed twice.
        redis_retry_on_timeout=False,
    )
    tasks.register(app)
    return app


def _queue(name: str) -> Queue:
    return Queue(name, Exchange(name), routing_key=name)


def _transport_options(visibility_timeout_s: int) -> dict[str, Any]:
    return {
        # Celery's own copy of unacknowledged messages in Redis would cost a third of a job's CPU time and bring
        # a killed worker's messages back after minutes. The hopper knows what is released and not claimed, and
        # the sweeper brings it back in seconds: acknowledgement stays in the worker's memory.
        "ack_emulation": False,
        # Should a process turn the above on again: the same everywhere, and longer than any call can take.
        "visibility_timeout": visibility_timeout_s,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 3,
        # No priorities in the broker: the hopper has them, and one list is one list.
        "priority_steps": [0],
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        # A BRPOP is answered within a second. So often it is looked whether that came, and a connection that owes
        # the answer for one second more than this is dropped: 6 to 11 s until a half-open one is taken up again.
        "health_check_interval": 5,
        "max_connections": 128,
    }


def dial_message(app: Celery) -> str:
    """
    Return the Celery message of one dial job, with @ID@ and @TAG@ in place of job id and delivery tag.

    The pacer's script pushes it for each job it releases. Celery and kombu make it themselves, over an
    in-memory broker, so it is whatever the installed versions send; only the body is left as plain text, which
    kombu reads as well as base64, for the id to be put in.
    """
    return _message(app, DIAL_TASK)


def delivery_message(app: Celery) -> str:
    """Return the Celery message of one delivery, with @ID@ and @TAG@ in place of its id and delivery tag."""
    return _message(app, DELIVER_TASK)


def _message(app: Celery, task: str) -> str:
    queue = _queue(app.conf.task_default_queue)
    message = app.amqp.create_task_message(
        _STAND_IN, task, (_STAND_IN,), {}, argsrepr=f"('{_STAND_IN}',)", kwargsrepr="{}", ignore_result=True
    )
    with Connection("memory://") as connection, connection.channel() as channel:
        bound = queue(channel)
        bound.declare()
        app.amqp.send_task_message(
            connection.Producer(),
            task,
            message,
            exchange=bound.exchange,
            routing_key=queue.name,
            declare=[bound],
        )
        sent = channel._get(queue.name)  # noqa: SLF001  kombu has no public way to the raw message
        body = channel.decode_body(sent["body"], sent["properties"].pop("body_encoding"))
        sent["body"] = body.decode() if isinstance(body, bytes) else body
    sent["properties"]["delivery_tag"] = "@TAG@"
    return json.dumps(sent).replace(_STAND_IN, "@ID@")
