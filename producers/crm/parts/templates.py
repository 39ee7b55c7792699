"""Templates of the settings: texts with `{{ expression }}` in them, alone or as the leaves of a table."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import PlainValidator

from producers.crm.parts.expressions import Expression, Scope

_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_NOT_FOR_HEADERS = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Template:
    """One text: constants and expressions take turns, constants first. Not shown, for it may hold secrets."""

    pieces: tuple[str | Expression, ...] = field(repr=False)

    @classmethod
    def parse(cls, text: Any) -> "Template":
        """
        Read a template.

        Raises:
            ValueError: If it is no text, or one of its expressions cannot be read.
        """
        if not isinstance(text, str):
            raise ValueError("give a text, perhaps with {{ expressions }}")  # noqa: TRY004 - pydantic reads it
        pieces = _EXPRESSION.split(text)
        return cls(tuple(Expression.parse(piece.strip()) if i % 2 else piece for i, piece in enumerate(pieces)))

    @property
    def head(self) -> str:
        """The constant text it begins with."""
        return str(self.pieces[0])

    @property
    def is_constant(self) -> bool:
        """Whether it has no expression."""
        return len(self.pieces) == 1

    def value(self, data: Any) -> Any:
        """Return what the expression finds in *data* where the template is nothing else; else the text."""
        if len(self.pieces) == 3 and self.pieces[0] == self.pieces[2] == "":
            return _found(self.pieces[1], data)
        return self.text(data, lambda text: text)

    def text(self, data: Any, written: Callable[[str], str]) -> str:
        """Return the text, with what expressions find put through *written*; null is an empty text."""
        return "".join(
            piece if isinstance(piece, str) else written(_as_text(_found(piece, data))) for piece in self.pieces
        )

    def url(self, data: Any) -> str | None:
        """
        Return the text as a URL, whatever is found percent-encoded (RFC 3986, section 2.1).

        None if something is missing, or is a step of a path like `..`: that would be the URL of something else.
        """
        found = [_as_text(_found(piece, data)) for piece in self.pieces[1::2]]
        if any(not text.strip(".") for text in found):
            return None
        return self.text(data, lambda text: quote(text, safe=""))

    def header(self, data: Any) -> str:
        """Return the text as the value of a header; what is not printable ASCII is percent-encoded."""
        whole = self.text(data, lambda text: text)
        return _NOT_FOR_HEADERS.sub(lambda odd: quote(odd.group(), safe=""), whole).strip()


Text = Annotated[Template, PlainValidator(Template.parse)]


def tree(value: Any) -> Any:
    """
    Return a table of the settings with a `Template` for each of its texts.

    Raises:
        ValueError: If an expression cannot be read.
    """
    if isinstance(value, dict):
        return {name: tree(child) for name, child in value.items()}
    if isinstance(value, list):
        return [tree(child) for child in value]
    return Template.parse(value) if isinstance(value, str) else value


def filled(value: Any, data: Any) -> Any:
    """Return what `tree` made, with the value of each template for *data*."""
    if isinstance(value, dict):
        return {name: filled(child, data) for name, child in value.items()}
    if isinstance(value, list):
        return [filled(child, data) for child in value]
    return value.value(data) if isinstance(value, Template) else value


Tree = Annotated[Any, PlainValidator(tree)]


def _found(piece: str | Expression, data: Any) -> Any:
    assert isinstance(piece, Expression), "pieces take turns"
    return piece.of(data, Scope(data))


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
