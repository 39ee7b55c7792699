"""
What is counted, as the places that carry decisions out call it: one small function for each event.

Until `begin` says otherwise everything is counted in this process's memory. None of these functions raises.
"""

import os
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import structlog

from worker.jobs import DialResult
from worker.metrics import files
from worker.metrics.labels import errno_label, known_codes, method_label, name_label, reason_label

if TYPE_CHECKING:
    from worker.metrics.meters import Meters

log = structlog.get_logger()

Outcome = Literal["placed", "not_placed", "in_doubt"]
Door = Literal["api", "batch", "hook"]


class _Counting:
    """The meters of this process, made for the first event, and the names that its settings know."""

    def __init__(self) -> None:
        self._made: Meters | None = None
        self._lock = threading.Lock()
        self.known: frozenset[str] = frozenset()

    @property
    def meters(self) -> "Meters":
        return self._made or self.make()

    def make(self, *, anew: bool = False) -> "Meters":
        # prometheus_client takes long to import, which commands that count nothing need not wait for.
        from worker.metrics.meters import Meters  # noqa: PLC0415

        with self._lock:
            if self._made is None or anew:
                self._made = Meters()
            return self._made


_counting = _Counting()


def begin(name: str, known: Iterable[str]) -> None:
    """
    Count from now on where the supervisor of this host reads it; in memory where it asked for nothing.

    Loads everything that counting needs: an import that failed later could cost a call its outcome.

    Args:
        name: Of this process's slot: a process started in the place of a dead one has the same name, and goes on
            counting where that one ended. No two live at a time.
        known: Names of the PBXs and endpoints in the settings.
    """
    _counting.known = frozenset(known)
    known_codes()
    if not os.environ.get(files.VARIABLE):
        _counting.make()
        return
    try:
        files.use(name, names=len(_counting.known))
        _counting.make(anew=True)
    except (
        OSError,
        ValueError,
        RuntimeError,
    ) as error:  # no folder, no room in it, or a file that somebody spoiled
        log.error("counted_in_memory", error=getattr(error, "strerror", None) or type(error).__name__)
        begin_in_memory(known)


def begin_in_memory(known: Iterable[str]) -> "Meters":
    """Count in this process's memory from 0, whatever the environment says; returns where, for who tells it."""
    files.use_memory()
    _counting.known = frozenset(known)
    return _counting.make(anew=True)


def know(names: Iterable[str]) -> None:
    """Count under these names of PBXs and endpoints too, as they are new in the settings."""
    _counting.known |= frozenset(names)


def _name(name: str) -> str:
    return name_label(name, _counting.known)


# --- dialing -----------------------------------------------------------------------------------------------------


def jobs_released(count: int) -> None:
    """The pacer handed so many jobs to Celery."""
    _counting.meters.note(count, "outdial_jobs_released_total")


def job_claimed(pbx: str) -> None:
    """A claim was granted, and took a permit."""
    name, meters = _name(pbx), _counting.meters
    meters.note(1, "outdial_claims_total", name)
    meters.note(1, "outdial_permits_total", name, "call")


def looked(pbx: str, permits: int) -> None:
    """A PBX was looked at, which took so many permits."""
    _counting.meters.note(permits, "outdial_permits_total", _name(pbx), "look")


def posted(pbx: str, seconds: float) -> None:
    """A dial request left, and was answered or given up after so many seconds."""
    _counting.meters.note(seconds, "outdial_post_seconds", _name(pbx))


def call_placed(pbx: str, waited_s: float) -> None:
    """A job was placed so many seconds after it could first go."""
    _counting.meters.note(waited_s, "outdial_queue_to_ring_seconds", _name(pbx))


def attempt_ended(pbx: str, outcome: Outcome, errno: str = "", *, is_retry: bool = False) -> None:
    """
    An attempt at a call came to something.

    Args:
        pbx: Name of the PBX.
        outcome: What it came to.
        errno: The PBX's code or a word of ours; empty for a call that was placed.
        is_retry: It was not the job's first one, and costs it an attempt.
    """
    name, meters = _name(pbx), _counting.meters
    meters.note(1, "outdial_attempts_total", name, outcome, errno_label(errno))
    if is_retry:
        meters.note(1, "outdial_retries_total", name)


def jobs_ended(results: Iterable[DialResult]) -> None:
    """These results have reached the results backend, and have not been counted before."""
    meters = _counting.meters
    for result in results:
        name, errno = _name(result.pbx), errno_label(result.errno)
        meters.note(1, "outdial_jobs_ended_total", name, str(result.state), errno)


def job_parked(pbx: str, reason: str) -> None:
    """A job left its slot for its lane, for a word of the pacing or after an attempt with this errno."""
    _counting.meters.note(1, "outdial_parks_total", _name(pbx), reason_label(reason))


def job_doubted(pbx: str) -> None:
    """An attempt left a job in doubt."""
    _counting.meters.note(1, "outdial_doubts_total", _name(pbx))


def doubt_resolved(pbx: str, verdict: str) -> None:
    """A doubt ended by one of `worker.evidence`'s verdicts."""
    _counting.meters.note(1, "outdial_doubts_resolved_total", _name(pbx), verdict)


def breaker_opened(pbx: str) -> None:
    """A PBX's breaker opened."""
    _counting.meters.note(1, "outdial_breaker_openings_total", _name(pbx))


def logged_in(pbx: str, result: Literal["ok", "refused", "failed"]) -> None:
    """We tried to log in to a PBX."""
    _counting.meters.note(1, "outdial_token_logins_total", _name(pbx), result)


def redis_was_away() -> None:
    """A step found Redis away."""
    _counting.meters.note(1, "outdial_redis_away_total")


# --- telling results ---------------------------------------------------------------------------------------------


def delivery_attempted(endpoint: str, result: str) -> None:
    """An attempt to tell a result came to one of the words of `Hopper.attempted`."""
    _counting.meters.note(1, "outdial_webhook_attempts_total", _name(endpoint), result)


def delivery_sent(endpoint: str, seconds: float) -> None:
    """A request to an endpoint was answered or given up after so many seconds."""
    _counting.meters.note(seconds, "outdial_webhook_seconds", _name(endpoint))


# --- the intake --------------------------------------------------------------------------------------------------


def request_served(route: str, method: str, status: int, seconds: float) -> None:
    """
    The intake served a request.

    Args:
        route: The template of its route, `none` where there is none of its path.
        method: As it came.
        status: Of the answer; 0 where the client went away before.
        seconds: Until the answer was complete.
    """
    meters = _counting.meters
    meters.note(1, "outdial_http_requests_total", route, method_label(method), str(status) if status else "none")
    meters.note(seconds, "outdial_http_request_seconds", route)


def jobs_accepted(door: Door, count: int = 1) -> None:
    """So many new jobs were kept."""
    _counting.meters.note(count, "outdial_jobs_accepted_total", door)


# --- the supervisor ----------------------------------------------------------------------------------------------


def process_started() -> None:
    """The supervisor started a process."""
    _counting.meters.note(1, "outdial_worker_process_starts_total")
