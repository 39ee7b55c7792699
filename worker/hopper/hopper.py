"""The hopper: where jobs wait, and the only way anything about them changes."""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal

import redis

from worker.errors import InputRefused, KeyConflict
from worker.hopper.answers import (
    Back,
    Barred,
    Claim,
    Doubted,
    Ended,
    Finished,
    Go,
    Login,
    LookTurn,
    NoToken,
    NotYours,
    Parked,
    Receipt,
    Token,
    Wait,
)
from worker.hopper.connection import connect
from worker.hopper.looking import KILL_SWITCH, Looking
from worker.hopper.wake import WakeCall
from worker.jobs import DialJob, DialResult, Doubt, JobState
from worker.settings import (
    BreakerSettings,
    LookSettings,
    PbxSettings,
    ReplicationSettings,
    Settings,
    TimeLimits,
)

# Jobs per script call: long enough to be cheap, short enough (about 3 ms) not to hold others up.
PUT_BATCH = 100
_RECORD_VERSION = "1"


_Batch = list[tuple[str, DialJob]]
_json = json.JSONEncoder(separators=(",", ":")).encode


class Hopper(Looking):
    """
    All jobs of one installation.

    Every method that changes anything is one Lua script and may be called again with the same arguments after
    a lost reply. All raise `redis.exceptions.RedisError` when the server does not answer.

    Args:
        client: To the server that holds the jobs.
        namespace: In front of every key.
        retain_s: How long records of ended jobs are kept, in seconds.
        limits: Leases and ages; those of the settings.
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
            self._limits.claim_dead_s,
            self._retain_s,
            message,
            extra_keys=(queue,),
        )
        return int(count), None if float(seconds) < 0 else float(seconds)

    def claim(self, job_id: str, nonce: str, *, slot_wait_s: float, incarnation: str = "") -> Claim:
        """
        Take everything one call needs, or learn why not.

        Args:
            job_id: A released job.
            nonce: Names this claim; the same one again gets the same answer.
            slot_wait_s: Longest wait the caller sleeps itself; beyond it the job goes back to its lane.
            incarnation: Of the worker process, for `bury`.
        """
        word, *rest = self._scripts.run(
            "claim", job_id, nonce, self._limits.claim_dead_s, slot_wait_s, self._retain_s, incarnation
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

    def is_replicated(self, job_id: str, nonce: str) -> bool:
        """
        Whether a claim is the caller's, and as many replicas have it as the settings ask for.

        True at once where they ask for none. False means that nobody may dial, and so does an error.

        Args:
            job_id: The job.
            nonce: Of the claim.
        """
        wanted, wait_s = self._replication.wait_replicas, self._replication.wait_s
        if not wanted:
            return True
        is_mine, have = self._scripts.run_and_wait("confirm", job_id, nonce, replicas=wanted, wait_s=wait_s)
        return bool(is_mine) and have >= wanted

    def finish(
        self,
        job_id: str,
        nonce: str,
        state: JobState,
        claim: Go | Doubted,
        *,
        answered: bool = True,
        nothing_runs: bool = False,
        **facts: str,
    ) -> Finished | None:
        """
        End a claimed job.

        Args:
            job_id: The job.
            nonce: Of the claim.
            state: placed, failed or unknown.
            claim: What the claim said; saves reading the record again.
            answered: Whether the PBX gave an answer, which closes its breaker.
            nothing_runs: The extension has been seen idle, so it and the line are free.
            facts: `callid` or `outboundid`, or `errno` and `error`.

        Returns:
            The result, now also in the outbox; None if the claim was no longer the caller's.
        """
        fields = [part for pair in facts.items() for part in pair]
        flags = ("1" if nothing_runs else "", "1" if answered else "")
        word, *rest = self._scripts.run("finish", job_id, nonce, state, self._retain_s, *flags, *fields)
        if word != "done":
            return None
        finished_at, attempts, enqueued_at, metadata, closed, callid, outboundid, placed_at = rest
        record = {"state": state, "pbx": claim.pbx, "extid": claim.extid, "attempts": attempts, **facts}
        record |= {"enqueued_at": enqueued_at, "finished_at": finished_at, "metadata": metadata}
        if state is JobState.PLACED:
            record |= {"placed_at": placed_at or None, "callid": callid or None, "outboundid": outboundid or None}
        return Finished(DialResult.from_record(job_id, record), breaker_closed=closed == "1")

    def park(  # noqa: PLR0913  as above
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
        answered: bool = False,
    ) -> Parked | None:
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
            answered: Whether the PBX gave an answer, which closes its breaker.

        Returns:
            None if the claim was no longer the caller's.
        """
        flags = ("1" if free else "", "1" if in_slot else "")
        times = (self._limits.release_ttl_s, self._limits.claim_dead_s)
        told = (errno, error, "1" if answered else "")
        word, *rest = self._scripts.run("park", job_id, nonce, delay_s, *flags, rest_s, *times, *told)
        return Parked(breaker_closed=rest[0] == "1") if word == "parked" else None

    def hand_back(self, job_id: str, *, delay_s: float = 0, reason: str = "") -> bool:
        """Return a released job to its lane unclaimed; False if it was not released any more."""
        return bool(self._scripts.run("hand_back", job_id, delay_s, reason))

    # --- doubts ----------------------------------------------------------------------------------------------

    def doubt(self, job_id: str, nonce: str, doubt: Doubt, *, errno: str, error: str) -> bool:
        """Give a claimed job up to the looking; False if the claim was no longer the caller's."""
        answer = self._scripts.run("doubt", job_id, nonce, doubt, errno, error, *self._look_times())
        return bool(answer[0] == "doubted")

    def bury(self, incarnation: str, *, errno: str, error: str) -> int:
        """Put the claims of a worker process that is surely dead in doubt; returns how many there were."""
        return int(self._scripts.run("bury", incarnation, errno, error, *self._look_times()))

    def look_turn(self, *, lease_s: float, most: int = 100) -> LookTurn | float | None:
        """
        Ask which PBX is to be looked at.

        Args:
            lease_s: Should the caller die, somebody else looks after so long.
            most: Jobs to look after at once at most; those that waited longest.

        Returns:
            The turn; else seconds until there is one; None while nothing is in doubt.
        """
        word, *rest = self._scripts.run("look_turn", lease_s, most, self._looks.permits)
        if word == "none":
            seconds = float(rest[0])
            return seconds if seconds >= 0 else None
        pbx, unasked, token, generation, ahead_s, now, *flat = rest
        jobs = tuple(_doubted(pbx, float(now), flat[i : i + 14]) for i in range(0, len(flat), 14))
        return LookTurn(
            pbx,
            ask=unasked != "1",
            token=token,
            generation=int(generation),
            clock_ahead_s=float(ahead_s),
            jobs=jobs,
        )

    def looked(self, pbx: str, *, next_s: float, answered: bool, still: Iterable[tuple[Doubted, str]]) -> bool:
        """
        Say what a look has told about the jobs still in doubt.

        Args:
            pbx: What was looked at.
            next_s: Seconds until the next look, if there is still a doubt.
            answered: Whether the PBX gave an answer, which lets a call probe it if its breaker is open.
            still: Each job and what was seen of it (see `worker.evidence.Sight`).

        Returns:
            Whether the breaker is half open by it.
        """
        flat: list[str] = []
        for job, sight in still:
            since = "0" if job.quiet_s is None else "1"
            flat += [job.id, "1" if sight == "engaged" else "", since, "1" if sight == "quiet" else ""]
        return bool(self._scripts.run("looked", pbx, next_s, "1" if answered else "", *flat) == "1")

    def _look_times(self) -> tuple[float, float]:
        return self._looks.at_most_s, self._looks.every_s

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

    # --- PBXs ------------------------------------------------------------------------------------------------

    def register(self, name: str, pbx: PbxSettings) -> None:
        """Make a PBX's limits known; changed credentials lift the block the old ones earned."""
        limits = ("calls_per_second", "burst", "max_open_calls", "open_call_s", "extension_rest_s")
        fields = [part for limit in limits for part in (limit, str(getattr(pbx, limit)))]
        self._scripts.run("register", name, pbx.credentials_mark(), *fields)

    def unreachable(self, pbx: str, *, reason: str, by: str) -> float | None:
        """
        Count a PBX that could not be asked, or sent no answer; enough in a row open its breaker.

        Args:
            pbx: Its name.
            reason: One sentence for the operator.
            by: The job that tried, or `look`.

        Returns:
            For how many seconds the breaker has opened just now, None if it has not.
        """
        breaker = self._breaker
        word, value = self._scripts.run(
            "unreachable", pbx, breaker.failures, breaker.base_s, breaker.cap_s, reason, by
        )
        return float(value) if word == "opened" else None

    def login_turn(
        self, pbx: str, *, refused: int, nonce: str, lease_s: float, spacing_s: float
    ) -> Token | Login | Wait | Barred:
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
            case "barred":
                return Barred(float(rest[0]), rest[1])
            case _:
                return Wait(float(rest[0]))

    def login_done(self, pbx: str, nonce: str, *, token: str = "", block_s: float = 0, reason: str = "") -> int:
        """
        Say how a login went.

        Args:
            pbx: Name of the PBX.
            nonce: Of the turn.
            token: What the PBX gave; empty if it refused.
            block_s: Above 0: nobody logs in for so long, and the PBX is barred meanwhile.
            reason: Why it is barred, one sentence for the operator.

        Returns:
            The token's generation, or -1 if the turn had passed to somebody else.
        """
        return int(self._scripts.run("login_done", pbx, nonce, token, block_s, reason)[0])


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


def _doubted(pbx: str, now: float, row: Sequence[str]) -> Doubted:
    job_id, nonce, extid, outto, doubt, on_unknown, claimed_at, doubted_at, engaged, quiet_since, *rest = row
    attempts, age_s, errno, error = rest
    return Doubted(
        id=job_id,
        nonce=nonce,
        pbx=pbx,
        extid=extid,
        outto=outto,
        doubt=Doubt(doubt),
        on_unknown=on_unknown,
        claimed_at=float(claimed_at),
        waited_s=now - float(doubted_at),
        was_engaged=engaged == "1",
        quiet_s=now - float(quiet_since) if float(quiet_since) else None,
        attempts=int(attempts),
        age_s=float(age_s),
        errno=errno,
        error=error,
    )


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
