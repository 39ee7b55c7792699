"""Breadth-first search through all states of a small world, and the paths through it."""

import gc
import json
import time
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ops.explore.calls import Call, Calls
from ops.explore.driver import Driver
from ops.explore.moves import Moves
from ops.explore.promises import broken_in
from ops.explore.state import Rules
from ops.explore.values import Book
from ops.explore.world import PBX, Broken, Move, Plan, Redis, World

# States whose steps go to the server at once; two batches are under way.
_BATCH = 40
# Moves up to this rank belong to the helpful continuation; a continuation that takes longer goes in circles.
_HELPS, _MOST_HELP = 90, 400
State = tuple[Redis, World]


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that does not hold, and the shortest path to the state where it does not."""

    promise: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        steps = "\n".join(f"{number:4}  {label}" for number, label in enumerate(self.path, 1))
        return f"{self.promise}, after {len(self.path)} steps:\n{steps}"


@dataclass(slots=True)
class Found:
    """
    The result of an exploration.

    Attributes:
        states: Different states visited.
        transitions: Ways between them that were taken.
        is_whole: Every move from every state was taken.
        seconds: How long it took.
        endings: States in which every job has ended.
        violation: The first that was found; None if every promise holds.
    """

    states: int = 0
    transitions: int = 0
    is_whole: bool = True
    seconds: float = 0.0
    endings: int = 0
    violation: Violation | None = None


class _Outcome(NamedTuple):
    """The result of one step on one state of the server."""

    worked: str
    reply: Any
    after: Redis


@dataclass(slots=True)
class _Expansion:
    """One state with the moves from it, and the calls that go to the server."""

    number: int
    state: State
    moves: list[Move]
    is_whole: bool
    calls: list[Call] = field(default_factory=list)


class Search:
    """
    Explores one world.

    Args:
        driver: Runs the steps.
        plan: What is in the world.
        most: Explore about so many states at most.
        report: Is called now and then with what was found so far.
    """

    def __init__(
        self, driver: Driver, plan: Plan, *, most: int, report: Callable[[Found], None] | None = None
    ) -> None:
        self._driver, self._most, self._report = driver, most, report
        self._book = Book()
        self._rules = Rules(plan, self._book, Calls())
        self._moves = Moves(self._rules)
        self._seen: dict[int, int] = {}
        self._worlds: dict[World, int] = {}
        self._servers: dict[Redis, int] = {}
        # What a step comes to depends on the server alone, which many worlds share.
        self._outcomes: dict[tuple[int, int], _Outcome] = {}
        self._parents, self._labels, self._helped = array("i"), array("i"), array("i")
        self._words: dict[str, int] = {}
        self._waiting: deque[tuple[int, State]] = deque()
        self.found = Found()

    def run(self) -> Found:
        """Explore until a promise is broken, everything was visited, or there are enough states."""
        began = time.monotonic()
        gc.disable()  # nothing here goes in circles, and there are millions of objects to look at
        first = self._opening()
        self._visit(-1, "", (first, World()))
        under_way: deque[list[_Expansion]] = deque()
        try:
            while self._waiting or under_way:
                while self._waiting and len(under_way) < 2:
                    under_way.append(self._sent())
                self._received(under_way.popleft())
                self.found.seconds = time.monotonic() - began
                if self._report:
                    self._report(self.found)
            self._everything_ends()
        except _Stop as stop:
            self.found.violation = stop.violation
        while under_way:
            under_way.popleft()
            self._driver.answers()
        gc.enable()
        self.found.seconds = time.monotonic() - began
        return self.found

    def _opening(self) -> Redis:
        redis: Redis = (0,) * Book.MOST_KEYS
        for call in self._rules.opening():
            [[worked, reply, *changes]] = self._driver.run(self._book.items(redis), [call])
            assert worked, reply
            redis = self._changed(redis, changes)
        return redis

    # --- expanding -------------------------------------------------------------------------------------------

    def _sent(self) -> list[_Expansion]:
        expansions, asked = [], set()
        if is_enough := len(self._seen) >= self._most:
            self.found.is_whole = False
        for _ in range(min(_BATCH, len(self._waiting))):
            number, state = self._waiting.popleft()
            moves = list(self._moves.moves(*state))
            if is_enough:
                moves = sorted((move for move in moves if move.rank <= _HELPS), key=lambda move: move.rank)
            one = _Expansion(number, state, moves, is_whole=not is_enough)
            server = self._servers[state[0]]
            for move in one.moves:
                name = (server, id(move.call))
                if move.call and name not in self._outcomes and name not in asked:
                    asked.add(name)
                    one.calls.append(move.call)
            expansions.append(one)
        self._driver.send([self._as_json(one) for one in expansions if one.calls])
        return expansions

    def _as_json(self, expansion: _Expansion) -> str:
        items = ",".join(self._book.items(expansion.state[0]))
        return f"[[{items}],[{','.join(_json(call) for call in expansion.calls)}]]"

    def _received(self, expansions: list[_Expansion]) -> None:
        asked = [one for one in expansions if one.calls]
        for one, answers in zip(asked, self._driver.answers(), strict=True):
            self._learn(one.state[0], one.calls, answers)
        for one in expansions:
            helps = self._expand(one)
            if self._helped[one.number] < 0:  # an end helps itself
                self._helped[one.number] = helps

    def _learn(self, redis: Redis, calls: list[Call], answers: list[list[Any]]) -> None:
        server = self._servers[redis]
        for call, (worked, reply, *changes) in zip(calls, answers, strict=True):
            self._outcomes[server, id(call)] = _Outcome(worked, reply, self._changed(redis, changes))

    def _expand(self, expansion: _Expansion) -> int:
        """Visit what follows from a state; returns the number of the state that helps most."""
        redis, world = expansion.state
        help_rank, helps = _HELPS + 1, -1
        for move in expansion.moves:
            for number, (label, state) in enumerate(self._after(expansion, move)):
                self.found.transitions += 1
                if promise := self._rules.broken_between(redis, world, *state):
                    raise _Stop(self._violation(promise, expansion.number, label))
                if not expansion.is_whole:
                    if number or state == expansion.state:
                        continue
                    return self._visit(expansion.number, label, state)
                child = self._visit(expansion.number, label, state)
                if number == 0 and move.rank < help_rank and child != expansion.number:
                    help_rank, helps = move.rank, child
        return helps

    def _after(self, expansion: _Expansion, move: Move) -> list[tuple[str, State]]:
        """Return the states after a move."""
        redis, _ = expansion.state
        if move.broken:
            raise _Stop(self._violation(move.broken, expansion.number, move.label))
        if move.call is None:
            return [(move.label, self._settled(move.redis, move.world))]
        assert move.then is not None
        worked, reply, after = self._outcomes[self._servers[redis], id(move.call)]
        if not worked:
            raise _Stop(self._violation(f"the step {move.call[0]} raised {reply}", expansion.number, move.label))
        try:
            worlds = move.then(reply, after)
        except Broken as broken:
            raise _Stop(self._violation(broken.promise, expansion.number, move.label)) from None
        return [(move.label + word, self._settled(after, then)) for word, then in worlds]

    def _settled(self, redis: Redis, world: World) -> State:
        return self._rules.settled(redis, world)

    def _changed(self, redis: Redis, changes: list[Any]) -> Redis:
        numbers = list(redis)
        for key, content in zip(changes[::2], changes[1::2], strict=True):
            place = self._book.place(key)
            numbers[place] = self._book.read(place, content)
        return tuple(numbers)

    # --- visiting -----------------------------------------------------------------------------------------------

    def _visit(self, parent: int, label: str, state: State) -> int:
        """Return the number of a state, and keep it for expansion if it is new."""
        redis, world = state
        server = self._servers.get(redis)
        if server is None:
            server = self._servers[redis] = len(self._servers)
            if promise := broken_in(self._book, redis, self._rules.jobs, PBX):
                raise _Stop(self._violation(promise, parent, label))
        name = self._worlds.setdefault(world, len(self._worlds)) << 32 | server
        known = self._seen.get(name)
        if known is not None:
            return known
        number = self._seen[name] = len(self._seen)
        self._parents.append(parent)
        self._labels.append(self._words.setdefault(label, len(self._words)))
        self._helped.append(-1)
        if self._rules.is_over(redis, world):
            self.found.endings += 1
            self._helped[number] = number
        self.found.states = len(self._seen)
        self._waiting.append((number, state))
        return number

    def _violation(self, promise: str, number: int, label: str = "") -> Violation:
        words, path = list(self._words), [label] if label else []
        while number > 0:
            path.append(words[self._labels[number]])
            number = self._parents[number]
        return Violation(promise, tuple(reversed(path)))

    # --- every job can still reach an end -----------------------------------------------------------------------

    def _everything_ends(self) -> None:
        """
        Follow the helpful continuation from every state: worker, pacer, sweeper and reconciler run, time passes.

        States beyond the cut were explored along this continuation, and no further.
        """
        ends = bytearray(len(self._helped))
        for start in range(len(ends)):
            number, way = start, []
            while not ends[number]:
                way.append(number)
                if len(way) > _MOST_HELP or self._helped[number] < 0:
                    raise _Stop(self._violation("a job cannot reach its end any more", start))
                if self._helped[number] == number:
                    break
                number = self._helped[number]
            for number in way:
                ends[number] = 1


class _Stop(Exception):
    def __init__(self, violation: Violation) -> None:
        super().__init__(violation.promise)
        self.violation = violation


_memo: dict[Call, str] = {}


def _json(call: Call) -> str:
    text = _memo.get(call)
    if text is None:
        text = _memo[call] = json.dumps(call)
    return text
