"""
One connection of the intake: bounded in what it may bring, and in how long it may take for it.

uvicorn bounds neither the head of a request nor the time it takes, nor the time a client takes to read its
answer; and it closes a connection while a body is on its way, whereupon the client's system throws the answer
away unread.
"""

import socket
import time
from http import HTTPStatus
from typing import Any, ClassVar

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from producers.api.patience import Course, Patience, Verdict, verdict
from producers.api.problems import Problem, unavailable

log = structlog.get_logger()

# A client that is gone without a word is noticed after a minute; some systems lack some of these options.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


class Connection(HttpToolsProtocol):
    """
    uvicorn's connection, within `patience`; its server calls `look` a few times a second.

    Instead of one timer for each connection, for most of them would be set and taken back with every request.
    """

    patience: ClassVar[Patience] = Patience()

    def connection_made(self, transport: Any) -> None:
        """Begin, unless there are too many."""
        self._socket = transport
        self._course = Course(head_since=time.monotonic())
        self._is_in_head = self._is_in_message = self._is_deaf = self._is_upgrading = False
        self._head_bytes = self._rest_bytes = self._brought = 0
        self._wrong: Problem | None = None
        _notice_the_gone(transport.get_extra_info("socket"))
        super().connection_made(_Ending(transport, self))  # type: ignore[arg-type]  # it is one, but for `close`
        if len(self.connections) > self.patience.connections:
            self._refuse(unavailable("there are too many connections; try again in a moment"))

    def data_received(self, data: bytes) -> None:
        """Read on; of a request that was answered already only so much."""
        if self._course.rest_since is not None:
            self._course.rest_at = time.monotonic()
            self._rest_bytes += len(data)
            if self._rest_bytes > self.patience.rest_bytes:
                self._socket.close()
                return
        if self._is_deaf:
            return
        self._parse(data)
        if self._is_in_head and not self._is_deaf:
            # What has no end yet was told to nobody, and is kept by the parser.
            self._brought += len(data)
            if self._brought > self.patience.head_bytes:
                self._refuse(_HEAD_TOO_LONG)

    def _parse(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self.parser.get_method() == b"CONNECT":
                # What follows is meant for the other end of a tunnel that there is not: answer, and close.
                self._is_deaf, self.cycle.keep_alive = True, False
                return
            head, self._is_upgrading = self._head_without_upgrade(), False
            self.parser = httptools.HttpRequestParser(self)
            self._parse(head + data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        kept = [(name, value) for name, value in self.headers if name not in _OF_UPGRADES]
        lines = [name + b": " + value + b"\r\n" for name, value in kept]
        return b"".join([self.parser.get_method(), b" ", self.url, b" HTTP/", version, b"\r\n", *lines, b"\r\n"])

    def on_message_begin(self) -> None:
        """Take the first byte of a request."""
        if self._course.is_ending or len(self.pipeline) >= self.patience.requests:
            self._wrong = _TOO_MANY
            raise _Unfit
        self._is_in_head = self._is_in_message = True
        self._head_bytes = self._brought = self._fields = 0
        if self._course.head_since is None:
            self._course.head_since = time.monotonic()
        self._course.idle_since = None
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        super().on_url(url)
        if len(self.url) > self.patience.url_bytes:
            self._wrong = _URL_TOO_LONG
            raise _Unfit
        self._head_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field; trailers are of no use to anybody and are left out."""
        self._fields += 1
        self._head_bytes += len(name) + len(value)
        if self._fields > self.patience.fields or self._head_bytes > self.patience.head_bytes:
            self._wrong = _HEAD_TOO_LONG
            raise _Unfit
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """
        Begin to serve the request.

        An upgrade is not followed, as RFC 9110 (7.8) allows. Java's HTTP client asks for one with every request to
        an http:// address. The parser would take the body for the other protocol, so it is given the head again.
        """
        self._is_upgrading = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if self._is_upgrading:
            return
        self._is_in_head = False
        self._course.head_since = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Take the end of the body."""
        if self._is_upgrading:
            return
        self._is_in_message = False
        self._course.rest_since = None
        super().on_message_complete()
        if self._course.is_ending:
            self._socket.close()
        elif self.cycle.response_complete:
            self._course.idle_since = time.monotonic()

    def on_response_complete(self) -> None:
        """Wait for the next request, or first for the rest of this one."""
        if self._course.is_ending:
            self.pipeline.clear()
        super().on_response_complete()
        if self._course.is_ending or self._socket.is_closing():
            return
        if not self._is_in_message:
            self._course.idle_since = time.monotonic()
        elif not self._is_in_head and self.cycle.response_complete:
            self._await_rest()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        """Answer what cannot be read."""
        self._refuse(self._wrong or _UNREADABLE)

    def shutdown(self) -> None:
        """Let the request under way end, and wait for nothing else."""
        super().shutdown()
        if self._course.rest_since is not None or self._course.is_ending:
            self._socket.close()

    def look(self, now: float) -> None:
        """
        Do what is due.

        Args:
            now: By `time.monotonic`.
        """
        is_unread = self._socket.get_write_buffer_size() > 0
        self._course.unread_since = (self._course.unread_since or now) if is_unread else None
        match verdict(self._course, now, self.patience):
            case Verdict.CUT:
                self._socket.abort()
            case Verdict.CLOSE:
                self._socket.close()
            case Verdict.TELL if self._is_in_head:
                self._refuse(_TOO_SLOW)
            case Verdict.TELL:  # nothing came at all
                self._socket.close()

    def resume_writing(self) -> None:
        """Note that the client reads: little is left of what was much."""
        self._course.unread_since = None
        super().resume_writing()

    def end(self) -> None:
        """
        Serve no further request, and close when what was answered can be read.

        A connection that is closed while something is on its way is reset, and with it goes the answer.
        """
        if self._socket.is_closing():
            return
        self._course.is_ending = True
        if self._is_in_message:
            self._await_rest()
        else:
            self._socket.close()

    def _await_rest(self) -> None:
        if self._course.rest_since is None:
            self._course.rest_since = self._course.rest_at = time.monotonic()
            self._course.head_since = None
            self._rest_bytes = 0
            self.flow.resume_reading()

    def _refuse(self, problem: Problem) -> None:
        """Answer in the place of the application, which hears that its client is gone."""
        self._is_deaf = self._is_in_message = True
        if self._is_being_answered():
            self._socket.close()  # another answer in the midst of one would be read as part of it
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        log.info("request", method="", route="none", status=problem.status, key="")
        self._socket.write(self._raw(problem))
        self.end()

    def _is_being_answered(self) -> bool:
        if self.pipeline or self._course.is_ending:
            return True
        if self.cycle is None or self.cycle.response_complete:
            return False
        return self.cycle.response_started or self._is_in_head

    def _raw(self, problem: Problem) -> bytes:
        response = problem.response()
        headers = [*self.server_state.default_headers, *response.raw_headers, (b"connection", b"close")]
        lines = [name + b": " + value + b"\r\n" for name, value in headers]
        return b"".join([STATUS_LINE[problem.status], *lines, b"\r\n", bytes(response.body)])


def within(patience: Patience) -> type[Connection]:
    """Return the kind of connection that has some patience."""
    return type("Connection", (Connection,), {"patience": patience})


class _Unfit(Exception):
    """What the parser was told is not served; the parser makes an error of its own of it."""


class _Ending:
    """A transport whose `close` is the connection's `end`: uvicorn closes in many places."""

    def __init__(self, transport: Any, connection: Connection) -> None:
        self._transport = transport
        self.close = connection.end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _notice_the_gone(tcp: Any) -> None:
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if (option := getattr(socket, name, None)) is not None:
            tcp.setsockopt(socket.IPPROTO_TCP, option, value)


_OF_UPGRADES = {b"upgrade", b"connection", b"http2-settings"}
_UNREADABLE = Problem(HTTPStatus.BAD_REQUEST, "this is no HTTP/1.1 request that can be read")
_TOO_SLOW = Problem(HTTPStatus.REQUEST_TIMEOUT, "the head of the request did not come in time")
_TOO_MANY = Problem(HTTPStatus.BAD_REQUEST, "too many requests came before the first was answered")
_URL_TOO_LONG = Problem(HTTPStatus.REQUEST_URI_TOO_LONG, "the URL is longer than 8 KiB")
_HEAD_TOO_LONG = Problem(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "there are more than 100 header fields, or they are longer than 32 KiB in all",
)
