"""What the product's own `Hopper` sends to the server for a step, and how it reads the reply."""

from functools import lru_cache
from typing import Any

from ops.explore import values as ticks
from ops.explore.values import NAMESPACE, TICK_MS
from worker.hopper import Hopper, connect
from worker.settings import BreakerSettings, LookSettings, TimeLimits

Call = tuple[str, tuple[str, ...], tuple[str, ...]]
TICK_S = TICK_MS / 1000
# A holder dials within the tick of its claim, so its deadline is well before the claim counts as dead.
LIMITS = TimeLimits(
    attempt_deadline_s=TICK_S,
    claim_lease_s=1.5 * TICK_S,
    claim_dead_s=ticks.CLAIM_DEAD * TICK_S,
    release_ttl_s=ticks.RELEASE_TTL * TICK_S,
)
LOOKS = LookSettings(
    every_s=ticks.LOOK_EVERY * TICK_S,
    quiet_s=ticks.QUIET * TICK_S,
    within_s=ticks.WITHIN * TICK_S,
    at_most_s=ticks.AT_MOST * TICK_S,
)
RETAIN_S = 10**6


class _Sent(Exception):
    """A step was about to be sent."""


class _Tape:
    """Stands where the hopper has its scripts: it keeps what would be sent, or plays one reply."""

    def __init__(self) -> None:
        self.sent: Call = ("", (), ())
        self.reply: list[Any] | None = None

    def run(self, name: str, *args: str | float, extra_keys: tuple[str, ...] = ()) -> Any:
        if self.reply is not None:
            return self.reply
        texts = tuple(arg if isinstance(arg, str) else repr(arg) for arg in args)
        self.sent = (name, (NAMESPACE, *extra_keys), ("explorer", *(str(text) for text in texts)))
        raise _Sent


class Calls:
    """
    Makes calls for the driver with the methods of `Hopper`, so that they change as those do.

    Nothing is sent from here: each method runs up to the place where it would run a script.
    """

    def __init__(self) -> None:
        client = connect("redis://127.0.0.1:1/0")  # is never asked
        breaker = BreakerSettings(failures=1, base_s=TICK_S, cap_s=TICK_S, dial_cap_s=TICK_S)
        self._hopper = Hopper(
            client, namespace=NAMESPACE, retain_s=RETAIN_S, limits=LIMITS, looks=LOOKS, breaker=breaker
        )
        self._tape = _Tape()
        self._hopper._scripts = self._tape  # type: ignore[assignment]  # noqa: SLF001 - the one place between them
        self.call = lru_cache(maxsize=None)(self.made)

    def made(self, method: str, *args: Any, **options: Any) -> Call:
        """Return what a method of the hopper sends for these arguments."""
        self._tape.reply = None
        try:
            getattr(self._hopper, method)(*args, **options)
        except _Sent:
            return self._tape.sent
        raise LookupError(f"{method} sends nothing")

    def read(self, method: str, reply: Any, *args: Any, **options: Any) -> Any:
        """Return what a method of the hopper makes of a reply."""
        self._tape.reply = reply
        return getattr(self._hopper, method)(*args, **options)
