"""The hopper: where jobs wait, and the only way anything about them changes."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from worker.errors import InputRefused, KeyConflict
from worker.hopper.connection import Scripts, connect
from worker.hopper.keys import Keys
from worker.hopper.wake import WakeCall
from worker.jobs import DialJob, DialResult, JobState, Priority
from worker.settings import PbxSettings, Settings, TimeLimits

# Jobs per script call: long enough to be cheap, short enough (about 3 ms) not to hold others up.
PUT_BATCH = 100
KILL_SWITCH = "*"
_RECORD_VERSION = "1"
_DEFAULTS = {"autoanswer": "no", "on_unknown": "hold"}


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the hopper says of one job it was given: its id, its state, and whether it is new."""

    id: str
    state: JobState
    is_new: bool


@dataclass(frozen=True, slots=True)
class Go:
    """
    A claim: ring now.

    `age_s` counts from when the job could first go. `token` is the PBX's shared token and `generation` counts its
    logins. `attempts` includes this one.
    """

    pbx: str
    extid: str
    outto: str
    autoanswer: str
    attempts: int
    age_s: float
    token: str
    generation: int


@dataclass(frozen=True, slots=True)
class NoToken:
    """Nothing was taken; the PBX has no token and nobody is logging in."""

    pbx: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing was taken; claim again in so many seconds without leaving the slot."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Back:
    """The job is back in its lane; the pacer brings it when it may go."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The job ended while it was to be claimed: its time had run out."""

    state: JobState
    finished_at: str


@dataclass(frozen=True, slots=True)
class NotYours:
    """Another message of this job was faster, or the job is over, or there is no such job."""

    state: str


Claim = Go | NoToken | Wait | Back | Ended | NotYours


@dataclass(frozen=True, slots=True)
class Token:
    """A PBX's shared token and how many logins it is old."""

    token: str
    generation: int


@dataclass(frozen=True, slots=True)
class Login:
    """It is the caller's turn to log in."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Nobody may log in for so many seconds."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class LaneView:
    """One extension's lane: how many jobs may go now, and how long the extension is still taken."""

    extid: str
    waiting: int
    busy_s: float


@dataclass(frozen=True, slots=True)
class PbxView:
    """One PBX at a glance; `closed_s` is 0 unless something keeps it from taking calls."""

    name: str
    waiting: int
    later: int
    released: int
    open_calls: int
    paused: bool
    closed_s: float
    closed_reason: str
    lanes: tuple[LaneView, ...]


class Hopper:
    """
    All jobs of one installation.

    Every method that changes anything is one Lua script and may be called again with the same arguments after
    a lost reply. All raise `redis.exceptions.RedisError` when the server does not answer.
    """

    def __init__(
        self, client: "redis.Redis", *, namespace: str, retain_s: int, limits: TimeLimits | None = None
    ) -> None:
        self.client = client
        self.keys = Keys(namespace)
        self._scripts = Scripts(client, namespace)
        self._retain_s = retain_s
        self._limits = limits or TimeLimits()

    @classmethod
    def from_settings(cls, settings: Settings) -> "Hopper":
        """Return the hopper that *settings* name; nothing is sent yet."""
        return cls(
            connect(settings.redis_url),
            namespace=settings.namespace,
            retain_s=settings.retain_s,
            limits=settings.limits,
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
        receipt = next(self.put_many([job], relative=relative))
        if isinstance(receipt, InputRefused):
            raise receipt
        return receipt

    def put_many(
        self, jobs: Sequence[DialJob], *, relative: frozenset[str] = frozenset()
    ) -> Iterator[Receipt | KeyConflict]:
        """
        Store jobs in batches; yields one receipt (or conflict) per job, in order.

        If the process dies in between, whole batches are stored or not; jobs with keys may be put again.
        """
        for start in range(0, len(jobs), PUT_BATCH):
            batch = [(job.job_id(), job) for job in jobs[start : start + PUT_BATCH]]
            rows = [[job_id, job.fingerprint(without=relative) if job.key else "", _fields(job)] for job_id, job in batch]
            answer = self._scripts.run("put", json.dumps(rows, separators=(",", ":")))
            for (job_id, job), word, state in zip(batch, answer[::2], answer[1::2], strict=True):
                if word == "conflict":
                    yield KeyConflict([f"key: {job.key!r} belongs to another job ({job_id}); give a new key"])
                else:
                    yield Receipt(job_id, JobState(state), word == "new")

    def cancel(self, job_id: str) -> tuple[str, str]:
        """Withdraw a job; returns ("cancelled" | "too_late" | "gone", its state)."""
        word, state = self._scripts.run("cancel", job_id, self._retain_s)
        return word, state

    def pause(self, pbx: str = KILL_SWITCH) -> bool:
        """Stop releases and claims of one PBX, or of all; True if it was not paused before."""
        return bool(self._scripts.run("pause", pbx))

    def resume(self, pbx: str = KILL_SWITCH) -> list[str]:
        """Lift one pause, or all of them; returns the names that were paused."""
        return list(self._scripts.run("resume", pbx))

    # --- one attempt -----------------------------------------------------------------------------------------

    def release(
        self, queue: str, message: str, *, most: int, most_released: int, lookahead_s: float
    ) -> tuple[int, float | None]:
        """
        Hand due jobs to Celery.

        Args:
            queue: Celery's queue.
            message: A Celery message with @ID@ and @TAG@ in place of job id and delivery tag.
            most: Jobs to release now at most.
            most_released: Jobs that may be released and unclaimed at any time, over all workers.
            lookahead_s: How long before its permit a job may be released.

        Returns:
            How many were released, and seconds until there is more to do (None: when woken).
        """
        count, seconds = self._scripts.run(
            "release",
            most,
            most_released,
            lookahead_s,
            self._limits.release_ttl_s,
            self._retain_s,
            message,
            extra_keys=(queue,),
        )
        return int(count), None if float(seconds) < 0 else float(seconds)

    def claim(self, job_id: str, nonce: str, *, slot_wait_s: float) -> Claim:
        """
        Take everything one call needs, or learn why not.

        Args:
            job_id: A released job.
            nonce: Names this claim; the same one again gets the same answer.
            slot_wait_s: Longest wait the caller sleeps itself; beyond it the job goes back to its lane.
        """
        limits = self._limits
        word, *rest = self._scripts.run(
            "claim", job_id, nonce, limits.claim_dead_s, slot_wait_s, limits.release_ttl_s, self._retain_s
        )
        match word:
            case "go":
                pbx, extid, outto, autoanswer, attempts, age_s, token, generation = rest
                return Go(pbx, extid, outto, autoanswer, int(attempts), float(age_s), token, int(generation))
            case "wait":
                return Wait(float(rest[0]))
            case "login":
                return NoToken(rest[0])
            case "back":
                return Back()
            case "ended":
                return Ended(JobState(rest[0]), rest[1])
            case _:
                return NotYours(rest[0])

    def finish(self, job_id: str, nonce: str, state: JobState, claim: Go, **facts: str) -> DialResult | None:
        """
        End a claimed job.

        Args:
            job_id: The job.
            nonce: Of the claim.
            state: placed, failed or unknown.
            claim: What the claim said; saves reading the record again.
            facts: `callid`, or `errno` and `error`.

        Returns:
            The result, now also in the outbox; None if the claim was no longer the caller's.
        """
        fields = [part for pair in facts.items() for part in pair]
        word, *rest = self._scripts.run("finish", job_id, nonce, state, self._retain_s, *fields)
        if word != "done":
            return None
        finished_at, attempts, enqueued_at, metadata = rest
        record = {"state": state, "pbx": claim.pbx, "extid": claim.extid, "attempts": attempts, **facts}
        record |= {"enqueued_at": enqueued_at, "finished_at": finished_at, "metadata": metadata}
        if state is JobState.PLACED:
            record["placed_at"] = finished_at
        return DialResult.from_record(job_id, record)

    def park(
        self,
        job_id: str,
        nonce: str,
        *,
        delay_s: float,
        free: bool = False,
        in_slot: bool = False,
        rest_s: float = 0,
        errno: str = "",
        error: str = "",
    ) -> bool:
        """
        Send a claimed job round again.

        Args:
            job_id: The job.
            nonce: Of the claim.
            delay_s: Not before so many seconds from now.
            free: The attempt is given back.
            in_slot: The caller keeps the job, sleeps *delay_s* and claims again.
            rest_s: The extension takes no other call for so long.
            errno: Why, as shown until the next attempt.
            error: The same as a sentence.

        Returns:
            False if the claim was no longer the caller's.
        """
        flags = ("1" if free else "", "1" if in_slot else "")
        ttl = self._limits.release_ttl_s
        answer = self._scripts.run("park", job_id, nonce, delay_s, *flags, rest_s, ttl, errno, error)
        return bool(answer[0] == "parked")

    def hand_back(self, job_id: str, *, delay_s: float = 0) -> bool:
        """Return a released job to its lane unclaimed; False if it was not released any more."""
        return bool(self._scripts.run("hand_back", job_id, delay_s))

    # --- cleaning up and delivering --------------------------------------------------------------------------

    def sweep(self, *, interval_s: float, undelivered_s: float, dead_error: str, most: int = 200) -> list[str] | None:
        """
        End what expired, take back what was lost, give up dead claims.

        Args:
            interval_s: Sweeps are at least so far apart, whoever asks.
            undelivered_s: Results older than this are returned for delivery.
            dead_error: The sentence a dead claim's job gets.
            most: Jobs per kind and sweep.

        Returns:
            Ids whose results nobody delivered yet; None if another worker swept just now.
        """
        answer = self._scripts.run(
            "sweep", most, self._limits.release_ttl_s, self._retain_s, undelivered_s, dead_error, interval_s
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

    def heartbeat(self, worker: str, *, slots: int, ttl_s: float) -> int:
        """Say that *worker* lives with so many slots (0: it leaves); returns the slots of all."""
        return int(self._scripts.run("heartbeat", worker, slots, ttl_s))

    def wake_call(self) -> WakeCall:
        """Return what a pacer sleeps on; one for each thread."""
        return WakeCall(self.client, self.keys.wake)

    # --- PBXs ------------------------------------------------------------------------------------------------

    def register(self, name: str, pbx: PbxSettings) -> None:
        """Make a PBX's limits known; changed credentials lift the block the old ones earned."""
        limits = ("calls_per_second", "burst", "max_open_calls", "open_call_s", "extension_rest_s")
        fields = [part for limit in limits for part in (limit, str(getattr(pbx, limit)))]
        self._scripts.run("register", name, pbx.credentials_mark(), *fields)

    def close(self, pbx: str, *, base_s: float, cap_s: float, reason: str) -> float:
        """Let nobody dial on a PBX that cannot be reached; returns for how many seconds."""
        return float(self._scripts.run("close", pbx, base_s, cap_s, reason))

    def login_turn(
        self, pbx: str, *, refused: int, nonce: str, lease_s: float, spacing_s: float
    ) -> Token | Login | Wait | Closed:
        """
        Ask for a usable token, or for the turn to log in.

        Args:
            pbx: Name of the PBX.
            refused: Generation of the token that was refused; -1 takes any.
            nonce: Names the caller's turn.
            lease_s: The turn ends by itself after so long.
            spacing_s: Logins are at least so far apart.
        """
        word, *rest = self._scripts.run("login_turn", pbx, refused, nonce, lease_s, spacing_s)
        match word:
            case "token":
                return Token(rest[0], int(rest[1]))
            case "login":
                return Login()
            case "closed":
                return Closed(float(rest[0]), rest[1])
            case _:
                return Wait(float(rest[0]))

    def login_done(self, pbx: str, nonce: str, *, token: str = "", block_s: float = 0, reason: str = "") -> int:
        """
        Say how a login went.

        Args:
            pbx: Name of the PBX.
            nonce: Of the turn.
            token: What the PBX gave; empty if it refused.
            block_s: Above 0: nobody logs in for so long, and the PBX is closed meanwhile.
            reason: Why it is closed, one sentence for the operator.

        Returns:
            The token's generation, or -1 if the turn had passed to somebody else.
        """
        return int(self._scripts.run("login_done", pbx, nonce, token, block_s, reason)[0])

    # --- looking ---------------------------------------------------------------------------------------------

    def record(self, job_id: str) -> dict[str, str]:
        """Return a job's record as stored, empty if there is none. Holds the telephone number."""
        found: dict[str, str] = self.client.hgetall(self.keys.job(job_id))
        return found

    def result(self, job_id: str) -> DialResult | None:
        """Return what is known of a job, final or not; None if there is no such job."""
        return next(self.results([job_id]), None)

    def results(self, job_ids: Sequence[str]) -> Iterator[DialResult]:
        """Return what is known of several jobs in one round trip; unknown ids are left out."""
        with self.client.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hgetall(self.keys.job(job_id))
            records = pipe.execute()
        for job_id, record in zip(job_ids, records, strict=True):
            if record.get("state"):
                yield DialResult.from_record(job_id, record)

    def ended_since(self, since: float, *, page: int = 500) -> Iterator[DialResult]:
        """
        Yield results of jobs that ended at or after *since* (unix seconds), oldest first.

        Jobs that end meanwhile come too. Jobs whose record has expired are left out.
        """
        after, seen = since, set[str]()
        while True:
            found = self.client.zrange(
                self.keys.ended, after, "+inf", byscore=True, withscores=True, offset=0, num=page + len(seen)
            )
            fresh = [(job_id, score) for job_id, score in found if job_id not in seen]
            if not fresh:
                return
            yield from self.results([job_id for job_id, _ in fresh])
            last = fresh[-1][1]
            seen = {job_id for job_id, score in found if score == last}
            after = last

    def wait_for_end(self, job_id: str, timeout_s: float) -> DialResult | None:
        """
        Block until a job ends.

        Returns:
            Its result; after *timeout_s* whatever is known by then; None if there is no such job.
        """
        deadline = time.monotonic() + timeout_s
        with self.client.pubsub(ignore_subscribe_messages=True) as channel:
            channel.subscribe(self.keys.end(job_id))
            while True:
                result = self.result(job_id)
                left = deadline - time.monotonic()
                if result is None or result.state.is_final or left <= 0:
                    return result
                # The record is looked at again each second in case a message was lost with a connection.
                channel.get_message(timeout=min(left, 1.0))

    def paused(self) -> set[str]:
        """Return the paused PBXs; `*` stands for the kill switch."""
        return set(self.client.smembers(self.keys.paused))

    def workers_alive(self) -> dict[str, int]:
        """Return the slots of each worker that lives."""
        now = self.now()
        rows = (value.split("|") + [name] for name, value in self.client.hgetall(self.keys.workers).items())
        return {name: int(slots) for slots, alive_until, name in rows if float(alive_until) > now}

    def closed(self, pbx: str) -> tuple[float, str]:
        """Return for how many seconds a PBX is closed (0: it is open) and why."""
        until, reason = self.client.hmget(self.keys.pbx(pbx), "closed_until", "closed_reason")
        left = float(until or 0) - self.now()
        return (left, reason or "") if left > 0 else (0.0, "")

    def view(self, pbx: str) -> PbxView:
        """Return what waits and runs on one PBX, lane by lane."""
        keys, now = self.keys, self.now()
        with self.client.pipeline(transaction=False) as pipe:
            for rank in range(len(Priority)):
                pipe.zrange(keys.ring(pbx, rank), 0, -1, withscores=True)
            pipe.zcard(keys.later(pbx))
            pipe.zcard(keys.released(pbx))
            pipe.zcount(keys.lines(pbx), now, "+inf")
            *rings, later, released, lines = pipe.execute()
        rows = sorted((extid, free_at) for ring in rings for extid, free_at in ring)
        with self.client.pipeline(transaction=False) as pipe:
            for extid, _ in rows:
                pipe.zcard(keys.lane(pbx, extid))
            counts = pipe.execute()
        lanes = tuple(
            LaneView(extid, count, max(0.0, free_at - now))
            for (extid, free_at), count in zip(rows, counts, strict=True)
        )
        paused, (closed_s, reason) = self.paused(), self.closed(pbx)
        return PbxView(
            name=pbx,
            waiting=sum(counts),
            later=later,
            released=released,
            # A released job has its line reserved already.
            open_calls=max(0, lines - released),
            paused=bool(paused & {pbx, KILL_SWITCH}),
            closed_s=closed_s,
            closed_reason=reason,
            lanes=lanes,
        )

    def now(self) -> float:
        """Return the server's clock in unix seconds."""
        seconds, microseconds = self.client.time()
        return float(seconds) + float(microseconds) / 1e6


def _fields(job: DialJob) -> list[str]:
    """Return the record's fields, flat, without those at their default: a waiting job costs memory."""
    if job.pbx is None:
        raise InputRefused(["pbx: is missing; give the name of a PBX in the settings (a-z 0-9 _ -)"])
    values: dict[str, Any] = {
        "v": _RECORD_VERSION,
        "pbx": job.pbx,
        "extid": job.extid,
        "outto": job.outto,
        "autoanswer": job.autoanswer,
        "rank": str(job.priority.rank),
        "on_unknown": job.on_unknown,
        "key": job.key,
        "not_before": f"{job.not_before.timestamp():.6f}" if job.not_before else None,
        "expires_at": f"{job.expires_at.timestamp():.6f}" if job.expires_at else None,
        "metadata": json.dumps(job.metadata, separators=(",", ":")) if job.metadata else None,
    }
    return [
        part
        for name, value in values.items()
        if value is not None and _DEFAULTS.get(name) != value
        for part in (name, value)
    ]
