"""What the hopper is given: jobs, and what belongs to their arrival."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker import tracing
from worker.errors import AlreadyExpired, InputRefused, KeyConflict, RequestConflict
from worker.hopper.answers import Receipt
from worker.jobs import DialJob, JobState, RefusedJob

_RECORD_VERSION = "1"
_json = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Once:
    """
    A request that may come again, and is then answered with the job it brought the first time.

    `name` names it among all requests, `mark` (hex digits) is of what it says; both are at most some hundred
    characters. It is remembered for `kept_s`.
    """

    name: str
    mark: str
    kept_s: int


@dataclass(frozen=True, slots=True)
class Order:
    """
    One job to be stored.

    Args:
        job: With its PBX named, or one that a rule forbids.
        origin: Who brought it, such as `api:NAME` or `hook:NAME`; empty for people at the command line.
        once: The request it came by, if that may come again.
        expires_in_s: The job expires so long from now; `expires_at` of the job goes before.
        relative: Fields computed from the present time, which may differ when a key comes again.
        lenient: A key that comes again with other contents is the same job all the same.
        trace: What the job's spans belong to; that of the work under way if there is one.
        job_id: The id that a new job without a key gets; empty for a random one.
    """

    job: DialJob | RefusedJob
    origin: str = ""
    once: Once | None = None
    expires_in_s: float | None = None
    relative: frozenset[str] = frozenset()
    lenient: bool = False
    trace: str = field(default_factory=tracing.current, compare=False)
    job_id: str = ""


Batch = Sequence[tuple[str, Order]]
Answer = Receipt | KeyConflict | AlreadyExpired


def batch_of(orders: Sequence[Order]) -> Batch:
    """Return orders with the ids their jobs will live under."""
    return [(order.job_id or order.job.job_id(), order) for order in orders]


def payload(batch: Batch, retain_s: int) -> str:
    """
    Return what the step `put` takes.

    Raises:
        InputRefused: If a job names no PBX.
    """
    return _json([_row(job_id, order, retain_s) for job_id, order in batch])


def receipts(batch: Batch, answer: Sequence[str]) -> Iterator[Answer]:
    """Yield what the step `put` answered, one for each order."""
    answers = iter(answer)
    for (_, order), word, state, job_id in zip(batch, answers, answers, answers, strict=True):
        key = order.job.key
        if word == "conflict":
            yield KeyConflict([f"key: {key!r} belongs to another job ({job_id}); give a new key"])
        elif word == "reused":
            yield RequestConflict(["idempotency key: it came before with another request; give a new one"])
        elif word == "expired":
            yield _too_late(order)
        elif word == "damaged":
            yield KeyConflict(
                [f"key: {key!r} belongs to a job whose record is damaged ({job_id}); give a new key"]
            )
        else:
            yield Receipt(job_id, JobState(state), word == "new", word == "replayed")


def _too_late(order: Order) -> AlreadyExpired:
    job = order.job
    if isinstance(job, DialJob) and job.expires_at:
        return AlreadyExpired.at(job.expires_at)
    not_before = job.not_before.isoformat() if isinstance(job, DialJob) and job.not_before else ""
    limit = f"{order.expires_in_s:g} s after it comes"
    problem = f"not_before: {not_before!r} is too late for a job that expires {limit}; expected an earlier time"
    return AlreadyExpired([problem])


def _row(job_id: str, order: Order, retain_s: int) -> list[Any]:
    job = order.job
    options: dict[str, Any] = {}
    if order.once:
        options["once"] = [order.once.name, order.once.mark, order.once.kept_s]
    if order.expires_in_s is not None:
        options["expires_in_s"] = order.expires_in_s
    if isinstance(job, RefusedJob):
        options["refused"] = [job.errno, job.error, retain_s]
        row: list[Any] = [job_id, "", _refused_fields(job)]
    else:
        compared = bool(job.key) and not order.lenient
        row = [job_id, job.fingerprint(without=order.relative) if compared else "", record_fields(job)]
    if order.origin:
        row[2] += ["origin", order.origin]
    if order.trace:
        row[2] += ["trace", order.trace]
    return [*row, options] if options else row


def _refused_fields(job: RefusedJob) -> list[str]:
    fields = ["v", _RECORD_VERSION]
    for name, value in (("pbx", job.pbx), ("extid", job.extid), ("key", job.key)):
        if value:
            fields += [name, value]
    if job.metadata:
        fields += ["metadata", _json(dict(job.metadata))]
    if job.asked:
        fields += ["asked", _json(dict(job.asked))]
    return fields


def record_fields(job: DialJob) -> list[str]:
    """Return the record's fields, flat, without those at their default: a waiting job costs memory."""
    if job.pbx is None:
        raise InputRefused(["pbx: is missing; give the name of a PBX in the settings (a-z 0-9 _ -)"])
    fields = ["v", _RECORD_VERSION, "pbx", job.pbx, "extid", job.extid, "outto", job.outto]
    fields += ["rank", str(job.priority.rank)]
    if job.autoanswer != "no":
        fields += ["autoanswer", job.autoanswer]
    if job.on_unknown != "hold":
        fields += ["on_unknown", job.on_unknown]
    if job.key:
        fields += ["key", job.key]
    if job.not_before:
        fields += ["not_before", f"{job.not_before.timestamp():.6f}"]
    if job.expires_at:
        fields += ["expires_at", f"{job.expires_at.timestamp():.6f}"]
    if job.metadata:
        fields += ["metadata", _json(job.metadata)]
    return fields
