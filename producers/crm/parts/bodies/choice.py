"""Which form a delivery's body has."""

from typing import Any, Literal
from urllib.parse import urlsplit

from producers.crm.base import BadPayload, Delivery
from producers.crm.parts.bodies.charset import declared_charset
from producers.crm.parts.bodies.forms import form_body, multipart_body
from producers.crm.parts.bodies.json_text import json_body
from producers.crm.parts.bodies.xml_tree import xml_body

Format = Literal["json", "form", "xml"]

_FIRST_BYTES: dict[bytes, Format] = {b"{": "json", b"[": "json", b"<": "xml"}


def body_of(delivery: Delivery, form: Format | None = None) -> Any:
    """
    Return what a delivery's body holds; that of an empty one is the query of its URL, where it may be a form.

    Args:
        delivery: As it came.
        form: How the body is to be read. None goes by the content type, and where that is missing or says
            nothing (`text/plain`, `application/octet-stream`) by the first character.

    Raises:
        BadPayload: If it cannot be read so.
    """
    if form in (None, "form") and not delivery.body.strip():
        return _query(delivery)
    content_type = delivery.headers.get("content-type", "")
    looks_like = _looks_like(delivery.body)
    chosen = form or _said(content_type) or looks_like
    if chosen == "form" and "multipart/" in content_type.lower():
        return multipart_body(delivery.body, content_type)
    if chosen == "form" and looks_like != "form":
        # It can be read as a form, of one field with an odd name; that would be passed over and never seen.
        raise BadPayload(f"body: is no form, but looks like {looks_like.upper()}; send a form, or see format")
    readers = {"json": json_body, "form": form_body, "xml": xml_body}
    return readers[chosen](delivery.body, charset=declared_charset(delivery.headers))


def _query(delivery: Delivery) -> dict[str, Any]:
    query = urlsplit(delivery.url).query
    if not query:
        raise BadPayload("body: is empty; send JSON, a form or XML")
    return form_body(query.encode("utf-8", "surrogateescape"))


def _said(content_type: str) -> Format | None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return "form"
    if kind.endswith(("/xml", "+xml")):
        return "xml"
    return "json" if kind.endswith(("/json", "+json")) else None


def _looks_like(body: bytes) -> Format:
    return _FIRST_BYTES.get(body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1], "form")
