"""Delivers what came of jobs: to Celery's results backend, and to Flower as task events."""

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from celery import Celery, states
from celery.backends.redis import RedisBackend
from kombu.exceptions import EncodeError
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker import metrics, task_events
from worker.hopper import Go, Hopper, Moment
from worker.jobs import DialResult, JobState
from worker.pulse import PULSE
from worker.task_events import WITHDRAWN, Ran, Running, TaskEvent
from worker.webhooks.targets import Announcer

log = structlog.get_logger()

# Storing results and sending events one by one costs as much as the call itself (0.9 and 0.7-1.2 ms of CPU);
# together they cost a fraction. The more there was last time, the longer is collected: 5 ms when little happens,
# so that nobody waits, up to 100 ms under load.
_COLLECT_S, _MOST_COLLECT_S = 0.005, 0.1
_MOST_PER_BATCH = 500
# So often a thread without news shows that it lives.
_IDLE_S = 5.0


@dataclass(frozen=True, slots=True)
class _End:
    """A job that is over; *ran* is None if its last attempt was another process's, or was told of before."""

    result: DialResult
    ran: Ran | None


@dataclass(frozen=True, slots=True)
class _Park:
    """A job that waits for another attempt; *at* is unix seconds."""

    job_id: str
    reason: str
    at: float


_News = _End | _Park | TaskEvent


class Deliverer:
    """
    A thread that takes news of jobs from the dialing threads and passes it on in batches.

    Nothing depends on it living: a result stays in the hopper's outbox until it has reached the results
    backend, and a sweep gives it to another worker's deliverer. Delivering twice changes nothing.

    Args:
        app: For its results backend and its event exchange.
        hopper: Whose outbox is emptied.
        hostname: Celery's node name of this worker, shown by Flower.
        announcer: Sees to it that endpoints hear of the results.
    """

    def __init__(self, app: Celery, hopper: Hopper, hostname: str, announcer: Announcer) -> None:
        self._app = app
        self._hopper = hopper
        self._hostname = hostname
        self._announcer = announcer
        self._news: queue.SimpleQueue[_News | None] = queue.SimpleQueue()
        self._running: dict[str, Running] = {}
        self._thread = threading.Thread(target=self._run, name="results", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self, timeout_s: float = 5) -> None:
        """Deliver what is there and stop; what does not go out in time stays in the outbox."""
        self._news.put(None)
        self._thread.join(timeout_s)

    def started(self, job_id: str, claim: Go, *, received_at: float) -> None:
        """An attempt begins: Flower shows the job as started."""
        running = Running(claim.pbx, claim.extid, claim.attempts, received_at, time.time(), time.monotonic())
        self._running[job_id] = running
        for event in task_events.began(job_id, running):
            self._news.put(event)

    def parked(self, job_id: str, reason: str) -> None:
        """The job waits for another attempt: Flower shows a retry and why."""
        self._running.pop(job_id, None)
        self._news.put(_Park(job_id, reason, time.time()))

    def let_go(self, job_id: str) -> None:
        """What comes of the attempt will be told by another worker's deliverer."""
        self._running.pop(job_id, None)

    def ended(self, result: DialResult) -> None:
        """The job is over."""
        running = self._running.pop(result.job_id, None)
        self._news.put(_End(result, Ran(running, time.monotonic() - running.since) if running else None))

    def _run(self) -> None:
        never_repeat(self._app.backend)  # each thread has a backend of its own
        with self._app.connection_for_write() as connection:
            dispatcher = self._app.events.Dispatcher(
                connection,
                hostname=self._hostname,
                buffer_group={"task"},
                buffer_limit=10 * _MOST_PER_BATCH,
            )
            more, news = True, list[_News]()
            while more:
                PULSE.answered("deliverer")
                news, more = self._batch(min(_MOST_COLLECT_S, _COLLECT_S * len(news)))
                try:
                    if news:
                        self._deliver(news, dispatcher)
                except Exception as error:  # noqa: BLE001
                    # Whatever a results backend may raise: the outbox still has the results, and a sweep
                    # brings them again until the backend takes them.
                    log.warning("results_put_off", error=type(error).__name__, jobs=len(news))

    def _batch(self, collect_s: float) -> tuple[list[_News], bool]:
        batch: list[_News] = []
        try:
            item = self._news.get(timeout=_IDLE_S)
        except queue.Empty:
            return batch, True
        if item is not None:
            time.sleep(collect_s)
        while item is not None:
            batch.append(item)
            if len(batch) >= _MOST_PER_BATCH:
                return batch, True
            try:
                item = self._news.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _deliver(self, news: Sequence[_News], dispatcher: Any) -> None:
        results = [item.result for item in news if isinstance(item, _End)]
        # First, for the results backend may be down for long.
        announced = self._announce(results)
        stored = self._store(results)
        for event in self._events_of(news):
            dispatcher.send(event.type, uuid=event.job_id, timestamp=event.at, **event.fields)
        dispatcher.flush()
        if isinstance(announced, redis.RedisError):
            raise announced  # they stay in the outbox
        delivered = self._hopper.delivered(results, keys=_keys_of(self._app, stored), announced=announced)
        metrics.jobs_ended(delivered.taken)
        if delivered.missing:
            self._leave_former_primary(len(delivered.missing))

    def _leave_former_primary(self, jobs: int) -> None:
        """Have the next batch find the primary anew; the results are still in the outbox, for the next sweep."""
        log.warning("results_discarded", jobs=jobs)
        if isinstance(self._app.backend, RedisBackend):
            self._app.backend.client.connection_pool.disconnect()

    def _announce(self, results: Sequence[DialResult]) -> set[str] | redis.RedisError:
        """Return whose ends were announced, or the error: a full Redis must not keep results from the backend."""
        try:
            return self._announcer.announce(results)
        except redis.RedisError as error:
            return error

    def _store(self, results: Sequence[DialResult]) -> list[DialResult]:
        """Store a batch and return what the backend took; one bad result must not keep the others from it."""
        try:
            store(self._app, results)
        except Exception as error:
            if not _is_for_good(error):
                raise
            return [result for result in results if self._store_one(result)]
        return list(results)

    def _store_one(self, result: DialResult) -> bool:
        try:
            store(self._app, [result])
        except Exception as error:
            if not _is_for_good(error):
                raise
            reason = f"the results backend cannot take it ({type(error).__name__}); `outdial status` has it"
            log.error("result_set_aside", job_id=result.job_id, error=type(error).__name__)
            self._hopper.set_aside("result", reason, job_id=result.job_id)
            return False
        return True

    def _events_of(self, news: Sequence[_News]) -> Iterator[TaskEvent]:
        lives = self._lives_of(news)
        for item in news:
            match item:
                case _End(result, ran):
                    yield from task_events.ended(result, ran=ran, life=lives.get(result.job_id, ()))
                case _Park(job_id, reason, at):
                    yield task_events.put_off(job_id, reason, lives.get(job_id, ()), at=at)
                case event:
                    yield event

    def _lives_of(self, news: Sequence[_News]) -> dict[str, list[Moment]]:
        """Read the timelines of those jobs of which this process did not see all; most are placed at once."""
        ids = [item.job_id for item in news if isinstance(item, _Park)]
        ends = (item for item in news if isinstance(item, _End))
        ids += [end.result.job_id for end in ends if end.ran is None or end.result.attempts != 1]
        return self._hopper.timelines(ids) if ids else {}


def never_repeat(backend: Any) -> None:
    """
    Let a Redis results backend fail at once, for the outbox to try again, where redis-py tries ten times.

    It tries at the address it last had. After a fail-over that may be a former primary that has come back and not
    been told yet: it takes the results, and forgets them when it becomes a replica (read in redis-py 8.1, and seen
    with three sentinels). A new try asks the sentinels anew.
    """
    if isinstance(backend, RedisBackend):
        backend.client.connection_pool.connection_kwargs["retry"] = Retry(NoBackoff(), 0)


def store(app: Celery, results: Sequence[DialResult]) -> None:
    """
    Write results to the app's results backend under their job ids.

    SUCCESS with the result as a dict; FAILURE with `CallNotPlaced` or `CallOutcomeUnknown`, REVOKED with
    `CallWithdrawn`, each carrying a sentence and the same dict. Placed calls go to Redis in one round trip; the
    rest takes Celery's own way, which never overwrites a SUCCESS.
    """
    backend = app.backend
    placed = [result for result in results if result.state is JobState.PLACED]
    if isinstance(backend, RedisBackend) and placed:
        _store_placed_in_redis(backend, placed)
        placed = []
    for result in placed:
        backend.store_result(result.job_id, result.plain(), states.SUCCESS)
    for result in results:
        if result.state is not JobState.PLACED:
            state = states.REVOKED if result.state in WITHDRAWN else states.FAILURE
            backend.store_result(result.job_id, task_events.error_of(result), state)


def _store_placed_in_redis(backend: RedisBackend, placed: Sequence[DialResult]) -> None:
    with backend.client.pipeline(transaction=False) as pipe:
        for result in placed:
            plain = result.plain()
            meta = backend.encode(
                {
                    "status": states.SUCCESS,
                    "result": plain,
                    "traceback": None,
                    "children": [],
                    "date_done": plain["finished_at"],
                    "task_id": result.job_id,
                }
            )
            key = backend.get_key_for_task(result.job_id)
            if backend.expires:
                pipe.setex(key, backend.expires, meta)
            else:
                pipe.set(key, meta)
            pipe.publish(key, meta)
        pipe.execute()


def _keys_of(app: Celery, results: Sequence[DialResult]) -> dict[str, str]:
    """Return the keys of results in a Redis results backend, by job id; empty for any other backend."""
    backend = app.backend
    if not isinstance(backend, RedisBackend):
        return {}
    return {result.job_id: backend.get_key_for_task(result.job_id).decode() for result in results}


def _is_for_good(error: Exception) -> bool:
    """Whether a backend will refuse the same result again; anything else may be its own bad day."""
    # DataError: SQLAlchemy's and redis-py's word for a value that cannot be stored.
    return isinstance(error, EncodeError | TypeError | ValueError) or type(error).__name__ == "DataError"
