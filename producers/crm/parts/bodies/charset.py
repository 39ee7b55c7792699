"""How much a body may hold, and which characters its bytes are."""

import re
from collections.abc import Mapping

from producers.crm.base import BadPayload

# The largest known are SOAP messages of 100 records and Dataverse contexts, cut at 256 KB by the sender.
MAX_BYTES = 1 << 20
# Dataverse contexts within contexts come to about 40 levels.
MAX_DEPTH = 64

_CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "windows-1252": "windows-1252",
}
_PARAMETER = re.compile(r";[ \t]*charset[ \t]*=[ \t]*\"?([^\s\";]{1,40})", re.IGNORECASE)


def declared_charset(headers: Mapping[str, str]) -> str | None:
    """
    Return the Python name of the charset that the content type declares; None where it declares none.

    Raises:
        BadPayload: For one that is not read here.
    """
    found = _PARAMETER.search(headers.get("content-type", ""))
    return known_charset(found[1]) if found else None


def known_charset(name: str) -> str:
    """
    Return the Python name of a charset.

    Raises:
        BadPayload: For one that is not read here.
    """
    if name.lower() not in _CHARSETS:
        raise BadPayload("body: its charset is not read here; send UTF-8 or ISO-8859-1")
    return _CHARSETS[name.lower()]


def decoded(raw: bytes, charset: str | None) -> str:
    """
    Return *raw* as text, in UTF-8 unless another charset was declared; a byte order mark is dropped.

    Raises:
        BadPayload: If it is too long, or its bytes are no text of that charset.
    """
    checked_size(raw)
    try:
        return raw.decode(charset if charset not in (None, "utf-8") else "utf-8-sig")
    except UnicodeDecodeError as error:
        name = charset or "utf-8"
        raise BadPayload(f"body: is not {name} at byte {error.start + 1}; send text in UTF-8") from None


def checked_size(raw: bytes) -> None:
    """
    Return if a body is not too long.

    Raises:
        BadPayload: If it is.
    """
    if len(raw) > MAX_BYTES:
        raise BadPayload(f"body: has {len(raw):,} bytes; send at most {MAX_BYTES:,}")
