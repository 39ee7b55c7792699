"""The header `Authorization`, and senders that use another scheme than the settings expect (RFC 9110, 11.6.2)."""

# Schemes in use, as they are written. A sentence names none but these, for a first word may be the token itself.
_SCHEMES = {
    name.lower(): name
    for name in ("Basic", "Bearer", "Digest", "Token", "ApiKey", "HMAC", "Negotiate", "OAuth", "AWS4-HMAC-SHA256")
}


def scheme_of(value: str) -> str | None:
    """Return the scheme that a header's value begins with, if it is a known one with something behind it."""
    first, _, rest = value.partition(" ")
    return _SCHEMES.get(first.lower()) if rest.strip() else None


def scheme_problem(authorization: str, expected: str) -> str | None:
    """
    Return why a header `Authorization` cannot hold credentials of a scheme; None if it can.

    Args:
        authorization: As it came, empty if it did not. A sentence contains none of it but a known scheme's name.
        expected: `Bearer` or `Basic`.
    """
    form = {"Bearer": "`Bearer TOKEN`", "Basic": "HTTP Basic writes it"}[expected]
    if not authorization.strip():
        return f"the header Authorization is missing; send it as {form}"
    first, _, rest = authorization.partition(" ")
    if first.lower() == expected.lower():
        return _credentials_problem(rest.strip(), expected)
    if scheme := scheme_of(authorization):
        return f"Authorization has the scheme {scheme}, expected {expected}; see kind"
    return f"Authorization does not begin with {expected} and a space; send it as {form}"


def _credentials_problem(credentials: str, expected: str) -> str | None:
    if not credentials:
        return f"nothing follows {expected} in Authorization"
    if scheme_of(credentials):
        return "Authorization has two schemes; send one"
    if credentials[0] == credentials[-1] and credentials[0] in "\"'":
        return f"what follows {expected} is in quotes; send it without them"
    return None
