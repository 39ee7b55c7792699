"""The hopper's steps about results on their way to endpoints."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from worker.hopper.audit import noted
from worker.hopper.looking import Looking
from worker.hopper.wake import WakeCall
from worker.jobs import DialResult

_json = json.JSONEncoder(separators=(",", ":")).encode
_TARGET = (
    *("failing_since", "failures", "rest_until", "last_error", "last_error_at", "last_success"),
    *("disabled_at", "disabled_why", "dropped", "asked_until"),
)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long dead letters are kept, in seconds, and how many of one target at most."""

    kept_s: int
    most_dead: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    A delivery that the caller is to attempt now.

    `target` is the name of an endpoint, or `source:NAME`; `result` is JSON of a `DialResult` as it was at the
    `seq`th end of the job that was announced; `attempts` includes this one; `age_s` counts from the first; `trace`
    is the job's, or empty.
    """

    id: str
    nonce: str
    target: str
    job_id: str
    seq: int
    result: str = field(repr=False)
    attempts: int
    age_s: float
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """
    What an attempt came to, as the hopper takes it.

    `delivered`; `nothing`: there was nothing to tell; `again` in `delay_s`; `dead`; `back`: no attempt was made.
    `rest_s`: no attempt at all at this target for so long. `blames`: the target failed. `disable`: why it is
    disabled by this, empty if it is not. `error` is one sentence without address, number or secret.
    """

    word: Literal["delivered", "nothing", "again", "dead", "back"]
    delay_s: float = 0
    rest_s: float = 0
    error: str = ""
    blames: bool = False
    disable: str = ""


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How a failing target is treated.

    From `fails_from` failures in a row on it gets one attempt at a time, at most `rest_cap_s` apart; without a
    success for `disable_after_s` it is disabled. Where none is due for longer, one goes before its time after a
    tenth of the time that it has failed, between `probe_every_s` and `probe_cap_s`. After the next success `bring`
    waiting deliveries are brought forward with each further one.
    """

    rest_cap_s: float
    disable_after_s: float
    probe_every_s: float = 15
    probe_cap_s: float = 3600
    fails_from: int = 3
    bring: int = 100


@dataclass(frozen=True, slots=True)
class EndpointView:
    """
    One target at a glance; times are unix seconds, 0 if there is none.

    `failing_since`: the first of the `failures` in a row; `rest_until`: nothing is tried before; `next_at`: when
    the first of the `waiting` is due; `dropped`: dead letters there was no room for.
    """

    name: str
    waiting: int
    in_flight: int
    dead: int
    next_at: float
    failing_since: float
    failures: int
    rest_until: float
    last_error: str
    last_error_at: float
    last_success: float
    disabled_at: float
    disabled_why: str
    dropped: int

    @property
    def state(self) -> str:
        """`disabled`, `failing` or `ok`."""
        if self.disabled_at:
            return "disabled"
        return "failing" if self.failures else "ok"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that was given up; `given_up_at` is unix seconds."""

    id: str
    target: str
    job_id: str
    seq: int
    given_up_at: float
    attempts: int
    error: str


Ends = Iterable[tuple[DialResult, Sequence[str]]]


class Deliveries(Looking):
    """Part of `worker.hopper.Hopper`, which has what this needs."""

    def announce(
        self, ends: Ends, *, origins: Mapping[str, Sequence[str]], sources: Sequence[str], keeping: Keeping
    ) -> int:
        """
        Store a delivery for each target that is to hear of these ends.

        Args:
            ends: Results, each with the names of the endpoints that want such a state and PBX.
            origins: Of these endpoints, the origins they want; those without an entry want all.
            sources: Names of the sources whose CRM is told of its own jobs.
            keeping: Of the dead letters, which those for a disabled endpoint become at once.

        Returns:
            How many were stored; 0 if all had been before.
        """
        rows = []
        for result, names in ends:
            assert result.finished_at is not None, "only ended jobs are announced"
            # The text form has microseconds, the hopper's stamp too: compare a hair later.
            finished_at = result.finished_at.timestamp() + 1e-5
            rows.append([result.job_id, finished_at, result.model_dump_json(), list(names)])
        if not rows:
            return 0
        wanted = {name: list(of) for name, of in origins.items() if of}
        kept = {"kept_s": keeping.kept_s, "most_dead": keeping.most_dead}
        payload = {"ends": rows, "origins": wanted, "sources": list(sources)} | kept
        return int(self._scripts.run("announce", _json(payload)))

    def dispatch(  # noqa: PLR0913  what a courier is and has
        self,
        queue: str,
        message: str,
        *,
        courier: str,
        slots: int,
        alive_s: float,
        limits: Mapping[str, int],
        limit: int,
        lease_s: float,
        patience: Patience,
        keeping: Keeping,
        most: int = 50,
    ) -> tuple[int, float | None]:
        """
        Hand due deliveries to Celery.

        Args:
            queue: Celery's queue of deliveries.
            message: A Celery message with @ID@ and @TAG@ in place of delivery id and delivery tag.
            courier: The caller's name, for the list of those alive.
            slots: Attempts that the caller's process can make at once.
            alive_s: The caller counts as alive for so long.
            limits: For each target, how many may be in flight.
            limit: The same for targets not in *limits*.
            lease_s: What is not taken by then is due again.
            patience: With targets that fail.
            keeping: Of the dead letters.
            most: Deliveries to hand out now at most.

        Returns:
            How many were handed out, and seconds until there is more to do (None: when woken).
        """
        given = {
            "name": courier,
            "slots": slots,
            "alive_s": alive_s,
            "most": most,
            "lease_s": lease_s,
            "limits": dict(limits),
            "limit": limit,
            "fails_from": patience.fails_from,
            "kept_s": keeping.kept_s,
            "most_dead": keeping.most_dead,
            "message": message,
        }
        count, seconds = self._scripts.run("dispatch", _json(given), extra_keys=(queue,))
        return int(count), None if float(seconds) < 0 else float(seconds)

    def take_delivery(self, queue: str, delivery_id: str, nonce: str, *, lease_s: float) -> Attempt | None:
        """
        Begin an attempt.

        Args:
            queue: Celery's queue of deliveries.
            delivery_id: One that was handed out.
            nonce: Names this attempt; the same one again gets the same answer.
            lease_s: Longer than the attempt can take; then it is due again.

        Returns:
            None if it has arrived, was given up, waits for a later attempt or is another's.
        """
        word, *rest = self._scripts.run("take_delivery", delivery_id, nonce, lease_s, extra_keys=(queue,))
        if word != "go":
            return None
        target, job_id, seq, result, attempts, age_s, trace = rest
        return Attempt(delivery_id, nonce, target, job_id, int(seq), result, int(attempts), float(age_s), trace)

    def attempted(
        self, delivery_id: str, nonce: str, ending: Ending, *, patience: Patience, keeping: Keeping
    ) -> tuple[str, bool]:
        """
        Say what an attempt came to.

        Args:
            delivery_id: The delivery.
            nonce: Of the attempt; empty for one that was never begun (`back`).
            ending: What it came to.
            patience: With its target.
            keeping: Of the dead letters.

        Returns:
            What became of the delivery: the word of *ending*, `dead` where `again` came too late for a disabled
            target, or `stale` where it was no longer the caller's; and whether its target was disabled by this.
        """
        told = {
            "word": ending.word,
            "delay_s": ending.delay_s,
            "rest_s": ending.rest_s,
            "error": ending.error,
            "blames": ending.blames,
            "disable": ending.disable,
            "fails_from": patience.fails_from,
            "rest_cap_s": patience.rest_cap_s,
            "probe_every_s": patience.probe_every_s,
            "probe_cap_s": patience.probe_cap_s,
            "disable_after_s": patience.disable_after_s,
            "bring": patience.bring,
            "kept_s": keeping.kept_s,
            "most_dead": keeping.most_dead,
        }
        word, disabled = self._scripts.run("attempted", delivery_id, nonce, _json(told))
        return word, disabled == "1"

    def replay(self, delivery_ids: Sequence[str], *, reason: str = "") -> list[str]:
        """Try dead letters again; a word for each: replayed, not_dead, gone or disabled."""
        return list(self._scripts.run("replay", noted(reason), *delivery_ids)) if delivery_ids else []

    def enable_endpoint(self, target: str, *, reason: str = "") -> bool:
        """Let results go to a target again; True if it was disabled."""
        return bool(self._scripts.run("enable_endpoint", target, noted(reason)))

    def disable_endpoint(self, target: str, *, why: str, reason: str = "") -> bool:
        """
        Let nothing go to a target until it is enabled; True if it was not disabled before.

        Args:
            target: The endpoint.
            why: One sentence, shown with it.
            reason: The operator's words, for the audit.
        """
        return bool(self._scripts.run("disable_endpoint", target, why, noted(reason)))

    # --- looking -------------------------------------------------------------------------------------------------

    def endpoint_names(self) -> list[str]:
        """Return the names of all targets that ever had a delivery, in order."""
        return sorted(self._client.smembers(self.keys.endpoints))

    def endpoint(self, target: str) -> EndpointView:
        """Return how one target fares."""
        keys = self.keys
        with self._client.pipeline(transaction=False) as pipe:
            pipe.hmget(keys.target(target), *_TARGET)
            pipe.zcard(keys.due(target))
            pipe.zcard(keys.flying(target))
            pipe.zcard(keys.dead(target))
            pipe.zrange(keys.due(target), 0, 0, withscores=True)
            state, waiting, in_flight, dead, first = pipe.execute()
        since, failures, rest_until, error, error_at, success, disabled_at, why, dropped, asked_until = state
        return EndpointView(
            name=target,
            waiting=waiting,
            in_flight=in_flight,
            dead=dead,
            next_at=first[0][1] if first else 0.0,
            failing_since=float(since or 0),
            failures=int(failures or 0),
            rest_until=max(float(rest_until or 0), float(asked_until or 0)),
            last_error=error or "",
            last_error_at=float(error_at or 0),
            last_success=float(success or 0),
            disabled_at=float(disabled_at or 0),
            disabled_why=why or "",
            dropped=int(dropped or 0),
        )

    def dead_letters(self, target: str, *, page: int = 500) -> Iterator[DeadLetter]:
        """Yield what was given up for one target, oldest first; what was replayed meanwhile may be left out."""
        first = 0
        while found := self._client.zrange(self.keys.dead(target), first, first + page - 1, withscores=True):
            with self._client.pipeline(transaction=False) as pipe:
                for delivery_id, _ in found:
                    pipe.hmget(self.keys.delivery(delivery_id), "attempts", "error", "result")
                rows = pipe.execute(raise_on_error=False)
            for (delivery_id, at), row in zip(found, rows, strict=True):
                # One whose time is over, or that somebody spoiled, cannot be replayed either.
                if isinstance(row, list) and row[2]:
                    job_id, seq, name = delivery_id.split("_", 2)
                    yield DeadLetter(delivery_id, name, job_id, int(seq), at, _count(row[0]), row[1] or "")
            first += page

    def couriers_alive(self) -> dict[str, int]:
        """Return the slots of each process that brings results to endpoints."""
        now = self.now()
        rows = ([*value.split("|"), name] for name, value in self._client.hgetall(self.keys.couriers).items())
        return {name: int(slots) for slots, alive_until, name in rows if float(alive_until) > now}

    def courier_wake_call(self) -> WakeCall:
        """Return what a courier sleeps on; one for each thread."""
        return WakeCall(self.client, self.keys.courier_wake)


def _count(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 else 0
