"""The hopper: where jobs wait, and the only way anything about them changes."""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal

import redis

from worker.errors import InputRefused, KeyConflict
from worker.hopper.answers import Receipt
from worker.hopper.attempts import Attempts
from worker.hopper.connection import connect
from worker.hopper.doubts import Doubts
from worker.hopper.looking import KILL_SWITCH
from worker.hopper.pbxs import Pbxs
from worker.hopper.wake import WakeCall
from worker.jobs import DialJob, DialResult, JobState
from worker.settings import (
    BreakerSettings,
    LookSettings,
    ReplicationSettings,
    Settings,
    TimeLimits,
)

# Jobs per script call: long enough to be cheap, short enough (about 3 ms) not to hold others up.
PUT_BATCH = 100
_RECORD_VERSION = "1"


_Batch = list[tuple[str, DialJob]]
_json = json.JSONEncoder(separators=(",", ":")).encode


class Hopper(Attempts, Doubts, Pbxs):
    """
    All jobs of one installation.

    Every method that changes anything is one Lua script and may be called again with the same arguments after
    a lost reply. All raise `redis.exceptions.RedisError` when the server does not answer.

    Args:
        client: To the server that holds the jobs.
        namespace: In front of every key.
        retain_s: How long records of ended jobs are kept, in seconds.
        limits: Leases and ages; those of the settings.
        replication: How many replicas must have a claim before its phone rings.
        looks: How doubtful jobs are looked after.
        breaker: When a PBX is left alone.
        actor: Who acts, for timelines: a worker's name or a person's.
    """

    def __init__(
        self,
        client: "redis.Redis",
        *,
        namespace: str,
        retain_s: int,
        limits: TimeLimits | None = None,
        replication: ReplicationSettings | None = None,
        looks: LookSettings | None = None,
        breaker: BreakerSettings | None = None,
        actor: str = "",
    ) -> None:
        super().__init__(client, namespace, actor=actor)
        self._retain_s = retain_s
        self._limits = limits or TimeLimits()
        self._looks = looks or LookSettings()
        self._breaker = breaker or BreakerSettings()
        self._replication = replication or ReplicationSettings()

    @classmethod
    def from_settings(cls, settings: Settings, *, actor: str = "") -> "Hopper":
        """Return the hopper that *settings* name; nothing is sent yet."""
        return cls(
            connect(settings.redis_url),
            namespace=settings.namespace,
            retain_s=settings.retain_s,
            limits=settings.limits,
            replication=settings.replication,
            looks=settings.look,
            breaker=settings.breaker,
            actor=actor,
        )

    # --- producers -------------------------------------------------------------------------------------------

    def put(self, job: DialJob, *, relative: frozenset[str] = frozenset()) -> Receipt:
        """
        Store one job in its lane, or find it there.

        Args:
            job: With its PBX named.
            relative: Fields computed from the present time, which may differ when a key comes again.

        Raises:
            KeyConflict: If the key belongs to a job with other contents.
        """
        batch = [(job.job_id(), job)]
        [receipt] = _receipts(batch, self._scripts.run("put", _payload(batch, relative)))
        if isinstance(receipt, InputRefused):
            raise receipt
        return receipt

    def put_many(
        self, jobs: Iterable[DialJob], *, relative: frozenset[str] = frozenset()
    ) -> Iterator[Receipt | KeyConflict]:
        """
        Store jobs in batches; yields one receipt (or conflict) per job, in order.

        The next batch is taken from *jobs* while Redis works on the last, so that any number streams through.
        If the process dies in between, whole batches are stored or not; jobs with keys may be put again.
        """
        source = iter(jobs)
        under_way: deque[_Batch] = deque()

        def payloads() -> Iterator[str]:
            while batch := [(job.job_id(), job) for job in islice(source, PUT_BATCH)]:
                under_way.append(batch)
                yield _payload(batch, relative)

        for answer in self._scripts.run_each("put", payloads()):
            yield from _receipts(under_way.popleft(), answer)

    def cancel(self, job_id: str) -> tuple[str, str]:
        """Withdraw a job; returns ("cancelled" | "too_late" | "gone" | "damaged", its state)."""
        word, state = self._scripts.run("cancel", job_id, self._retain_s)
        return word, state

    def resolve(self, job_id: str, verdict: str, *, callid: str = "", why: str = "") -> tuple[str, str]:
        """
        Say what became of an unknown job; the actor, the time and *why* stay in its record.

        Args:
            job_id: The job.
            verdict: placed (with *callid*), failed or redial.
            callid: The PBX's id of the call.
            why: A person's words.

        Returns:
            ("resolved" | "again", its state now), ("expired", its `expires_at`) where a redial comes too late, or
            ("not_unknown" | "gone" | "damaged", its state).
        """
        word, state = self._scripts.run("resolve", job_id, verdict, callid, why, self._retain_s)
        return word, state

    def pause(self, pbx: str = KILL_SWITCH) -> bool:
        """Stop releases and claims of one PBX, or of all; True if it was not paused before."""
        return bool(self._scripts.run("pause", pbx))

    def resume(self, pbx: str = KILL_SWITCH) -> list[str]:
        """Lift one pause, or all of them; returns the names that were paused."""
        return list(self._scripts.run("resume", pbx))

    # --- cleaning up and delivering --------------------------------------------------------------------------

    def sweep(
        self, *, interval_s: float, undelivered_s: float, dead_errno: str, dead_error: str, most: int = 200
    ) -> list[str] | None:
        """
        End what expired, take back what was lost, put dead claims in doubt.

        Args:
            interval_s: Sweeps are at least so far apart, whoever asks.
            undelivered_s: Results older than this are returned for delivery.
            dead_errno: The word a dead claim's job gets.
            dead_error: The same as a sentence.
            most: Jobs per kind and sweep.

        Returns:
            Ids whose results nobody delivered yet; None if another worker swept just now.
        """
        dead = (dead_errno, dead_error, *self._look_times())
        answer = self._scripts.run(
            "sweep", most, self._limits.release_ttl_s, self._retain_s, undelivered_s, *dead, interval_s
        )
        return None if answer is None else list(answer)

    def delivered(self, results: Iterable[DialResult]) -> None:
        """Take results off the outbox; one that changed since stays."""
        args: list[str | float] = []
        for result in results:
            assert result.finished_at is not None, "only ended jobs are delivered"
            # The text form has microseconds, the hopper's stamp too: compare a hair later.
            args += [result.job_id, repr(result.finished_at.timestamp() + 1e-5)]
        if args:
            self._scripts.run("delivered", *args)

    def set_aside(self, what: Literal["message", "job", "result"], reason: str, *, job_id: str = "") -> None:
        """
        Note that something could not be used, for `outdial doctor`; nothing is moved or deleted by this.

        Called again after a lost reply it makes a second note, which is acceptable.

        Args:
            what: What kind of thing.
            reason: What is wrong with it, a sentence without anything of its content.
            job_id: The job it belongs to, if that is known.
        """
        self._scripts.run("set_aside", what, job_id, reason)

    def heartbeat(self, worker: str, *, slots: int, ttl_s: float) -> int:
        """Say that *worker* lives with so many slots (0: it leaves); returns the slots of all."""
        return int(self._scripts.run("heartbeat", worker, slots, ttl_s))

    def wake_call(self) -> WakeCall:
        """Return what a pacer sleeps on; one for each thread."""
        return WakeCall(self.client, self.keys.wake)


def _payload(batch: _Batch, relative: frozenset[str]) -> str:
    rows = [[job_id, job.fingerprint(without=relative) if job.key else "", _fields(job)] for job_id, job in batch]
    return _json(rows)


def _receipts(batch: _Batch, answer: Sequence[str]) -> Iterator[Receipt | KeyConflict]:
    for (job_id, job), word, state in zip(batch, answer[::2], answer[1::2], strict=True):
        if word == "conflict":
            yield KeyConflict([f"key: {job.key!r} belongs to another job ({job_id}); give a new key"])
        elif word == "damaged":
            yield KeyConflict(
                [f"key: {job.key!r} belongs to a job whose record is damaged ({job_id}); give a new key"]
            )
        else:
            yield Receipt(job_id, JobState(state), word == "new")


def _fields(job: DialJob) -> list[str]:
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
