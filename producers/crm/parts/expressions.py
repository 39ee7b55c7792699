"""JMESPath expressions of the settings: read when the settings are, and harmless whatever they are asked about."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import jmespath
from jmespath import exceptions, functions, visitor
from pydantic import PlainValidator

from producers.crm.base import Delivery

# Longer ones are programs; a mapping of a real CRM comes to about 200.
LONGEST_EXPRESSION = 1000

# What jmespath and its functions let out where a value is not of the kind they want.
_MISFITS = (exceptions.JMESPathError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_NO_LETTER = re.compile(r"[^a-z0-9]")
_ANYTHING: list[str] = []


class Scope(functions.Functions):
    """
    What expressions can ask for beside the value they look at: functions of ours, about one delivery.

    `root()` is the whole body, `header('x-name')` and `query('name')` are texts of the request or null,
    `field(object, 'name', ...)` is the first of the named fields that has a value, however their names are
    written, `fields(object, 'name', ...)` a list of all that have one, and `table(list)` makes an object of
    `[{"key": ..., "value": ...}]`.

    Args:
        body: The whole body, as plain values.
        delivery: Where headers and query are taken from; None has none.
    """

    def __init__(self, body: Any, delivery: Delivery | None = None) -> None:
        self.body = body
        self._headers: Mapping[str, str] = delivery.headers if delivery else {}
        self._url = delivery.url if delivery else ""
        # Objects by id, with their names folded; kept, so that no id is given out again meanwhile.
        self._folded: dict[int, tuple[Any, dict[str, Any]]] = {}

    @functions.signature()
    def _func_root(self) -> Any:
        return self.body

    @functions.signature({"types": ["string"]})
    def _func_header(self, name: str) -> str | None:
        return self._headers.get(name.lower())

    @functions.signature({"types": ["string"]})
    def _func_query(self, name: str) -> str | None:
        return parse_qs(urlsplit(self._url).query, max_num_fields=1000).get(name, [None])[0]

    @functions.signature({"types": _ANYTHING}, {"types": ["string"], "variadic": True})
    def _func_field(self, holder: Any, *names: str) -> Any:
        return next(self._values(holder, names), None)

    @functions.signature({"types": _ANYTHING}, {"types": ["string"], "variadic": True})
    def _func_fields(self, holder: Any, *names: str) -> list[Any]:
        return list(self._values(holder, names))

    @functions.signature({"types": _ANYTHING})
    def _func_table(self, pairs: Any) -> dict[str, Any]:
        rows = pairs if isinstance(pairs, list) else []
        named = (row for row in rows if isinstance(row, dict) and isinstance(row.get("key"), str))
        return {row["key"]: row.get("value") for row in named}

    def _values(self, holder: Any, names: Iterable[str]) -> Iterator[Any]:
        if not isinstance(holder, dict):
            return
        given = self._with_folded_names(holder)
        for name in names:
            value = holder.get(name) or given.get(_folded(name))
            if value and not (isinstance(value, str) and value.isspace()):
                yield value

    def _with_folded_names(self, holder: dict[str, Any]) -> dict[str, Any]:
        if id(holder) not in self._folded:
            # The first of two names that fold alike is the one that counts.
            folded = {_folded(name): value for name, value in reversed(holder.items())}
            self._folded[id(holder)] = (holder, folded)
        return self._folded[id(holder)][1]


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression; `text` is as written in the settings."""

    text: str
    _tree: Any = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: Any) -> "Expression":
        """
        Read an expression.

        Raises:
            ValueError: With the end of a sentence saying where it is wrong.
        """
        if not isinstance(text, str) or len(text) > LONGEST_EXPRESSION:
            raise ValueError(f"give a JMESPath expression as a text of at most {LONGEST_EXPRESSION} characters")
        try:
            compiled = jmespath.compile(text)
            problem = next(_misused(compiled.parsed), None)
        except RecursionError:
            problem = "it is nested too deeply"
        except exceptions.JMESPathError as error:
            problem = _where(error, text)
        if problem:
            raise ValueError(f"{text!r} is no JMESPath expression: {problem}")
        return cls(text, compiled.parsed)

    def of(self, value: Any, scope: Scope) -> Any:
        """
        Return what the expression finds in *value*: plain values, or None where nothing is found.

        None too where the value is not of the kind the expression expects, such as `contains` of a null: what a
        CRM sends is not the expression's fault, and whoever needs a value says so when there is none.
        """
        try:
            return visitor.TreeInterpreter(jmespath.Options(custom_functions=scope)).visit(self._tree, value)
        except (*_MISFITS, RecursionError):
            return None


Expr = Annotated[Expression, PlainValidator(Expression.parse)]


def is_true(value: Any) -> bool:
    """Return whether JMESPath calls a value true: all but null, false and what is empty."""
    return value is not None and value is not False and value not in ("", [], {})


def _folded(name: str) -> str:
    return _NO_LETTER.sub("", name.lower())


def _where(error: exceptions.JMESPathError, text: str) -> str:
    if not text.strip():
        return "it is empty"
    if isinstance(error, exceptions.IncompleteExpressionError):
        return "it ends too early"
    position = getattr(error, "lex_position", getattr(error, "lexer_position", None))
    return "it cannot be read" if position is None else f"look at character {position + 1}"


def _misused(tree: Any) -> Iterator[str]:
    """Yield what is wrong with calls of functions, which jmespath would say at the first payload only."""
    if not isinstance(tree, dict):
        return
    if tree.get("type") == "function_expression":
        name, given = tree["value"], len(tree["children"])
        known = Scope.FUNCTION_TABLE.get(name)
        if known is None:
            yield f"there is no function {name}; use {', '.join(sorted(Scope.FUNCTION_TABLE))}"
        elif not _takes(known["signature"], given):
            yield f"{name} takes another number of arguments than {given}"
    for child in tree.get("children", ()):
        yield from _misused(child)


def _takes(signature: tuple[Any, ...], given: int) -> bool:
    if signature and signature[-1].get("variadic"):
        return given >= len(signature)
    return given == len(signature)
