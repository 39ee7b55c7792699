"""Reads just enough of PromQL to say which metrics an expression asks for, and by which of their labels."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
# Words that may stand where a metric could.
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "inf", "nan"})
_LABEL_LIST = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
# Whole names only (`(?>…)`): what a bracket follows is a function, and no part of its name a metric.
_SELECTOR = re.compile(rf"(?<![\w:.$])((?>{_NAME}))\s*(\{{[^}}]*\}})?(?!\s*\()")


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric that an expression asks for, and the labels it is chosen by."""

    metric: str
    labels: frozenset[str]


def selectors(expression: str) -> Iterator[Selector]:
    """Yield every metric of an expression, as often as it stands there."""
    text = _LABEL_LIST.sub(" ", _without_ranges(_without_strings(expression)))
    for name, matchers in _SELECTOR.findall(text):
        if name.lower() not in _WORDS:
            yield Selector(name, frozenset(re.findall(rf"({_NAME})\s*(?:=~|!~|!=|=)", matchers)))


def groupings(expression: str) -> Iterator[tuple[frozenset[str], str]]:
    """Yield the labels of every `by (…)` with the text that they group, which has to follow them."""
    text = _without_strings(expression)
    for found in re.finditer(r"\bby\s*\(([^)]*)\)\s*", text):
        assert text[found.end() : found.end() + 1] == "(", f"by (…) must stand in front in {expression}"
        yield frozenset(_listed(found[1])), _bracketed(text, found.end())


def joins(expression: str) -> Iterator[frozenset[str]]:
    """Yield the labels of every `on (…)`."""
    for found in re.finditer(r"\bon\s*\(([^)]*)\)", expression):
        yield frozenset(_listed(found[1]))


def _listed(text: str) -> list[str]:
    return [label for label in re.split(r"[\s,]+", text) if label]


def _without_strings(text: str) -> str:
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)


def _without_ranges(text: str) -> str:
    return re.sub(r"\[[^]]*\]|\boffset\s+\w+", " ", text)


def _bracketed(text: str, start: int) -> str:
    depth = 0
    for end in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if depth == 0:
            return text[start + 1 : end]
    raise AssertionError(f"a bracket of {text} is not closed")
