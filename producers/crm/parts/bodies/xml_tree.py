"""XML bodies, without what makes XML dangerous: no document type, no entities of its own."""

from typing import Any, NoReturn
from xml.parsers import expat

import xmltodict

from producers.crm.base import BadPayload
from producers.crm.parts.bodies.charset import MAX_DEPTH, checked_size, known_charset

MAX_ELEMENTS = 20_000


def xml_body(raw: bytes, *, charset: str | None = None) -> dict[str, Any]:
    """
    Return an XML body as a dict with its root element.

    An element is its text, or a dict of its children, with attributes as `@name` and its own text as `#text`;
    elements of one name are a list, empty ones None. Prefixes are left out: `<sf:Phone>` is `Phone`.

    Args:
        raw: The body.
        charset: What the content type declares; without it the document says.

    Raises:
        BadPayload: Also for any DOCTYPE, more than 64 levels, and more than 20,000 elements and attributes.
    """
    checked_size(raw)
    # Blank lines before the declaration are wrong and common: templates and copied examples have them.
    raw = raw.lstrip(b" \t\r\n")
    try:
        # Looked at before anything is built, so that what is built is small.
        _Shape(charset).look_at(raw)
        tree: dict[str, Any] = xmltodict.parse(raw, encoding=charset, postprocessor=_without_prefix)  # type: ignore[arg-type]  # None drops
    except expat.ExpatError as error:
        what = expat.ErrorString(error.code) or "it cannot be parsed"
        raise BadPayload(f"body: is not XML: {what} at line {error.lineno}") from None
    except (LookupError, ValueError):
        raise BadPayload("body: is not XML that is read here; send well-formed XML in UTF-8") from None
    return tree


class _Shape:
    """What a document is made of, seen without keeping any of it."""

    def __init__(self, charset: str | None) -> None:
        self._depth = 0
        self._count = 0
        self._parser = expat.ParserCreate(charset)
        self._parser.StartDoctypeDeclHandler = self._document_type
        self._parser.XmlDeclHandler = self._declaration
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end

    def look_at(self, raw: bytes) -> None:
        is_all = True
        self._parser.Parse(raw, is_all)

    def _document_type(self, *_: object) -> NoReturn:
        raise BadPayload("body: has a DOCTYPE, which is not taken; send XML without")

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None:
            known_charset(encoding)

    def _begin(self, _name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._count += 1 + len(attributes)
        if self._depth > MAX_DEPTH:
            raise BadPayload(f"body: is nested too deeply; send at most {MAX_DEPTH} levels")
        if self._count > MAX_ELEMENTS:
            raise BadPayload(f"body: has too many elements; send at most {MAX_ELEMENTS:,}")

    def _end(self, _name: str) -> None:
        self._depth -= 1


def _without_prefix(_path: object, key: str, value: Any) -> tuple[str, Any] | None:
    if key == "@xmlns" or key.startswith("@xmlns:"):
        return None
    mark = "@" if key.startswith("@") else ""
    return mark + key.removeprefix(mark).rpartition(":")[2], value
