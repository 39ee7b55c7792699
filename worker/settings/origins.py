"""Origins of web pages, as browsers send them in the header `Origin`."""

from urllib.parse import SplitResult, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
EXAMPLE = "https://crm.example.com"


def checked_origin(text: str) -> str:
    """
    Return an origin if it is written as browsers send it, which is how it is compared.

    Args:
        text: Scheme, host in small letters (in ASCII) and, unless it is the scheme's own, port.

    Raises:
        ValueError: With what would be right. A pattern is refused, because it lets in unknown pages.

    Source: WHATWG HTML, "ASCII serialization of an origin"; RFC 6454, section 6.2.
    """
    if "*" in text or text == "null":
        raise ValueError(f"{text[:80]!r} is not one origin; list each by itself, such as {EXAMPLE}")
    right = _serialized(text)
    if right is None:
        raise ValueError(f"{text[:80]!r} is not an origin; expected one such as {EXAMPLE}")
    if right != text:
        raise ValueError(f"{text[:80]!r} is not written as browsers send it; expected {right!r}")
    return text


def is_protected(origin: str) -> bool:
    """Return whether the pages of an origin reach the browser unchanged: by TLS, or from the same host."""
    parts = urlsplit(origin)
    return parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")


def _serialized(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        host, port = _host(parts), parts.port
    except ValueError:  # also of a host that IDNA cannot write
        return None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc or any(map(str.isspace, text)):
        return None
    return f"{scheme}://{host}" + ("" if port in (None, _DEFAULT_PORTS[scheme]) else f":{port}")


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host.encode("idna").decode()
