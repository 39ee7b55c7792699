"""What is to be dialed in one run, all of it made from the seed."""

import random
from collections import Counter
from dataclasses import dataclass
from typing import Final

# Each PBX's own extensions, so that a pair tells its PBX. Reserved numbers only: 0205550100 and following.
EXTENSIONS: Final = {"hq": range(1000, 1300), "branch": range(2000, 2300)}
# The first ones of each PBX get a fifth of the jobs, so that some jobs queue behind a call.
_HOT, _HOT_SHARE = 10, 0.2
# The last ones get the jobs that may ring more than once.
_REDIAL, _REDIAL_SHARE = 10, 0.05
_NUMBER: Final = "02055501"


@dataclass(frozen=True, slots=True)
class Order:
    """
    One job to hand in. Times are seconds from the run's start, waits seconds from the handing in.

    Attributes:
        at_s: When it is handed in.
        on_unknown: `hold`, or `redial` for a job that may ring more than once.
        not_before_s: When it may first ring, from the run's start; None at once.
        expires_in_s: How long it may wait; None for ever.
        cancel_after_s: When it is withdrawn; None never.
        again_after_s: When it is handed in once more, under the same key; None never.
    """

    number: int
    at_s: float
    pbx: str
    extid: str
    outto: str
    priority: str = "normal"
    on_unknown: str = "hold"
    not_before_s: float | None = None
    expires_in_s: float | None = None
    cancel_after_s: float | None = None
    again_after_s: float | None = None

    @property
    def by_http(self) -> bool:
        """Whether it comes by the HTTP intake, as some of those without times do."""
        return self.number % 8 == 0 and self.not_before_s is None and self.expires_in_s is None

    @property
    def key(self) -> str:
        """The job's key: whoever hands in under lost replies needs one."""
        return f"chaos:{self.number}"


def make_orders(seed: int, *, jobs: int, seconds: float) -> list[Order]:
    """
    Return the orders of one run, by time.

    Args:
        seed: The same one gives the same orders.
        jobs: How many.
        seconds: The time over which they are spread.
    """
    dice = random.Random(f"orders {seed}")
    times = sorted(dice.uniform(0, seconds) for _ in range(jobs))
    taken: Counter[str] = Counter()
    return [_order(number, at_s, taken, dice) for number, at_s in enumerate(times)]


def _order(number: int, at_s: float, taken: Counter[str], dice: random.Random) -> Order:
    pbx = dice.choice(list(EXTENSIONS))
    is_redial = dice.random() < _REDIAL_SHARE
    extid = _extension(EXTENSIONS[pbx], is_redial, dice)
    # A number is never dialed twice from one extension, so a pair in the journal is one job.
    outto = f"{_NUMBER}{taken[extid]:02d}"
    taken[extid] += 1
    priority = dice.choices(["urgent", "normal", "bulk"], [1, 6, 3])[0]
    on_unknown = "redial" if is_redial else "hold"
    return Order(number, at_s, pbx, extid, outto, priority, on_unknown, **_whims(at_s, dice))


def _extension(extensions: range, is_redial: bool, dice: random.Random) -> str:  # noqa: FBT001
    if is_redial:
        return str(dice.choice(extensions[-_REDIAL:]))
    chosen = extensions[:_HOT] if dice.random() < _HOT_SHARE else extensions[_HOT:-_REDIAL]
    return str(dice.choice(chosen))


def _whims(at_s: float, dice: random.Random) -> dict[str, float]:
    """Most orders are plain; some are withdrawn, run out, wait for their time or come twice."""
    roll = dice.random()
    if roll < 0.02:
        return {"cancel_after_s": dice.uniform(0, 0.3)}
    if roll < 0.04:
        return {"not_before_s": at_s + dice.uniform(2, 6), "cancel_after_s": dice.uniform(0, 8)}
    if roll < 0.08:
        return {"expires_in_s": dice.uniform(0.05, 2)}
    if roll < 0.11:
        return {"not_before_s": at_s + dice.uniform(1, 5)}
    if roll < 0.19:
        return {"again_after_s": dice.uniform(0, 6)}
    return {}
