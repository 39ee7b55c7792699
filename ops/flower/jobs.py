"""What Flower knows of jobs: Celery's picture of tasks, in the right order, with their lives, and masked."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from celery import states
from celery.events.state import TASK_EVENT_TO_STATE, Task
from flower.events import EventsState

from producers.masking import masked
from worker.task_events import TaskEvent

_OVER = frozenset({states.SUCCESS, states.FAILURE, states.REVOKED})
# What of an event is kept; the rest (process ids, clocks) costs memory and tells nobody anything.
_PLAIN = ("name", "eta", "expires", "retries", "runtime", "sent", "received", "started", "attempt", "client")
_TEXTS = ("result", "exception", "traceback")
# What comes of a former attempt ends with the beginning of another one.
_OF_AN_END = ("result", "exception", "traceback", "runtime", "succeeded", "failed", "revoked")
_SAVED = (*_PLAIN, *_TEXTS, "args", "kwargs", "life", "state", "timestamp", "clock", "retried", *_OF_AN_END[4:])

# As `worker.task_events` writes them; what others write there is not shown, whatever it is.
_OUR_ARGS = re.compile(r"\('[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}',\)|[(\[]?[)\]]?")
_OUR_KWARGS = re.compile(r"\{('pbx': '[a-z0-9_-]{1,32}')?(, )?('extid': '[0-9]{1,10}')?\}|")
# What a job's page shows, in this order, ahead of its life; the list's columns are among them.
_ROWS = ("name", "uuid", "state", "args", "kwargs", "result", "exception", "traceback", "worker", "retries")
_ROWS += ("runtime", "sent", "received", "started", "retried", "succeeded", "failed", "revoked")
_CALL_ID = re.compile(r"((?<![\w.+])[0-9]{9,11}\.[0-9]{1,10}(?![\w.]))")
_MASK = "(not shown)"


def is_news(known: Mapping[str, Any], state: str, *, at: float, attempt: int | None, by: str | None) -> bool:
    """
    Whether an event says where a job is now, or is a late one about where it was.

    Events of one worker come in order; those of several may overtake each other. Ends and parks bear Redis's time,
    beginnings that of their host.

    Args:
        known: `state`, `timestamp`, `attempt` and `hostname` as the job stands.
        state: The event's, as Celery names it.
        at: Its time in unix seconds.
        attempt: Its attempt, if it tells.
        by: Its worker.
    """
    now, since, attempts = known["state"], known["timestamp"] or 0.0, known["attempt"] or 0
    is_later_attempt = attempt is not None and attempt > attempts
    if now in _OVER:
        if state in _OVER or state == states.RETRY:
            return at >= since
        return is_later_attempt or (attempt is None and at > since)
    if state in _OVER:
        return attempt is None or attempt >= attempts or at >= since
    if state == states.RETRY:
        return at >= since or by == known["hostname"]
    return state != states.RECEIVED or now != states.STARTED or is_later_attempt


class ShownJob(Task):  # type: ignore[misc]  # Celery has no types
    """A job as Flower shows it."""

    _fields = (*Task._fields, "attempt", "life")
    attempt = life = hostname = None

    def event(
        self,
        type_: str,
        timestamp: float | None = None,
        local_received: float | None = None,
        fields: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        given = fields or {}
        at = float(timestamp or local_received or 0)
        state = TASK_EVENT_TO_STATE.get(type_) or type_.upper()
        told = _masked({name: given[name] for name in given if name in _SAVED})
        if type_ in TASK_EVENT_TO_STATE:
            told[type_] = at
        known = {name: getattr(self, name) for name in ("state", "timestamp", "attempt", "hostname")}
        by = given.get("hostname")
        if not is_news(known, state, at=at, attempt=told.get("attempt"), by=by):
            for name, value in told.items():
                if getattr(self, name, None) is None:
                    setattr(self, name, value)
            return
        if self.state in _OVER and state not in _OVER:
            told = dict.fromkeys(_OF_AN_END) | told
        self.__dict__.update(told, state=state, timestamp=at, hostname=by, clock=given.get("clock") or 0)

    def plain(self) -> dict[str, Any]:
        """Return what is worth keeping, JSON-ready."""
        kept = {name: getattr(self, name) for name in _SAVED}
        worker = self.worker.hostname if self.worker else None
        return {"uuid": self.uuid, "worker": worker} | {
            name: kept[name] for name in kept if kept[name] is not None
        }


class JobsState(EventsState):  # type: ignore[misc]
    """All jobs that Flower knows."""

    Task = ShownJob

    def restore(self, job_id: str, fields: Mapping[str, Any], *, worker: str | None) -> None:
        """Take a job as it was saved."""
        job = ShownJob(job_id, cluster_state=self, **{name: fields[name] for name in fields if name in _SAVED})
        job.worker = self._worker(worker) if worker else None
        self._put(job)

    def learn(self, event: TaskEvent) -> None:
        """Take what came of a job from its record, where its own events may have been missed."""
        job = self.tasks.data.get(event.job_id) or ShownJob(event.job_id, cluster_state=self)
        job.event(event.type.removeprefix("task-"), event.at, fields=event.fields)
        if job.worker is None:
            job.worker = self._claimer(event.fields.get("life") or ())
        self._put(job)

    def running(self) -> list[str]:
        """Return the jobs that have not ended, as far as is known here."""
        return [job_id for job_id, job in self.tasks.items() if job.state not in _OVER]

    def last_end(self) -> float:
        """Return when the last job ended that is known here, in unix seconds; 0 if there is none."""
        return max((job.timestamp or 0.0 for _, job in self.tasks.items() if job.state in _OVER), default=0.0)

    def forget_workers(self, *, unseen_s: float) -> set[str]:
        """Drop workers that said nothing for so long, and return their names."""
        before = time.time() - unseen_s
        gone = {
            name
            for name, worker in list(self.workers.items())
            if not worker.alive and max(worker.heartbeats, default=0.0) < before
        }
        for name in gone:
            self.workers.pop(name, None)
        gone |= self.counter.keys() - self.workers.keys()
        for name in gone:
            self.counter.pop(name, None)
        self.metrics.remove_workers(gone)
        return gone

    def _put(self, job: ShownJob) -> None:
        evicted = self._eviction_candidate(job.uuid)
        self.tasks[job.uuid] = job
        if job.name:
            self._seen_types.add(job.name)
        self._index_task(job, evicted)

    def _worker(self, name: str) -> Any:
        # One that is not alive any more is no worker to be listed.
        return self.workers.data.get(name) or self.Worker(name)

    def _claimer(self, life: Any) -> Any:
        names = [who for _, what, who, _ in life if what == "claimed"]
        # Timelines cut long names.
        alive = [name for name in self.workers.data if names and name.startswith(names[-1])]
        return self._worker(alive[0] if alive else names[-1]) if names else None


def page_of(job: ShownJob) -> ShownJob:
    """Return a copy of a job for its page, on which each moment of its life is a row."""
    moments = {f"{n}. {what}": _moment(at, who, why) for n, (at, what, who, why) in enumerate(job.life or (), 1)}
    job.__dict__.update(moments)
    job._fields = (*_ROWS, *moments)
    return job


def _moment(at: float, who: str, why: str) -> str:
    when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return f"{when} UTC" + (f" by {who}" if who else "") + (f": {why}" if why else "")


def _masked(fields: dict[str, Any]) -> dict[str, Any]:
    """Return an event's fields fit to be shown; ours come so, and this is for those of strangers on this Redis."""
    for name, ours in (("args", _OUR_ARGS), ("kwargs", _OUR_KWARGS)):
        if fields.get(name) is not None and not ours.fullmatch(str(fields[name])):
            fields[name] = _MASK
    for name in _TEXTS:
        if fields.get(name) is not None:
            parts = _CALL_ID.split(str(fields[name]))
            fields[name] = "".join(part if n % 2 else masked(part) for n, part in enumerate(parts))
    if fields.get("life"):
        fields["life"] = [
            [float(at), str(what), str(who), masked(str(why))] for at, what, who, why in fields["life"]
        ]
    return fields
