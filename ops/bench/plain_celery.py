"""What people do without outdial: a Celery task that POSTs, with its result in Redis. The yardstick."""

import os
import threading
from typing import Any

import requests
from celery import Celery

BROKER, PBX = os.environ["BENCH_BROKER"], os.environ["BENCH_PBX"]

app = Celery("plain", broker=BROKER, backend=os.environ["BENCH_RESULTS"])
app.conf.update(worker_prefetch_multiplier=1, task_acks_late=True, task_default_queue="plain")

_kept = threading.local()


@app.task(name="plain.dial")
def dial(extid: str, outto: str) -> dict[str, Any]:
    """Place one call over a connection kept by each thread, and return what the PBX said."""
    if not hasattr(_kept, "session"):
        _kept.session = requests.Session()
        _kept.session.trust_env = False
    reply = _kept.session.post(
        f"{PBX}/api/v1.0.0/extension/dial_outbound",
        params={"token": "0123456789abcdef"},
        json={"extid": extid, "outto": outto, "autoanswer": "no"},
        timeout=(3, 10),
    )
    answer: dict[str, Any] = reply.json()
    return answer
