"""Everything that may happen in a state of a small world."""

from collections.abc import Iterator
from typing import Any

from ops.explore import values as ticks
from ops.explore.calls import Call
from ops.explore.looker import Looker
from ops.explore.state import Rules
from ops.explore.values import QUEUE
from ops.explore.workers import Workers, older
from ops.explore.world import PBX, Move, Redis, Then, World, changed
from worker.jobs import DialResult


class Moves:
    """
    The moves of all who act in a world.

    Args:
        rules: Of the world.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._workers, self._looker = Workers(rules), Looker(rules)
        self._puts = [rules.calls.made("put", job) for job in rules.wanted]
        self._deliveries: dict[tuple[str, str], Call] = {}

    def moves(self, redis: Redis, world: World) -> Iterator[Move]:
        """Yield everything that may happen in a state."""
        for number, hand in enumerate(world.hands):
            yield from self._workers.moves(redis, world, number, hand)
        yield from self._looker.moves(redis, world)
        yield from self._producer(redis, world)
        yield from self._background(redis, world)
        yield from self._operator(redis, world)
        for number, left in enumerate(world.calls):
            if left:
                calls = changed(world.calls, number, 0)
                yield Move(
                    f"the call of {self._rules.jobs[number].letter} ends",
                    99,
                    redis=redis,
                    world=world._replace(calls=calls),
                )
        later = world._replace(
            hands=tuple(older(hand) for hand in world.hands),
            calls=tuple(max(0, left - 1) for left in world.calls),
            gap=max(0, world.gap - 1),
        )
        yield Move("time passes", 90, redis=self._rules.book.after_a_tick(redis), world=later)

    def _producer(self, redis: Redis, world: World) -> Iterator[Move]:
        for number in range(len(self._rules.jobs)):
            is_next = number == 0 or redis[self._rules.records[number - 1]]
            if is_next and (self._rules.plan.forgets or not redis[self._rules.records[number]]):
                label = f"a producer puts {self._rules.jobs[number].letter}"
                yield Move(label, 99, self._puts[number], lambda _reply, _redis: [("", world)])

    def _background(self, redis: Redis, world: World) -> Iterator[Move]:
        same: Then = lambda _reply, _redis: [("", world)]  # noqa: E731
        release = self._rules.calls.call("release", QUEUE, "@ID@", most=1, most_released=100, lookahead_s=0.1)
        yield Move("the pacer releases", 60, release, same)
        sweep = self._rules.calls.call(
            "sweep", interval_s=0, undelivered_s=0, dead_errno="worker_lost", dead_error="gone"
        )
        yield Move("the sweeper sweeps", 70, sweep, same)
        for member, _ in self._rules.book.get(redis, "w:outbox"):
            call = self._delivery(member, self._rules.record(redis, self._rules.number[member])["state"])
            yield Move(f"the result of {self._rules.letter(member)} is delivered", 40, call, same)
        if self._rules.plan.dies and any(
            ("worker", "dead") in self._rules.book.get(redis, f"w:job:{job.id}") for job in self._rules.jobs
        ):
            bury = self._rules.calls.call("bury", "dead", errno="worker_lost", error="gone")
            yield Move("the supervisor buries a dead worker", 99, bury, same)

    def _operator(self, redis: Redis, world: World) -> Iterator[Move]:
        acts = self._rules.plan.acts
        paused = bool(self._rules.book.get(redis, "w:paused"))
        if "pause" in acts or paused:
            word = "resume" if paused else "pause"
            rank = 80 if paused else 99
            yield Move(
                f"an operator has calls {word}",
                rank,
                self._rules.calls.call(word, PBX),
                lambda _r, _s: [("", world)],
            )
        for number, job in enumerate(self._rules.jobs):
            record = self._rules.record(redis, number)
            if record and "cancel" in acts:
                call = self._rules.calls.call("cancel", job.id)
                yield Move(f"an operator cancels {job.letter}", 99, call, lambda _r, _s: [("", world)])
            if record.get("state") == "unknown" and "redial" in acts and not world.redials[number]:

                def then(reply: Any, _redis: Redis, number: int = number) -> list[tuple[str, World]]:
                    if reply[0] != "resolved":
                        return [("", world)]
                    allowed = changed(world.allowed, number, world.allowed[number] + 1)
                    return [("", world._replace(allowed=allowed, redials=changed(world.redials, number, 1)))]

                call = self._rules.calls.call("resolve", job.id, "redial")
                yield Move(f"an operator has {job.letter} dialed again", 99, call, then)

    def _delivery(self, job_id: str, state: str) -> Call:
        if (job_id, state) not in self._deliveries:
            at = str(ticks.MOMENT)
            record = {"state": state, "pbx": PBX, "extid": "1", "enqueued_at": at, "finished_at": at}
            made = self._rules.calls.made("delivered", [DialResult.from_record(job_id, record)])
            self._deliveries[job_id, state] = made
        return self._deliveries[job_id, state]
