"""Finds worker processes that live and hear nothing any more, by what they write (see `worker.heartbeat`)."""

import fcntl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple, Self

import redis
import structlog

from worker.heartbeat import ENDING, SUPERVISOR, Finding, boot_id, findings
from worker.hopper import connect
from worker.pulse import BeatFile
from worker.settings import Settings

log = structlog.get_logger()

# Looking costs a file for each process.
_EVERY_S = 1.0
# Redis must answer us for this part of the limit while a process stays deaf: 15 s, in which it would have found a
# half-open connection by itself. After a cut of the network, or a pause of the machine, all are deaf for a moment.
_AGAIN = 1 / 2
# A file is written every second; one so old says that the disk is full or gone.
_BLIND_S = 5.0
_ASK_S = 2.0


class Seen(NamedTuple):
    """One process as its supervisor knows it: *since* it started or, without a *pid*, since it is not well."""

    name: str
    pid: int | None
    since: float


class Watchdog:
    """
    Writes what the supervisor knows, reads what its processes write, and says which of them are to be ended.

    A process is, when it stays deaf by the rule of `worker.heartbeat` although Redis answers new connections of
    ours: then a new process will hear. Ending it loses nothing and rings nothing twice, like any worker's death.
    While Redis is silent for us too, nothing is ended, and neither while our own file cannot be written: then
    those of the processes are as old.

    Args:
        folder: `worker.heartbeat_dir`, ours alone.
        redis_answers: Asks Redis on a new connection.
        limit_s: After so long without a sign a process, or the supervisor, is deaf.
        lock: The open file that keeps other supervisors from the folder.
    """

    def __init__(self, folder: Path, redis_answers: Callable[[], bool], *, limit_s: float, lock: IO[str]) -> None:
        self._folder = str(folder)
        self._redis_answers = redis_answers
        self._limit_s = limit_s
        self._again_s = max(_EVERY_S, limit_s * _AGAIN)
        self._lock = lock
        self._seen: Sequence[Seen] = ()
        self._began_at = self._moved_at = time.monotonic()
        self._has_looked = False
        self._is_stopping = False
        self._findings: list[Finding] = []
        self._next = 0.0
        self._deaf_since: dict[str, float] = {}
        self._ended: set[Seen] = set()
        self._file = BeatFile(folder, SUPERVISOR, self._content)

    @classmethod
    def on(cls, settings: Settings) -> Self | None:
        """
        Return that of these settings; None where they name no folder, or it is of no use.

        A folder that cannot be written, or is another supervisor's, is an error in the log and keeps nobody from
        dialing.
        """
        folder = settings.worker.heartbeat_dir
        lock = _locked(folder) if folder else None
        if folder is None or lock is None:
            return None
        return cls(folder, redis_asker(settings.redis_url), limit_s=settings.worker.deaf_after_s, lock=lock)

    def deaf(self, seen: Sequence[Seen]) -> list[str]:
        """Look, about once a second, and return the names of processes to be ended; *seen* is all there are."""
        now = time.monotonic()
        first, late = not self._seen, now - self._moved_at > self._again_s
        self._moved_at, self._seen = now, seen
        if first:
            self._file.start()
        if late:  # we did not run either
            self._deaf_since.clear()
        if now < self._next:
            return []
        self._next = now + _EVERY_S
        self._look(now)
        deaf = {finding.worker: finding for finding in self._findings if finding.is_deaf}
        alive = [process.name for process in self._not_ended() if process.name in deaf]
        if not alive or not self._redis_answers():
            self._deaf_since.clear()
            return []
        self._deaf_since = {name: self._deaf_since.get(name, now) for name in alive}
        long = [name for name, since in self._deaf_since.items() if now - since > self._again_s]
        for name in long:
            log.error("worker_deaf", worker=name, reason=deaf[name].text)
        self._ended |= {process for process in seen if process.name in long}
        return long

    def have_begun(self) -> bool:
        """Whether every process has read its settings and written its first sign; true if we cannot see that."""
        if not self._has_looked:
            return time.monotonic() - self._began_at > _BLIND_S
        return all(finding.has_begun for finding in self._findings)

    def problem(self) -> str:
        """Return a sentence about what no waiting mends; empty if there is nothing."""
        return next((finding.sentence() for finding in self._findings if finding.is_deaf), "")

    def stopping(self) -> None:
        """From now on it is right that processes go silent."""
        self._is_stopping = True

    def close(self) -> None:
        """Take our file away, and leave the folder to others."""
        self._file.stop()
        with suppress(OSError):
            _clean(Path(self._folder))
        self._lock.close()

    def _not_ended(self) -> set[Seen]:
        self._ended &= set(self._seen)
        return {process for process in self._seen if process.pid is not None} - self._ended

    def _look(self, now: float) -> None:
        can_see = now - self._file.written_at < _BLIND_S
        self._findings = findings(self._folder, now) if can_see else []
        self._has_looked |= can_see

    def _content(self) -> Mapping[str, object]:
        return {
            "boot": boot_id(),
            "at": time.monotonic() if self._is_stopping else self._moved_at,
            "limit_s": self._limit_s,
            "stopping": self._is_stopping,
            "slots": [process._asdict() for process in self._seen],
        }


def _locked(folder: Path) -> IO[str] | None:
    """Take the folder for ourselves, and away what earlier supervisors left in it; None if that cannot be."""
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            log.error("heartbeat_dir_taken", folder=str(folder), hint="give each `outdial worker` one of its own")
            return None
        _clean(folder)
        return lock
    except OSError as error:
        log.error("heartbeat_not_written", folder=str(folder), error=error.strerror)
        return None


def _clean(folder: Path) -> None:
    for old in (*folder.glob(f"*{ENDING}"), *folder.glob(f"*{ENDING}.new")):
        old.unlink(missing_ok=True)


def redis_asker(url: str) -> Callable[[], bool]:
    """Return what says whether the Redis at *url* answers a new connection, within a few seconds."""
    client = connect(url)
    client.connection_pool.connection_kwargs |= {"socket_timeout": _ASK_S, "socket_connect_timeout": _ASK_S}

    def answers() -> bool:
        with suppress(redis.RedisError):
            client.ping()
            client.connection_pool.disconnect()
            return True
        return False

    return answers
