"""
Faults on demand: what a rule may say, and which rule a request meets.

A rule is a JSON object. Every kind takes these fields, all optional but `kind`:

    kind         see `FIELDS_BY_KIND`
    resource     a resource's name or path, or "*" (default) for all
    extid, outto match dials (and hang-ups) of that extension or number only
    after        let the first N matching requests pass (default 0)
    every        then act on every Nth matching request only (default 1)
    probability  then act with that chance (default 1)
    times        act so often at most; null (default) for ever

What the kinds do. `ring: true` means the request takes effect first (the phone rings, the login counts) and the
reply is spoiled after that; false, the default, means the request never reached the PBX's call engine.

    errno             answer {"status": status_word, "errno": errno}; [ring]
    delay             take effect at once, answer delay_s late
    hang              never answer; [ring]
    drop_before_ring  reset the connection, nothing took effect
    drop_after_ring   take effect, then reset the connection without a reply
    http_status       answer with HTTP `status` and an HTML page, as a gateway does; [ring], and
                      `retry_after` is the text of that header
    garbage           answer 200 with an unreadable body; [ring]
    token_loss        forget all tokens, then treat the request as usual (so it meets 20004)
    restart           forget tokens and calls, reset connections, refuse new ones for delay_s (default 1); [ring]
    redirect          answer HTTP `status` (default 307) with `location` (default: the request's own address)
    slow_body         take effect, then drip the answer, one byte each delay_s
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ops.pbx_simulator.resources import RESOURCE_NAMES, resource_named

EVERY_RESOURCE: Final = "*"
COMMON_FIELDS: Final = frozenset({"kind", "resource", "extid", "outto", "after", "every", "probability", "times"})
# kind: (fields it needs, further fields it takes)
FIELDS_BY_KIND: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "errno": (frozenset({"errno"}), frozenset({"status_word", "ring"})),
    "delay": (frozenset({"delay_s"}), frozenset()),
    "hang": (frozenset(), frozenset({"ring"})),
    "drop_before_ring": (frozenset(), frozenset()),
    "drop_after_ring": (frozenset(), frozenset()),
    "http_status": (frozenset({"status"}), frozenset({"ring", "retry_after"})),
    "garbage": (frozenset(), frozenset({"ring"})),
    "token_loss": (frozenset(), frozenset()),
    "restart": (frozenset(), frozenset({"delay_s", "ring"})),
    "redirect": (frozenset(), frozenset({"location", "status"})),
    "slow_body": (frozenset({"delay_s"}), frozenset()),
}
REDIRECT_STATUSES: Final = (301, 302, 303, 307, 308)


class FaultRuleError(ValueError):
    """A fault rule cannot be used; the message is one sentence that names the field and what would be right."""


@dataclass(frozen=True, slots=True)
class FaultRule:
    """
    One rule, checked; fields as the module's docstring says.

    Attributes:
        times: None for ever.
        resource: A name of `RESOURCE_NAMES` or "*".
        status: HTTP status of `http_status` and `redirect`; 0 where it means nothing.
        location: Where a redirect points; None for the request's own address.
        retry_after: The header's text; None for no such header.
    """

    kind: str
    resource: str = EVERY_RESOURCE
    extid: str | None = None
    outto: str | None = None
    after: int = 0
    every: int = 1
    probability: float = 1.0
    times: int | None = None
    errno: str = ""
    status_word: str = "Failed"
    ring: bool = False
    delay_s: float = 1.0
    status: int = 0
    location: str | None = None
    retry_after: str | None = None

    def matches(self, resource: str, extid: str | None, outto: str | None) -> bool:
        """Whether a request for *resource* about that extension and number is one of this rule's."""
        return (
            self.resource in (EVERY_RESOURCE, resource)
            and self.extid in (None, extid)
            and self.outto in (None, outto)
        )


@dataclass(slots=True)
class _Entry:
    rule: FaultRule
    seen: int = 0
    acted: int = 0

    def is_due(self, roll: Callable[[], float]) -> bool:
        """Whether the rule acts on the matching request just counted in `seen`."""
        rule = self.rule
        turn = self.seen - rule.after
        spent = rule.times is not None and self.acted >= rule.times
        if spent or turn < 1 or turn % rule.every:
            return False
        return rule.probability >= 1.0 or roll() < rule.probability


class FaultBook:
    """
    The rules in force.

    Args:
        rules: In order; the first that is due acts on a request, but every matching one counts it.
        roll: Returns a number in [0, 1); injected so that runs can be repeated.
    """

    def __init__(self, rules: list[FaultRule], *, roll: Callable[[], float]) -> None:
        self._entries = [_Entry(rule) for rule in rules]
        self._roll = roll

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, rule: FaultRule) -> None:
        """Put *rule* after the others."""
        self._entries.append(_Entry(rule))

    def clear(self) -> None:
        """Drop all rules."""
        self._entries.clear()

    def pick(self, resource: str, *, extid: str | None, outto: str | None) -> FaultRule | None:
        """Count one request and return the rule that acts on it, None for an untroubled one."""
        picked: _Entry | None = None
        for entry in self._entries:
            if not entry.rule.matches(resource, extid, outto):
                continue
            entry.seen += 1
            if picked is None and entry.is_due(self._roll):
                picked = entry
        if picked is None:
            return None
        picked.acted += 1
        return picked.rule

    def report(self) -> list[dict[str, object]]:
        """Return each rule's fields with `seen` (matching requests), `acted` and `left` (None for ever)."""
        return [
            {
                **asdict(entry.rule),
                "seen": entry.seen,
                "acted": entry.acted,
                "left": None if entry.rule.times is None else entry.rule.times - entry.acted,
            }
            for entry in self._entries
        ]


def read_fault_file(path: Path) -> list[FaultRule]:
    """
    Return the rules of a JSON file that holds a list of them.

    Raises:
        FaultRuleError: If the file cannot be read or a rule is wrong; says which.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise FaultRuleError(f"{path} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise FaultRuleError(f"{path} is not JSON ({exc}); write a list of rules") from exc
    if not isinstance(raw, list):
        raise FaultRuleError(f"{path} holds no list; write a list of rules, [] for none")
    rules = []
    for number, item in enumerate(raw, start=1):
        try:
            rules.append(parse_rule(item))
        except FaultRuleError as exc:
            raise FaultRuleError(f"{path}, rule {number}: {exc}") from exc
    return rules


def parse_rule(raw: object) -> FaultRule:
    """
    Return the rule that a decoded JSON value describes.

    Raises:
        FaultRuleError: Naming the first field that is wrong and what would be right.
    """
    if not isinstance(raw, dict):
        raise FaultRuleError('a rule must be an object such as {"kind":"errno","errno":"30001"}')
    kind = raw.get("kind")
    if not isinstance(kind, str) or kind not in FIELDS_BY_KIND:
        raise FaultRuleError(f"kind: {kind!r} is not known; use one of {', '.join(FIELDS_BY_KIND)}")
    _check_fields(raw, kind)
    fields: dict[str, Any] = {name: _PARSERS[name](name, value) for name, value in raw.items()}
    if kind == "redirect" and fields.setdefault("status", 307) not in REDIRECT_STATUSES:
        raise FaultRuleError(f"status: a redirect takes one of {', '.join(map(str, REDIRECT_STATUSES))}")
    return FaultRule(**fields)


def _check_fields(raw: Mapping[str, object], kind: str) -> None:
    needed, further = FIELDS_BY_KIND[kind]
    for name in sorted(needed - raw.keys()):
        raise FaultRuleError(f"{name}: a rule of kind {kind} needs it")
    takes = needed | further | COMMON_FIELDS
    for name in raw:
        if name not in takes:
            raise FaultRuleError(f"{name}: kind {kind} does not take it; it takes {', '.join(sorted(takes))}")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise FaultRuleError(f"{name}: {value!r} must be text that is not empty")
    return value


def _number_text(name: str, value: object) -> str | None:
    # Extensions come as 1002 and as "1002" in the vendor's own samples.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None if value is None else _text(name, value)


def _errno(name: str, value: object) -> str:
    text = _number_text(name, value)
    if text is None or not text.isdecimal():
        raise FaultRuleError(f'{name}: {value!r} must be digits, such as "30001"')
    return text


def _resource(name: str, value: object) -> str:
    if value == EVERY_RESOURCE:
        return EVERY_RESOURCE
    resource = resource_named(value) if isinstance(value, str) else None
    if resource is None:
        raise FaultRuleError(f'{name}: {value!r} is not one of "*", {", ".join(sorted(RESOURCE_NAMES))}')
    return resource


def _integer(least: int) -> Callable[[str, object], int]:
    def parse(name: str, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise FaultRuleError(f"{name}: {value!r} must be a whole number from {least} up")
        return value

    return parse


def _times(name: str, value: object) -> int | None:
    return None if value is None else _integer(1)(name, value)


def _number(most: float) -> Callable[[str, object], float]:
    def parse(name: str, value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
            raise FaultRuleError(f"{name}: {value!r} must be a number from 0 to {most:g}")
        return float(value)

    return parse


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise FaultRuleError(f"{name}: {value!r} must be true or false")
    return value


def _http_status(name: str, value: object) -> int:
    # 1xx would not end the exchange and 204 and 304 have no body: neither is a fault a gateway shows.
    if not isinstance(value, int) or not 200 <= value <= 599 or value in (204, 304):
        raise FaultRuleError(f"{name}: {value!r} must be an HTTP status from 200 to 599, such as 502")
    return value


# An hour: longer than any time-out under test, and a typing error in the unit is caught.
_LONGEST_DELAY_S: Final = 3600.0
_PARSERS: Final[Mapping[str, Callable[[str, object], object]]] = {
    "kind": _text,
    "resource": _resource,
    "extid": _number_text,
    "outto": _number_text,
    "after": _integer(0),
    "every": _integer(1),
    "probability": _number(1.0),
    "times": _times,
    "errno": _errno,
    "status_word": _text,
    "ring": _flag,
    "delay_s": _number(_LONGEST_DELAY_S),
    "status": _http_status,
    "location": _text,
    "retry_after": _number_text,
}
