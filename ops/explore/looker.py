"""What the reconciler does in a small world: it looks at the PBX, and the product's own table decides."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ops.explore.calls import LOOKS, TICK_S
from ops.explore.state import Rules
from ops.explore.world import MAX_ATTEMPTS, PBX, Move, Redis, Then, World, changed
from worker.evidence import Sight, decide
from worker.hopper import Doubted, LookTurn
from worker.jobs import JobState


class Looker:
    """
    The moves of the reconciler.

    Args:
        rules: Of the world.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def moves(self, redis: Redis, world: World) -> Iterator[Move]:
        turn = world.turn
        if turn and self._rules.plan.dies:
            yield Move("the reconciler dies", 99, world=world._replace(turn=()), redis=redis)
        match turn:
            case ():
                yield self._look_turn(world)
            case ("looks", rows):
                for listed in (True, False):
                    decided = [(job, *self._decided(world, job, is_listed=listed)) for (job,) in rows]
                    acts = tuple(row for row in decided if row[1] != "look_again")
                    still = tuple(row for row in decided if row[1] == "look_again")
                    seen = ", ".join(f"{self._rules.letter(job.id)} {sight}" for job, _, sight in decided)
                    label, rank = f"the reconciler sees {seen or 'nothing'}", 13 if listed else 99
                    yield Move(label, rank, world=world._replace(turn=("acts", acts, still)), redis=redis)
                    if not any(world.calls):
                        break
            case ("acts", acts, still) if acts:
                yield self._act(world, acts, still)
            case ("acts", _, still):
                made = self._rules.calls.call(
                    "looked",
                    PBX,
                    next_s=LOOKS.every_s,
                    answered=True,
                    still=tuple((row[0], row[2]) for row in still),
                )
                yield Move("the reconciler ends its look", 12, made, self._heard(world, world._replace(turn=())))

    def _look_turn(self, world: World) -> Move:
        def then(reply: Any, _redis: Redis) -> list[tuple[str, World]]:
            turn = self._rules.calls.read("look_turn", reply, lease_s=TICK_S)
            if not isinstance(turn, LookTurn):
                return [("", world)]
            rows = tuple((replace(job, trying_s=0.0, errno="x", error="x"),) for job in turn.jobs)
            return self._heard(world, world._replace(turn=("looks", rows)))(reply, _redis)

        return Move(
            "the reconciler asks for a turn", 50, self._rules.calls.call("look_turn", lease_s=TICK_S), then
        )

    def _decided(self, world: World, job: Doubted, *, is_listed: bool) -> tuple[str, str]:
        number = self._rules.number[job.id]
        running = [n for n, left in enumerate(world.calls) if left and self._rules.jobs[n].extid == job.extid]
        sight = Sight.OURS if number in running and is_listed else Sight.ENGAGED if running else Sight.QUIET
        return decide(job, sight, LOOKS).verdict.name.lower(), str(sight)

    def _act(self, world: World, acts: tuple[Any, ...], still: tuple[Any, ...]) -> Move:
        (job, verdict, sight), rest = acts[0], acts[1:]
        number, letter = self._rules.number[job.id], self._rules.letter(job.id)
        call, after = self._rules.calls.call, world._replace(turn=("acts", rest, still))
        parks = verdict in ("retry", "redial") and job.attempts < MAX_ATTEMPTS
        if parks:
            made = call("park", job.id, job.nonce, delay_s=TICK_S, errno="x", error="x")
        elif verdict == "adopt":
            facts = {"callid": job.callid} if job.callid else {"outboundid": "o"}
            made = call("finish", job.id, job.nonce, JobState.PLACED, job, answered=False, **facts)
        else:
            state = JobState.FAILED if verdict == "retry" else JobState.UNKNOWN
            quiet = sight == Sight.QUIET
            made = call("finish", job.id, job.nonce, state, job, answered=False, nothing_runs=quiet, errno="x")

        def then(reply: Any, _redis: Redis) -> list[tuple[str, World]]:
            done = after
            if parks and verdict == "redial" and reply[0] == "parked":
                done = after._replace(allowed=changed(after.allowed, number, MAX_ATTEMPTS))
            lost = world._replace(allowed=done.allowed)
            return [("", done), (": the reply is lost", lost)] if self._rules.plan.forgets else [("", done)]

        return Move(f"the reconciler decides {letter}: {verdict}", 11, made, then)

    def _heard(self, world: World, after: World) -> Then:
        worlds = [("", after), (": the reply is lost", world)] if self._rules.plan.forgets else [("", after)]
        return lambda _reply, _redis: worlds
