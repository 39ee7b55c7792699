"""What workers do in a small world: take messages, claim, dial and report."""

from collections.abc import Callable, Iterator
from typing import Any

from ops.explore import values as ticks
from ops.explore.calls import TICK_S
from ops.explore.state import Rules
from ops.explore.values import QUEUE
from ops.explore.world import MAX_ATTEMPTS, PBX, Broken, Move, Redis, World, changed
from worker.hopper import Back, Go, NoToken, Wait
from worker.jobs import Doubt, JobState

_NONCES = [f"n{number}" for number in range(9)]


class Workers:
    """
    The moves of workers.

    Args:
        rules: Of the world.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._queue = rules.book.place(QUEUE)

    def moves(self, redis: Redis, world: World, number: int, hand: tuple[Any, ...]) -> Iterator[Move]:
        """Yield what a worker may do next."""
        name = f"worker {number + 1}"

        def holding(*what: Any, **changes: Any) -> World:
            return world._replace(hands=changed(world.hands, number, what), **changes)

        if hand and self._rules.plan.dies:
            yield Move(f"{name} dies", 99, redis=self._without(redis, number), world=holding())
        if not hand:
            yield from self._take(redis, world, number, holding)
            return
        job_id, letter = self._rules.jobs[hand[1]].id, self._rules.jobs[hand[1]].letter
        match hand:
            case ("message", job):
                nonce = self._new_nonce(redis, world)
                yield self._claim(redis, world, number, job, nonce, 0)
                back = self._rules.calls.call("hand_back", job_id, reason="stop")
                yield Move(f"{name} stops, and hands {letter} back", 99, back, lambda _r, _s: [("", holding())])
            case ("claims", job, nonce, age):
                yield self._claim(redis, world, number, job, nonce, age)
            case ("dials", job, nonce, age, _):
                if age:
                    yield Move(
                        f"{name} is too late to dial {letter}",
                        20,
                        redis=redis,
                        world=holding("reports", job, nonce, "too late"),
                    )
                else:
                    yield from self._dial(redis, world, name, holding, hand)
            case ("reports", *_):
                yield self._report(world, name, holding, hand, job_id)

    def _take(self, redis: Redis, world: World, number: int, holding: Callable[..., World]) -> Iterator[Move]:
        name = f"worker {number + 1}"
        if number and not world.hands[0]:
            return  # two idle workers are the same
        for job_id in sorted(set(self._rules.book.get(redis, QUEUE))):
            job = self._rules.number[job_id]
            label = f"{name} takes the message of {self._rules.letter(job_id)}"
            yield Move(label, 30, redis=self._taken(redis, job_id), world=holding("message", job))
            if self._rules.plan.doubles:
                yield Move(f"{label}, which will come again", 99, redis=redis, world=holding("message", job))

    def _claim(self, redis: Redis, world: World, number: int, job: int, nonce: str, age: int) -> Move:
        job_id, letter = self._rules.jobs[job].id, self._rules.jobs[job].letter
        options = {"slot_wait_s": self._rules.plan.slot_wait_s, "incarnation": f"w{number}"}
        was_released = self._rules.record(redis, job)["state"] == "released"
        is_paused = bool(self._rules.book.get(redis, "w:paused"))

        def then(reply: Any, _redis: Redis) -> list[tuple[str, World]]:
            claim = self._rules.calls.read("claim", reply, job_id, nonce, **options)
            gap, hand = world.gap, ()
            match claim:
                case Go():
                    if was_released and is_paused:
                        raise Broken("a call begins while its PBX is paused")
                    if was_released and gap:
                        raise Broken("two calls begin closer together than calls_per_second allows")
                    gap, hand = (
                        (1, ("dials", job, nonce, age, claim.attempts))
                        if was_released
                        else (gap, ("dials", job, nonce, age, claim.attempts))
                    )
                case Wait():
                    hand = ("message", job)
                case NoToken():
                    raise Broken("the token is lost")
            heard = world._replace(hands=changed(world.hands, number, hand), gap=gap)
            worlds = [(f": {_word(claim)}", heard)]
            if self._rules.plan.forgets:
                lost = ("claims", job, nonce, age)
                worlds.append(
                    (": the reply is lost", world._replace(hands=changed(world.hands, number, lost), gap=gap))
                )
            return worlds

        return Move(
            f"worker {number + 1} claims {letter}",
            25,
            self._rules.calls.call("claim", job_id, nonce, **options),
            then,
        )

    def _dial(
        self, redis: Redis, world: World, name: str, holding: Callable[..., World], hand: tuple[Any, ...]
    ) -> Iterator[Move]:
        _, job, nonce, _, attempts = hand
        letter = self._rules.jobs[job].letter
        running = [n for n, left in enumerate(world.calls) if left]
        rings = changed(world.rings, job, world.rings[job] + 1)
        ringing = {"rings": rings, "calls": changed(world.calls, job, ticks.OPEN_CALL)}
        broken = ""
        if any(self._rules.jobs[n].extid == self._rules.jobs[job].extid for n in running):
            broken = "an extension is called while it is in a call"
        elif len(running) >= self._rules.plan.max_open_calls:
            broken = "more calls are open than max_open_calls allows"

        def rang(outcome: str) -> World:
            return holding("reports", job, nonce, outcome, **ringing)

        last = attempts >= MAX_ATTEMPTS
        if broken:
            yield Move(f"{name} dials {letter}", 99, redis=redis, world=rang("placed"), broken=broken)
            return
        yield Move(
            f"{name} dials {letter}: it rings, and the PBX gives its callid", 20, redis=redis, world=rang("placed")
        )
        yield Move(f"{name} dials {letter}: it rings, and the reply is lost", 99, redis=redis, world=rang("lost"))
        refused = holding("reports", job, nonce, "failed" if last else "refused")
        yield Move(f"{name} dials {letter}: the PBX refuses", 99, redis=redis, world=refused)
        yield Move(
            f"{name} dials {letter}: nothing rings, no reply comes",
            99,
            redis=redis,
            world=holding("reports", job, nonce, "lost"),
        )
        yield Move(
            f"{name} dials {letter}: the PBX says Failed",
            99,
            redis=redis,
            world=holding("reports", job, nonce, "said failed"),
        )

    def _report(
        self, world: World, name: str, holding: Callable[..., World], hand: tuple[Any, ...], job_id: str
    ) -> Move:
        _, job, nonce, outcome = hand
        call = self._rules.calls.call
        dummy = Go(PBX, "", "", "", 1, 0.0, "", 0)
        after: tuple[Any, ...] = ()
        match outcome:
            case "placed":
                made = call("finish", job_id, nonce, JobState.PLACED, dummy, callid="c")
            case "failed":
                made = call("finish", job_id, nonce, JobState.FAILED, dummy, errno="x", error="x")
            case "refused":
                made = call("park", job_id, nonce, delay_s=TICK_S, errno="x", error="x", answered=True)
            case "too late":
                made = call("park", job_id, nonce, delay_s=0.0, free=True, in_slot=True, errno="x", error="x")
                after = ("message", job)
            case _:
                kind = Doubt.LOST_REPLY if outcome == "lost" else Doubt.SAID_FAILED
                made = call("doubt", job_id, nonce, kind, errno="x", error="x")

        def then(reply: Any, _redis: Redis) -> list[tuple[str, World]]:
            heard = holding(*after) if reply[0] == "parked" else holding()
            return [("", heard), (": the reply is lost", world)] if self._rules.plan.forgets else [("", heard)]

        return Move(f"{name} reports {self._rules.jobs[job].letter}: {outcome}", 10, made, then)

    def _new_nonce(self, redis: Redis, world: World) -> str:
        held = {hand[2] for hand in world.hands if len(hand) > 2}
        held |= {row[0].nonce for rows in world.turn[1:] for row in rows}
        held |= {self._rules.record(redis, number).get("nonce") for number in range(len(self._rules.jobs))}
        return next(nonce for nonce in _NONCES if nonce not in held)

    def _taken(self, redis: Redis, job_id: str) -> Redis:
        messages = list(self._rules.book.get(redis, QUEUE))
        messages.remove(job_id)
        return changed(redis, self._queue, self._rules.book.number(self._queue, tuple(messages)))

    def _without(self, redis: Redis, number: int) -> Redis:
        """Return the state after a worker died: its incarnation is nobody's from now on."""
        for place in self._rules.records:
            value = self._rules.book.value(place, redis[place]) or ()
            if ("worker", f"w{number}") in value:
                dead = tuple(("worker", "dead") if pair[0] == "worker" else pair for pair in value)
                redis = changed(redis, place, self._rules.book.number(place, dead))
        return redis


def older(hand: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*hand[:3], 1, *hand[4:]) if hand and hand[0] in ("claims", "dials") else hand


def _word(claim: Any) -> str:
    if isinstance(claim, Back):
        return f"back ({claim.reason})"
    return {"Go": "go", "Wait": "wait", "NotYours": "not its own", "Ended": "ended"}.get(type(claim).__name__, "?")
