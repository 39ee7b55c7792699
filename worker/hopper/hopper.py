"""The hopper: where jobs wait, and the only way anything about them changes."""

import json
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Literal

import redis

from worker.errors import InputRefused
from worker.fields import iso_utc
from worker.hopper.answers import Beat, Delivered, Receipt
from worker.hopper.apikeys import ApiKeys
from worker.hopper.attempts import Attempts
from worker.hopper.audit import Audit, noted
from worker.hopper.connection import connect
from worker.hopper.deliveries import Deliveries
from worker.hopper.doubts import Doubts
from worker.hopper.history import History
from worker.hopper.orders import Answer, Batch, Once, Order, batch_of, payload, receipts
from worker.hopper.overview import Overviews
from worker.hopper.pauses import Pauses
from worker.hopper.pbxs import Pbxs
from worker.hopper.redials import Redials
from worker.hopper.reports import Reports
from worker.hopper.wake import WakeCall
from worker.jobs import DialJob, DialResult
from worker.settings import (
    BreakerSettings,
    LookSettings,
    ReplicationSettings,
    RetrySettings,
    Settings,
    TimeLimits,
)

# Jobs per script call: long enough to be cheap, short enough (about 3 ms) not to hold others up.
PUT_BATCH = 100
# As `scripts/delivered.lua` answers.
_TAKEN, _MISSING = 1, -1


class Hopper(Attempts, Doubts, Pbxs, Pauses, ApiKeys, Deliveries, Overviews, Audit, History, Redials, Reports):
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
        retry: The longest rests of an extension and of a log-in.
        result_database: Database of the results if they are on this same server, else None.
        actor: Who acts, for timelines: a worker's name or a person's.
    """

    def __init__(  # noqa: PLR0913  one for each group of settings
        self,
        client: "redis.Redis",
        *,
        namespace: str,
        retain_s: int,
        limits: TimeLimits | None = None,
        replication: ReplicationSettings | None = None,
        looks: LookSettings | None = None,
        breaker: BreakerSettings | None = None,
        retry: RetrySettings | None = None,
        result_database: int | None = None,
        actor: str = "",
    ) -> None:
        super().__init__(client, namespace, actor=actor)
        self._result_database = result_database
        self._retain_s = retain_s
        self._limits = limits or TimeLimits()
        self._looks = looks or LookSettings()
        self._breaker = breaker or BreakerSettings()
        self._retry = retry or RetrySettings()
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
            retry=settings.retry,
            result_database=settings.result_database,
            actor=actor,
        )

    def adopt(self, settings: Settings) -> None:
        """Follow other settings from the next step on; connections and leases of claims stay as they are."""
        self._looks, self._breaker, self._retry = settings.look, settings.breaker, settings.retry

    # --- producers -------------------------------------------------------------------------------------------

    def put(self, job: DialJob, *, relative: frozenset[str] = frozenset(), job_id: str = "") -> Receipt:
        """
        Store one job in its lane, or find it there.

        Args:
            job: With its PBX named.
            relative: Fields computed from the present time, which may differ when a key comes again.
            job_id: As in `Order`.

        Raises:
            KeyConflict: If the key belongs to a job with other contents.
            AlreadyExpired: If it would expire at once.
        """
        [receipt] = self.put_orders([Order(job, relative=relative, job_id=job_id)])
        if isinstance(receipt, InputRefused):
            raise receipt
        return receipt

    def put_orders(self, orders: Sequence[Order]) -> list[Answer]:
        """
        Store some jobs in one step, at most PUT_BATCH; returns one receipt, or why it was not stored, per order.

        If the process dies meanwhile, all are stored or none; orders whose jobs have keys, or that may come again
        (`Once`), may be put again.
        """
        batch = batch_of(orders)
        return list(receipts(batch, self._scripts.run("put", payload(batch, self._retain_s))))

    def put_many(self, orders: Iterable[DialJob | Order]) -> Iterator[Answer]:
        """
        Store jobs in batches; yields one receipt, or why it was not stored, per job, in order.

        The next batch is taken from *orders* while Redis works on the last, so that any number streams through.
        If the process dies in between, whole batches are stored or not; jobs with keys may be put again.
        """
        source = (order if isinstance(order, Order) else Order(order) for order in orders)
        under_way: deque[Batch] = deque()

        def payloads() -> Iterator[str]:
            while batch := batch_of(list(islice(source, PUT_BATCH))):
                under_way.append(batch)
                yield payload(batch, self._retain_s)

        for answer in self._scripts.run_each("put", payloads()):
            yield from receipts(under_way.popleft(), answer)

    def make_sure_of_room(self) -> None:
        """Change nothing, and raise what a job handed in now would raise: Redis away, full, or only a copy."""
        self._scripts.run("room")

    def once(self, request: Once) -> Literal["first", "again", "other"]:
        """Remember a request that brings many jobs; says whether it came before, and with the same content."""
        word: Literal["first", "again", "other"] = self._scripts.run(
            "once", request.name, request.mark, request.kept_s
        )
        return word

    def cancel(self, job_id: str, *, reason: str = "") -> tuple[str, str]:
        """
        Cancel a job; the actor and *reason* stay in its record and in the audit.

        Returns:
            ("cancelled" | "too_late" | "gone" | "damaged", its state).
        """
        [answer] = self.cancel_many([job_id], reason=reason)
        return answer

    def cancel_many(self, job_ids: Sequence[str], *, reason: str = "", subject: str = "") -> list[tuple[str, str]]:
        """
        Cancel some jobs in one step, with one entry in the audit.

        Args:
            job_ids: At most about PUT_BATCH; more would keep others from Redis.
            reason: A person's words; telephone numbers and secrets in it are masked.
            subject: What the audit calls the jobs, such as the filters that selected them; else it names ids.

        Returns:
            For each what `cancel` returns.
        """
        answers = self._scripts.run("cancel", self._retain_s, noted(reason), noted(subject), *job_ids)
        return [(word, state) for word, state in answers]

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
        word, state = self._scripts.run("resolve", job_id, verdict, callid, noted(why), self._retain_s)
        return word, state

    def index_metadata(self, names: Collection[str]) -> list[str]:
        """
        Keep an index of these names of metadata, and of no others, so that `find` is fast for them.

        It takes 4 to 8 bytes a job and name. Jobs enqueued before a name came are found as without it, one by one.

        Returns:
            The names that are new.
        """
        added: list[str] = self._scripts.run("index_metadata", *names)
        return added

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

    def delivered(
        self,
        results: Iterable[DialResult],
        *,
        keys: Mapping[str, str] | None = None,
        announced: Collection[str] = (),
    ) -> Delivered:
        """
        Take results off the outbox.

        A result that changed since stays. So does one that this server lacks: a fail-over may have discarded what
        another server took. A process that dies right after this leaves nothing.

        Args:
            results: Ends that the results backend has taken.
            keys: The backend's keys by job id; looked up if the results are on the server of the jobs.
            announced: Ids of the jobs whose ends were announced; looked up in their records.

        Returns:
            Those that this step took off (each end of a job once, however often it is delivered), and those that
            this server lacks. If there are any, the calling thread's connection may lead to a former primary and
            is closed.
        """
        given = list(results)
        if not given:
            return Delivered()
        keys = keys or {}
        rows = [_row(one, key=keys.get(one.job_id, ""), was_announced=one.job_id in announced) for one in given]
        jobs_in = int(self.client.get_connection_kwargs().get("db") or 0)
        payload = {"jobs_in": jobs_in, "results_in": self._result_database, "ends": rows}
        answers = list(zip(given, self._scripts.run("delivered", json.dumps(payload)), strict=True))
        missing = tuple(result for result, answer in answers if answer == _MISSING)
        if missing:
            self._scripts.leave_server()
        return Delivered(tuple(result for result, answer in answers if answer == _TAKEN), missing)

    def set_aside(
        self, what: Literal["message", "job", "result", "delivery"], reason: str, *, job_id: str = ""
    ) -> None:
        """
        Note that something could not be used, for `outdial doctor`; nothing is moved or deleted by this.

        Called again after a lost reply it makes a second note, which is acceptable.

        Args:
            what: What kind of thing.
            reason: What is wrong with it, a sentence without anything of its content.
            job_id: The job it belongs to, if that is known.
        """
        self._scripts.run("set_aside", what, job_id, reason)

    def heartbeat(
        self, worker: str, *, slots: int, ttl_s: float, held_why: str = "", settings_mark: str = ""
    ) -> Beat:
        """
        Report that a worker lives.

        Args:
            worker: Its name.
            slots: How many it has; 0: it leaves.
            ttl_s: How long it counts as alive without another heartbeat.
            held_why: Why no call may begin on this server; empty lets calls go on.
            settings_mark: Two workers with other settings of PBXs have other marks.
        """
        total, now, compared, in_doubt, origin, other, has_others = self._scripts.run(
            "heartbeat", worker, slots, ttl_s, held_why, settings_mark
        )
        return Beat(int(total), float(now), int(compared), in_doubt == "1", origin, other, has_others == "1")

    def set_clock(self, compared: int, step_s: float | None) -> tuple[int, float]:
        """
        Report what a comparison of Redis's clock with the caller's own time came to.

        A step moves all permits, leases, turns, rests and retries by as much, once, whichever workers report it.

        Args:
            compared: As the caller's last heartbeat had it.
            step_s: Seconds by which the clock has stepped (0: it has not); None if the caller cannot tell.

        Returns:
            How often the clock was compared by now, and the seconds by which this call moved times.
        """
        longest_wait_s = max(self._retry.cap_s, self._retry.busy_cap_s) + self._retry.base_s
        step = "" if step_s is None else f"{step_s:.6f}"
        known, moved_s = self._scripts.run("set_clock", compared, step, longest_wait_s, self._flight_s())
        return int(known), float(moved_s)

    def wake_call(self) -> WakeCall:
        """Return what a pacer sleeps on; one for each thread."""
        return WakeCall(self.client, self.keys.wake)


def _row(result: DialResult, *, key: str, was_announced: bool) -> list[str | float | bool]:
    """Return an end as `scripts/delivered.lua` takes it."""
    assert result.finished_at is not None, "only ended jobs are delivered"
    # The text form has microseconds, the hopper's stamp too: compare a hair later.
    finished_at = result.finished_at.timestamp() + 1e-5
    return [result.job_id, result.state, finished_at, key, iso_utc(result.finished_at), was_announced]
