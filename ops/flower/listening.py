"""Flower's ear: events as they come, and from the records what was missed."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import redis
import structlog
from celery import Celery
from celery.events import EventReceiver
from flower.events import Events
from tornado.ioloop import IOLoop, PeriodicCallback

from ops.flower import keeping
from ops.flower.jobs import JobsState
from worker import task_events
from worker.hopper import Hopper
from worker.task_events import TaskEvent

log = structlog.get_logger()

_AGAIN_S = 1.0
# Every worker alive says so every two seconds: longer silence is no worker, or a connection that only looks alive.
_SILENCE_S = 30.0
_PAGE = 500
MOST_WORKERS = 500
# A dead worker is seen as offline for so long.
UNSEEN_S = 900
# Events come after the end they tell of: by a sweep at least, by a results backend's bad hour at worst.
_LAG_S, _LONG_LAG_S = 60.0, 3600.0


class _Receiver(EventReceiver):  # type: ignore[misc]  # Celery has no types
    """Says when it has begun to hear, so that nothing falls between that and the reading of records."""

    def __init__(self, *args: Any, heard: Callable[[], None], **options: Any) -> None:
        super().__init__(*args, **options)
        self._heard = heard

    def on_consume_ready(self, *args: Any, **options: Any) -> None:
        super().on_consume_ready(*args, **options)
        self._heard()


class Listener(Events):  # type: ignore[misc]
    """
    Flower's thread for events, which outlives whatever its Redis does.

    Args:
        app: With the broker that events come by.
        io_loop: Flower's; all jobs are changed there.
        hopper: Whose records tell what was missed.
        max_tasks: Jobs kept in memory.
        database: Where they are kept over a restart; None: nowhere.
        save_every_s: How often.
    """

    def __init__(
        self,
        app: Celery,
        io_loop: IOLoop,
        hopper: Hopper,
        *,
        max_tasks: int,
        database: Path | None,
        save_every_s: float,
    ) -> None:
        super().__init__(app, io_loop, enable_events=False, max_tasks_in_memory=max_tasks)
        self.state = JobsState(max_tasks_in_memory=max_tasks, max_workers_in_memory=MOST_WORKERS)
        self._hopper = hopper
        self._database = database
        self._catching_up = threading.Lock()
        self._heard_at = 0.0
        self._timers = [PeriodicCallback(self._forget_workers, 60_000)]
        if database is not None:
            loaded = keeping.load(self.state, database)
            log.info("view_loaded", jobs=loaded, file=str(database))
            self._timers.append(PeriodicCallback(self.save_state, save_every_s * 1000))

    def start(self) -> None:
        """Begin to listen."""
        super().start()
        for timer in self._timers:
            timer.start()

    def stop(self) -> None:
        """Save; the thread ends with the process."""
        for timer in self._timers:
            timer.stop()
        self.save_state()

    def save_state(self) -> None:
        """Save, if there is a place to; a full disk is told, and tried again."""
        if self._database is None:
            return
        try:
            keeping.save(self.state, self._database)
        except OSError as error:
            log.error("view_unsaved", file=str(self._database), error=error.strerror)

    def run(self) -> None:
        """Listen for ever."""
        is_away = False

        def heard() -> None:
            nonlocal is_away
            if is_away:
                log.info("redis_back", thread="events")
            is_away = False
            self.io_loop.add_callback(self._catch_up)

        while True:
            try:
                with self.capp.connection_for_read() as connection:
                    handlers = {"*": self.on_event}
                    receiver = _Receiver(connection, handlers=handlers, app=self.capp, heard=heard)
                    receiver.capture(limit=None, timeout=_SILENCE_S, wakeup=True)
            except TimeoutError:
                continue
            except Exception as error:  # noqa: BLE001  whatever kombu may raise, the next try is the answer
                if not is_away:
                    log.warning("redis_away", thread="events", error=type(error).__name__)
                is_away = True
            time.sleep(_AGAIN_S)

    def on_event(self, event: dict[str, Any]) -> None:
        """Hand an event over to Flower's loop."""
        self.io_loop.add_callback(partial(self._take, event))

    def _take(self, event: dict[str, Any]) -> None:
        self._heard_at = time.time()
        try:
            self.state.event(event)
        except Exception as error:  # noqa: BLE001
            # Of a stranger on this Redis; what it says is not for the log either.
            log.warning("event_unreadable", error=type(error).__name__)

    async def _catch_up(self) -> None:
        """Read what came of jobs while nobody listened: before this start, or while Redis was away."""
        if not self._catching_up.acquire(blocking=False):
            return
        try:
            since = self._heard_at - _LAG_S if self._heard_at else self.state.last_end() - _LONG_LAG_S
            running, self._heard_at = self.state.running(), time.time()
            for event in await self.io_loop.run_in_executor(None, self._missed, running, max(0.0, since)):
                self.state.learn(event)
        except redis.RedisError as error:
            log.warning("records_unread", error=type(error).__name__)
        finally:
            self._catching_up.release()

    def _missed(self, running: list[str], since: float) -> list[TaskEvent]:
        """Return what came of jobs, the last that ended last."""
        ended = self._hopper.ended_last(self.state.max_tasks_in_memory, since=since)
        known = set(ended)
        ids = [job_id for job_id in running if job_id not in known] + ended[::-1]
        pages = (ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE))
        return [event for page in pages for event in self._ends(page)]

    def _ends(self, job_ids: list[str]) -> Iterator[TaskEvent]:
        lives = self._hopper.timelines(job_ids)
        for result in self._hopper.results(job_ids):
            if result.finished_at is not None:
                yield task_events.ended(result, ran=None, life=lives[result.job_id])[-1]

    def _forget_workers(self) -> None:
        self.state.forget_workers(unseen_s=UNSEEN_S)
