"""A clock for the steps of the hopper that stands still until a test moves it."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from hashlib import sha1

import pytest

from worker.hopper import connection
from worker.hopper.looking import Looking

# The line by which a step reads the time. In a test the time comes behind the actor's name, if it comes.
_READS_THE_TIME = "local clock = redis.call('TIME')\n"
_TAKES_THE_TIME = _READS_THE_TIME + (
    "local given = string.match(WHO, '\\31([%d.]+)$')\n"
    "if given then WHO, clock = string.gsub(WHO, '\\31.*$', ''), { given, 0 } end\n"
)
_MARK = "\x1f"
# Two steps never see the same time: the order of jobs depends on it, and results show it in milliseconds.
_TICK_S = 0.001


class StepClock:
    """
    The time that steps see: the real time at first, and from then on what `advance` makes of it.

    So a lease of a tenth of a second lasts until the test lets it end, however busy the machine is.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = time.time()
        self._is_running = False

    def now(self) -> float:
        """Return the time in unix seconds."""
        with self._lock:
            if self._is_running:
                return time.time()
            # Steps of several threads may reach the server in any order. They see one time, so none goes back.
            if threading.current_thread() is threading.main_thread():
                self._now += _TICK_S
            return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._now += seconds

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show the server's own time for the length of the block: for races, in which every step needs another."""
        self._is_running = True
        try:
            yield
        finally:
            self._now, self._is_running = max(self._now, time.time()), False

    @property
    def given(self) -> str:
        """What a step is given to read; empty while it reads the server's own time."""
        return "" if self._is_running else f"{_MARK}{self.now():.6f}"


_in_charge: list[StepClock] = []


def now() -> float:
    """Return what the clock in charge shows; the real time if there is none."""
    return _in_charge[-1].now() if _in_charge else time.time()


def advance(seconds: float) -> None:
    """Let time pass on the clock in charge, if there is one."""
    for clock in _in_charge[-1:]:
        clock.advance(seconds)


@contextmanager
def step_clock() -> Iterator[StepClock]:
    """Put a clock in charge of all steps that this process runs."""
    clock, read = StepClock(), connection.steps()

    @cache
    def steps() -> Mapping[str, tuple[str, str]]:
        return {name: with_clock(text) for name, (text, _) in read.items()}

    def with_clock(text: str) -> tuple[str, str]:
        assert text.count(_READS_THE_TIME) == 1, "each step reads the time once, in shared/keys.lua"
        text = text.replace(_READS_THE_TIME, _TAKES_THE_TIME)
        return text, sha1(text.encode(), usedforsecurity=False).hexdigest()

    def actor(scripts: connection.Scripts) -> str:
        return f"{vars(scripts)['_actor']}{clock.given}"

    def name(scripts: connection.Scripts, actor: str) -> None:
        vars(scripts)["_actor"] = actor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "steps", steps)
        patch.setattr(connection.Scripts, "_actor", property(actor, name), raising=False)
        patch.setattr(Looking, "now", lambda _: clock.now())
        _in_charge.append(clock)
        yield clock
        _in_charge.remove(clock)
