"""HTTP replies read past interim ones (1xx), of which Python's http.client skips only 100."""

import http.client
from typing import BinaryIO

# More than any server sends, and few enough to bound the work.
_MOST_INTERIM = 100
_MOST_BYTES = 256 * 1024


class OnlyInterim(http.client.HTTPException):
    """The server sent more interim replies than allowed, and no final one."""


class FinalReply(http.client.HTTPResponse):
    """
    The final reply to a request, read past any interim replies (100, 102, 103 and every other 1xx).

    For `response_class` of a connection of http.client or urllib3.

    Source: RFC 9110, section 15.2: a client reads past 1xx responses, also where it does not expect any.
    """

    def begin(self) -> None:
        """Read status and headers; raise `http.client.RemoteDisconnected` where they are cut off."""
        stream = self.fp
        self.fp = _Endless(stream)  # type: ignore[assignment]
        try:
            super().begin()
        finally:
            if self.fp is not None:  # it is closed where the reply is no HTTP
                self.fp = stream

    def _read_status(self) -> tuple[str, int, str]:
        # `begin` calls this for every status line and reads the headers of a final one itself.
        left = _MOST_BYTES
        for _ in range(_MOST_INTERIM + 1):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # private, and the same since 2.0
            if status >= 200:
                return version, status, reason
            left -= len(reason) + self._skip_headers(left)
        raise OnlyInterim

    def _skip_headers(self, left: int) -> int:
        """Read the headers of an interim reply and return their length in bytes, at most *left*."""
        taken = 0
        while taken < left:
            line = self.fp.readline(left - taken)
            taken += len(line)
            if line in (b"\r\n", b"\n", b""):
                return taken
        raise OnlyInterim


class _Endless:
    """A stream whose end is an error: http.client takes headers that were cut off for whole ones."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.close = stream.close

    def readline(self, limit: int = -1) -> bytes:
        line = self._stream.readline(limit)
        if not line:
            raise http.client.RemoteDisconnected("the connection ended before the headers did")
        return line
