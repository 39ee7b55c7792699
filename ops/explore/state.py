"""The states of a small world: its jobs, what is the same, what is an end, and what a step must not do."""

from dataclasses import replace
from typing import Any

from ops.explore import values as ticks
from ops.explore.calls import TICK_S, Call, Calls
from ops.explore.promises import Job
from ops.explore.values import Book
from ops.explore.world import CALLS_PER_SECOND, PBX, Plan, Redis, World
from worker.jobs import DialJob, JobState
from worker.settings import PbxSettings

# States that never change, and those of jobs whose phone did not ring.
_LAST, _NO_RING = ("placed", "failed", "cancelled", "expired"), ("failed", "cancelled")


class Rules:
    """
    What a world of one plan is, and which promises a step in it breaks.

    Args:
        plan: What is in it.
        book: The values of the keys.
        calls: What the hopper sends.
    """

    def __init__(self, plan: Plan, book: Book, calls: Calls) -> None:
        self.plan, self.book, self.calls = plan, book, calls
        self.wanted = [
            DialJob(extid=extid, outto=f"4100{n}", pbx=PBX, key=f"job-{n}", on_unknown=plan.on_unknown)
            for n, extid in enumerate(plan.extids)
        ]
        self.jobs = tuple(
            Job(job.job_id(), "AB"[n], job.extid, plan.on_unknown) for n, job in enumerate(self.wanted)
        )
        self.number = {job.id: n for n, job in enumerate(self.jobs)}
        self.records = [book.place(f"w:job:{job.id}") for job in self.jobs]
        self._exts = book.place(f"w:exts:{PBX}")
        self._known: dict[tuple[int, int], dict[str, Any]] = {}
        self._memo: dict[tuple[Any, ...], int] = {}

    def opening(self) -> list[Call]:
        """Return the calls that make the PBX known, with a token."""
        pbx = PbxSettings(
            api="yeastar-s-v1.0",
            base_url="https://192.0.2.1:8088",
            username="api",
            password="secret",  # noqa: S106 - there is no PBX
            calls_per_second=CALLS_PER_SECOND,
            max_open_calls=self.plan.max_open_calls,
            open_call_s=ticks.OPEN_CALL * TICK_S,
            extension_rest_s=0,
        )
        turn = self.calls.call("login_turn", PBX, refused=-1, nonce="l", lease_s=30, spacing_s=0)
        done = self.calls.call("login_done", PBX, "l", token="t")  # noqa: S106
        return [self.calls.made("register", PBX, pbx), turn, done]

    def record(self, redis: Redis, number: int) -> dict[str, Any]:
        """Return the record of a job; empty if it was not handed in."""
        place = self.records[number]
        known = self._known.get((place, redis[place]))
        if known is None:
            known = self._known[place, redis[place]] = dict(self.book.value(place, redis[place]) or ())
        return known

    def settled(self, redis: Redis, world: World) -> tuple[Redis, World]:
        """
        Return the same state without what can make no difference: see `_plain`.

        Claims are named in the order in which they are met here, so that states which differ by names are one.
        """
        redis = self._without_spent(redis, world)
        names: dict[str, str] = {}
        for number in range(len(self.jobs)):
            _name(names, self.record(redis, number).get("nonce"))
        for hand in world.hands:
            _name(names, hand[2] if len(hand) > 2 else None)
        for rows in world.turn[1:]:
            for row in rows:
                _name(names, row[0].nonce)
        if all(old == new for old, new in names.items()):
            return redis, world
        return self._renamed(redis, names), _renamed_world(world, names)

    def _renamed(self, redis: Redis, names: dict[str, str]) -> Redis:
        numbers = list(redis)
        for number, place in enumerate(self.records):
            record = self.record(redis, number)
            if "nonce" in record:
                value = tuple(sorted((record | {"nonce": names.get(record["nonce"], "-")}).items()))
                numbers[place] = self.book.number(place, value)
        return tuple(numbers)

    def _without_spent(self, redis: Redis, world: World) -> Redis:
        numbers = list(redis)
        nonces = {hand[2] for hand in world.hands if len(hand) > 2}
        for rows in world.turn[1:]:
            nonces |= {row[0].nonce for row in rows}
        leases = dict(self.book.value(self._exts, redis[self._exts]) or ())
        for place, job in zip(self.records, self.jobs, strict=True):
            if redis[place]:
                key = (place, redis[place], leases.get(job.extid), frozenset(nonces))
                if key not in self._memo:
                    value = self.book.value(place, redis[place]) or ()
                    self._memo[key] = self.book.number(place, _plain(value, leases.get(job.extid), nonces))
                numbers[place] = self._memo[key]
        return tuple(numbers)

    def is_over(self, redis: Redis, world: World) -> bool:
        """Whether every job that was handed in has ended, and every result is delivered."""
        if any(world.hands) or world.turn or self.book.get(redis, "w:outbox"):
            return False
        records = [self.record(redis, number) for number in range(len(self.jobs))]
        return all(not record or JobState(record["state"]).is_final for record in records)

    def broken_between(self, before: Redis, world: World, after: Redis, then: World) -> str | None:
        """Return which promise a step breaks."""
        if before == after and world.rings == then.rings:
            return None
        for number, job in enumerate(self.jobs):
            old, new = (self.record(state, number).get("state") for state in (before, after))
            rang, allowed = then.rings[number], then.allowed[number]
            ended = new != old and new is not None and JobState(new).is_final
            is_kept = job.id in dict(self.book.get(after, "w:outbox"))
            wrong = {
                f"the phone rang {rang} times for job {job.letter}": rang > allowed,
                f"job {job.letter} is lost": old and not new,
                f"job {job.letter} was {old} and is {new}": old in _LAST and new != old,
                f"job {job.letter} is placed, and its phone never rang": new == "placed" and not rang,
                f"job {job.letter} is {new}, and its phone rang": new in _NO_RING and rang and allowed == 1,
                f"job {job.letter} is {new}, and its result is not in the outbox": ended and not is_kept,
            }
            if any(wrong.values()):
                return next(promise for promise, is_broken in wrong.items() if is_broken)
        return None

    def letter(self, job_id: str) -> str:
        """Return what people call a job: A or B."""
        return self.jobs[self.number[job_id]].letter


def _name(names: dict[str, str], nonce: str | None) -> None:
    if nonce is not None and nonce != "-":
        names.setdefault(nonce, f"n{len(names)}")


def _renamed_world(world: World, names: dict[str, str]) -> World:
    hands = tuple((*hand[:2], names[hand[2]], *hand[3:]) if len(hand) > 2 else hand for hand in world.hands)
    rows = tuple(
        tuple((replace(row[0], nonce=names.get(row[0].nonce, "-")), *row[1:]) for row in some)
        for some in world.turn[1:]
    )
    return world._replace(hands=hands, turn=(*world.turn[:1], *rows))


def _plain(value: tuple[Any, ...], lease: int | None, nonces: set[str]) -> tuple[Any, ...]:
    """
    Return a record without what can make no difference.

    A `hold` that is not the lease of the extension never will be. A nonce that no worker and no reconciler has is
    as good as any other, unless the job is claimed, for then a reconciler learns it.
    """
    fields = dict(value)
    if fields.get("hold") != lease:
        fields.pop("hold", None)
    if "nonce" in fields and fields["state"] != "claimed" and fields["nonce"] not in nonces:
        fields["nonce"] = "-"
    return tuple(sorted(fields.items()))
