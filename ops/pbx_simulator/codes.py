"""
The error codes this PBX answers with, and the exception that carries one.

Source: the error table and the dial page of the vendor's S-Series API guide v1.0.x.
"""

from __future__ import annotations

from typing import Final

UNSUPPORTED_REQUEST: Final = "10003"
PARAMETER_BLANK: Final = "10004"
NO_SUCH_EXTENSION: Final = "10006"
NO_SUCH_CALL: Final = "10007"
# What v2.0.0 answers for a callid that is not alive.
NO_SUCH_CALLID: Final = "10005"
# Spelled as the dial page prints it; the error table says 10024.
NO_OUTBOUND: Final = "100024"
NOT_JSON: Final = "20000"
NOT_POST: Final = "20001"
LOGIN_LOCKED: Final = "20002"
WRONG_PASSWORD: Final = "20003"
NO_SUCH_TOKEN: Final = "20004"
TOKEN_BLANK: Final = "20005"
TOKEN_TIMED_OUT: Final = "20006"
WRONG_PORT: Final = "20008"
BODY_BLANK: Final = "20009"


class Refusal(Exception):
    """The PBX answers Failed; `errno` is its code, a string of digits."""

    def __init__(self, errno: str) -> None:
        super().__init__(errno)
        self.errno = errno
