"""Faults of the Celery queue: messages too many, too few, and none at all."""

import random
import time
from typing import Any, Final

from ops.chaos.faults.fault import Fault, Missed, Struck
from ops.chaos.site import Site

_PARTS: Final = ("queue",)
_MOST = 5
# The workers wait for messages too, and whoever has waited longest is served first.
_LIE_IN_WAIT_S = 2


def _live_jobs(site: Site) -> list[str]:
    """Jobs that were released or claimed and have not ended."""
    client: Any = site.client
    keys = (f"{site.hopper.keys.namespace}:released", f"{site.hopper.keys.namespace}:claimed")
    return [job_id for key in keys for job_id in client.zrange(key, 0, -1)]


def duplicate_messages(site: Site, part: str, dice: random.Random) -> Struck:  # noqa: ARG001
    """Live jobs' messages come again, as after a lost reply to a publish or a redelivery."""
    jobs: list[str] = []
    for _ in range(20):
        jobs = _live_jobs(site)
        if jobs:
            break
        site.rest(0.1)
    if not jobs:
        raise Missed("no job was under way")
    copies = [job_id for job_id in dice.sample(jobs, min(_MOST, len(jobs))) for _ in range(dice.randint(1, 3))]
    for job_id in copies:
        message = site.message.replace("@ID@", job_id).replace("@TAG@", f"{job_id}.{time.time()}")
        site.client.lpush(site.settings.queue, message)
    return Struck(f"{len(copies)} copies")


def steal_messages(site: Site, part: str, dice: random.Random) -> Struck:  # noqa: ARG001
    """Messages vanish, as with a worker that dies with them in its hands."""
    client: Any = site.client
    stolen = 0
    for _ in range(dice.randint(1, _MOST)):
        stolen += client.brpop([site.settings.queue], timeout=_LIE_IN_WAIT_S) is not None
    if not stolen:
        raise Missed("no message came by")
    return Struck(f"{stolen} messages")


def push_garbage(site: Site, part: str, dice: random.Random) -> Struck:  # noqa: ARG001
    """What is no message of ours comes into the queue."""
    junk = dice.choice(_JUNK)
    site.client.lpush(site.settings.queue, junk)
    return Struck(f"{len(junk)} bytes")


_JUNK: Final = (
    b"",
    b"\xff\xfe\x00garbage",
    b"{",
    b"null",
    b"[]",
    b'"a string"',
    b"{}",
    b'{"body": "x", "headers": {}, "properties": {}}',
    b'{"body": "[]", "headers": {"task": "no.such.task", "id": "x"}, "properties": {"delivery_tag": "x"}}',
)

FAULTS: Final = {
    "messages duplicated": Fault(duplicate_messages, _PARTS, 0.5, weight=5),
    "messages stolen": Fault(steal_messages, _PARTS, 2, weight=3),
    "garbage queued": Fault(push_garbage, _PARTS, 0.1, weight=3),
}
