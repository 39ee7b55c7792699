"""
What the keys of a small world hold, in a form that is the same for states that behave the same.

The clock of a world stands still; when time passes, all times in its keys move back. So every time is kept as
milliseconds from now, and one that has passed for long enough that no step can tell is kept as just that long ago.
"""

import json
from typing import Any

NAMESPACE, QUEUE = "w", "w:queue"
# The moment that all steps run at, in unix seconds.
MOMENT = 1_800_000_000
TICK_MS = 10_000
# The settings of the worlds, in ticks.
RELEASE_TTL, CLAIM_DEAD, OPEN_CALL, QUIET, WITHIN, AT_MOST, LOOK_EVERY = 2, 2, 2, 1, 2, 3, 1
_LONGEST_MS = 10**9
_TTL_S = 10**6

# How long ago a time may lie, in ticks; CONSTANT: only its presence counts, RAW: it is no time.
CONSTANT, RAW = "constant", "raw"
_SCORES: dict[str, int | str] = {
    "lane": RAW,
    "arrivals": RAW,
    "ring": 0,
    "waits": CONSTANT,
    "later": 0,
    "pbxs": 0,
    "released": 2 * RELEASE_TTL,
    "claimed": 0,
    "doubts": CONSTANT,
    "looks": 0,
    "lines": 1,
    "exts": 1,
    "expiry": 0,
    "ended": CONSTANT,
    "outbox": CONSTANT,
}
_FIELDS: dict[str, dict[str, int | str]] = {
    "job": {
        "enqueued_at": CONSTANT,
        "claimed_at": CONSTANT,
        "finished_at": CONSTANT,
        "hold": 1,
        "expires_at": 0,
        "doubted_at": AT_MOST,
        "quiet_since": QUIET,
    },
    "pbx": {"tat": 0, "looked_at": LOOK_EVERY, "barred_until": 0, "barred_since": CONSTANT, "probe_until": 0},
    "token": {"login_until": 0},
    "guard": {},
    "pauses": {},
}
# What no step decides by: what people are shown, and counts that only grow.
_SHOWN = frozenset(
    {"due", "trying_since", "placed_at", "not_before", "tries_in_vain", "n", "ends", "errno", "error", "ids_ahead"}
    | {"resolved_by", "resolved_at", "resolved_why", "cancelled_by", "cancelled_why"}
    | {"fingerprint", "key", "autoanswer"}
)
_IGNORED = frozenset({"wake", "sweeping"})
_COMMANDS = {"hash": "HSET", "zset": "ZADD", "set": "SADD", "list": "RPUSH", "string": "SET"}

Value = tuple[Any, ...]


def part_of(key: str) -> str:
    """Return the word after the namespace: job, lane, claimed, ..."""
    return key.split(":")[1]


def kind_of(key: str) -> str:
    """Return the type of a key."""
    part = part_of(key)
    if part in _FIELDS:
        return "hash"
    if part in ("known", "paused"):
        return "set"
    if part in ("queue", "aside"):
        return "list"
    return "string" if part in ("seq", "starved", "aside_count") else "zset"


def _relative(text: str, least: int | str) -> int | str:
    if least == RAW:
        return text
    return 0 if least == CONSTANT else _clamped(round((float(text) - MOMENT) * 1000), least)


def _clamped(ms: int, least: int | str) -> int:
    assert isinstance(least, int), "a time that moves"
    return max(ms, -least * TICK_MS)


def canonical(key: str, content: list[str]) -> Value | None:
    """Return what a key holds in the form of this module; None if it is empty or does not count."""
    part, kind = part_of(key), kind_of(key)
    if part in _IGNORED or not content or content == [None]:
        return None
    if kind == "hash":
        times = _FIELDS[part]
        pairs = zip(content[::2], content[1::2], strict=True)
        kept = [(f, v) for f, v in pairs if f not in _SHOWN and not f.startswith("~")]
        if part == "job" and dict(kept)["state"] != "claimed":
            kept = [(f, v) for f, v in kept if f != "worker"]
        return tuple(sorted((f, _relative(v, times[f]) if f in times else v) for f, v in kept)) or None
    if kind == "zset":
        least = _SCORES[part]
        return tuple(sorted((m, _relative(s, least)) for m, s in zip(content[::2], content[1::2], strict=True)))
    if part == "queue":  # in any order, and a third message of a job is as good as two
        return tuple(sorted(m for m in set(content) for _ in range(min(2, content.count(m)))))
    return tuple(sorted(content))


def moved(key: str, value: Value) -> Value:
    """Return the value of a key after one tick."""
    part, kind = part_of(key), kind_of(key)
    if kind == "hash":
        times = _FIELDS[part]
        return tuple((f, _later(v, times[f]) if f in times else v) for f, v in value)
    if kind == "zset":
        return tuple((m, _later(score, _SCORES[part])) for m, score in value)
    return value


def _later(ms: Any, least: int | str) -> Any:
    return ms if least in (RAW, CONSTANT) else _clamped(ms - TICK_MS, least)


def item(key: str, value: Value) -> str:
    """Return what makes a key on the server, as JSON for the driver."""
    part, kind = part_of(key), kind_of(key)
    has_ttl = False
    if kind == "hash":
        times = _FIELDS[part]
        has_ttl = ("has_ttl", "1") in value
        arguments = [x for f, v in value if f != "has_ttl" for x in (f, _absolute(v) if f in times else v)]
    elif kind == "zset":
        raw = _SCORES[part] == RAW
        arguments = [x for m, score in value for x in (score if raw else _absolute(score), m)]
    else:
        arguments = list(value)
    made: list[Any] = [_COMMANDS[kind], key, arguments]
    return json.dumps([*made, _TTL_S] if has_ttl else made)


def _absolute(ms: int) -> str:
    return f"{MOMENT + ms / 1000:.6f}"


class Book:
    """
    All values that keys have had, each with a number: a state of the server is a tuple of numbers.

    Attributes:
        keys: Names of the keys, by their place in the tuple.
    """

    MOST_KEYS = 48

    def __init__(self) -> None:
        self.keys: list[str] = []
        self._places: dict[str, int] = {}
        self._numbers: list[dict[Value | None, int]] = []
        self._values: list[list[Value | None]] = []
        self._items: list[dict[int, str]] = []
        self._moved: list[dict[int, int]] = []
        self._known: list[dict[str, int]] = []

    def place(self, key: str) -> int:
        """Return the place of a key."""
        if key not in self._places:
            self._places[key] = len(self.keys)
            self.keys.append(key)
            self._numbers.append({None: 0})
            self._values.append([None])
            self._items.append({})
            self._moved.append({0: 0})
            self._known.append({})
            assert len(self.keys) <= self.MOST_KEYS, self.keys
        return self._places[key]

    def number(self, place: int, value: Value | None) -> int:
        """Return the number of a value."""
        numbers, value = self._numbers[place], value or None
        found = numbers.get(value)
        if found is None:
            found = numbers[value] = len(numbers)
            self._values[place].append(value)
        return found

    def read(self, place: int, content: list[str]) -> int:
        """Return the number of what the server holds in a key."""
        known, text = self._known[place], repr(content)
        found = known.get(text)
        if found is None:
            found = known[text] = self.number(place, canonical(self.keys[place], content))
        return found

    def value(self, place: int, number: int) -> Value | None:
        """Return the value with a number; None for no such key."""
        return self._values[place][number]

    def get(self, state: tuple[int, ...], key: str) -> Value:
        """Return what a key holds in a state; empty for no such key."""
        place = self.place(key)
        return self._values[place][state[place]] or ()

    def after_a_tick(self, state: tuple[int, ...]) -> tuple[int, ...]:
        """Return the state one tick later."""
        numbers = list(state)
        for place, key in enumerate(self.keys):
            memo, number = self._moved[place], state[place]
            if number not in memo:
                memo[number] = self.number(place, moved(key, self._values[place][number] or ()))
            numbers[place] = memo[number]
        return tuple(numbers)

    def items(self, state: tuple[int, ...]) -> list[str]:
        """Return what makes this state on the server."""
        made = []
        for place, key in enumerate(self.keys):
            if number := state[place]:
                memo = self._items[place]
                if number not in memo:
                    memo[number] = item(key, self._values[place][number] or ())
                made.append(memo[number])
        return made
