"""A TCP proxy for fault tests: passes bytes on between clients and one server, until told to do worse."""

import queue
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Self

from ops.ports import reserve_port

_CHUNK = 65_536
# What one side does not take is left in the other's kernel buffer beyond this, as without a proxy.
_MOST_UNSENT = 4 * _CHUNK
_CONNECT_S = 2.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER, on, 0 s: close(2) sends RST


class _Mode(Enum):
    THROUGH = "everything goes through"
    HELD = "nothing goes through, nothing is lost"
    REPLIES_LOST = "what the server says is lost"
    ALL_LOST = "what either side says is lost"


class _Way:
    """One direction of one connection."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.unsent = bytearray()
        self.ended = False
        # TCP never loses bytes and then goes on, so whatever lost one stays lost.
        self.is_lost = False


class _Line:
    """One client's connection and the one to the server that belongs to it."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.requests = _Way(client, server)
        self.replies = _Way(server, client)
        self.sockets = (client, server)
        self.awaits_loss = False

    def way_from(self, end: socket.socket) -> _Way:
        return self.requests if end is self.requests.source else self.replies

    def way_to(self, end: socket.socket) -> _Way:
        return self.replies if end is self.requests.source else self.requests


class TcpProxy:
    """
    A proxy on a free loopback port in front of one server; bytes are opaque, so TLS passes through.

        with TcpProxy("127.0.0.1", 6379) as proxy:
            ...  # connect to 127.0.0.1:proxy.port
            proxy.swallow_replies()

    Every method has taken effect when it returns. Faults that lose bytes hold for connections open now and for new
    ones until `pass_on`; a connection that did lose something stays deaf in that direction, its end included, as
    behind a firewall that forgot it. The server's side of such a connection stays open until `cut` or `close`.

    Args:
        host: Where the server is.
        port: The server's.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._mode = _Mode.THROUGH
        self._lines: set[_Line] = set()
        self._losses_wanted = 0
        self._loss_marker = b""
        self._selector = selectors.DefaultSelector()
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._bell, self._ear = socket.socketpair()
        self._ear.settimeout(0)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._listener: socket.socket | None = None
        self._running = True
        # Where clients connect; the same for as long as this object lives, also while it refuses them.
        self.port = reserve_port()
        # Replies lost by `lose_next_reply`.
        self.lost_replies = 0
        self._listen()
        self._thread = threading.Thread(target=self._run, name="tcp-proxy", daemon=True)
        self._thread.start()

    # --- faults ----------------------------------------------------------------------------------------------

    def pass_on(self) -> None:
        """Be a good proxy again: undoes every fault but what was already lost."""
        self._order(self._set, _Mode.THROUGH)

    def hold(self) -> None:
        """Pass nothing on and lose nothing: with `pass_on` it all arrives, late."""
        self._order(self._set, _Mode.HELD)

    def swallow_replies(self) -> None:
        """Let requests through and lose every reply; connections stay open."""
        self._order(self._set, _Mode.REPLIES_LOST)

    def swallow_all(self) -> None:
        """Lose everything in both directions; connections stay open, new ones are accepted."""
        self._order(self._set, _Mode.ALL_LOST)

    def refuse(self) -> None:
        """Refuse new connections (nobody listens) until `pass_on`; those open go on."""
        self._order(self._deafen)

    def cut(self) -> None:
        """Reset every connection, at both ends; new ones are taken."""
        self._order(self._cut)

    def lose_next_reply(self, *, times: int = 1, to: bytes = b"") -> None:
        """
        Let the next request through and, once the server begins to answer it, reset the client's connection.

        So the server certainly did what was asked, and the client cannot know. `lost_replies` counts.

        Args:
            times: So many replies, on whatever connections.
            to: Only requests with these bytes in one piece (64 KiB at most); any request if empty. Says nothing
                useful about TLS.
        """
        self._order(self._want_losses, times, to)

    def connections(self) -> int:
        """Return how many connections are open through the proxy, deaf ones included."""
        return len(self._lines)

    def deaf(self) -> int:
        """Return how many of the open connections have lost something, in either direction."""
        return sum(line.requests.is_lost or line.replies.is_lost for line in tuple(self._lines))

    def close(self) -> None:
        """Reset every connection and stop."""
        if self._running:
            self._order(self._end)
            self._thread.join()
            self._bell.close()
            self._ear.close()
            self._selector.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- the caller's side of an order -------------------------------------------------------------------------

    def _order(self, act: Callable[..., None], *args: object) -> None:
        done = threading.Event()

        def carry_out() -> None:
            try:
                act(*args)
            finally:
                done.set()

        self._orders.put(carry_out)
        self._bell.send(b"!")
        assert done.wait(10), "the proxy's thread is stuck"

    # --- the proxy's own thread: only it touches lines and listener ---------------------------------------------

    def _run(self) -> None:
        while self._running:
            for key, events in self._selector.select():
                if key.fileobj is self._ear:
                    self._ear.recv(_CHUNK)
                    while not self._orders.empty():
                        self._orders.get()()
                elif key.fileobj is self._listener:
                    self._accept()
                elif key.data in self._lines:  # else it ended while an earlier event was served
                    self._serve(key.data, key.fileobj, events)

    def _serve(self, line: _Line, end: object, events: int) -> None:
        assert isinstance(end, socket.socket)
        try:
            if events & selectors.EVENT_WRITE:
                self._send(line.way_to(end))
            if events & selectors.EVENT_READ:
                self._receive(line, line.way_from(end))
        except BlockingIOError:
            pass
        except OSError:
            self._broke(line, end)
        if line in self._lines:
            self._finish_or_watch(line)

    def _receive(self, line: _Line, way: _Way) -> None:
        if way.source.fileno() < 0:
            return
        data = way.source.recv(_CHUNK)
        if self._loses(line, way):
            way.is_lost = True
            way.ended = not data
        elif not data:
            way.ended = True
        elif way is line.replies and line.awaits_loss:
            self.lost_replies += 1
            self._drop(line)
        else:
            if way is line.requests and self._losses_wanted and self._loss_marker in data:
                self._losses_wanted -= 1
                line.awaits_loss = True
            way.unsent += data

    def _loses(self, line: _Line, way: _Way) -> bool:
        swallowed = self._mode is _Mode.ALL_LOST or (self._mode is _Mode.REPLIES_LOST and way is line.replies)
        return swallowed or way.is_lost

    @staticmethod
    def _send(way: _Way) -> None:
        if way.unsent:
            del way.unsent[: way.sink.send(way.unsent)]

    def _broke(self, line: _Line, end: socket.socket) -> None:
        """One end was reset: so is the other, unless it cannot hear of it."""
        way = line.way_from(end)
        if not self._loses(line, way):
            self._drop(line)
            return
        way.is_lost = way.ended = True
        line.way_to(end).is_lost = True
        line.way_to(end).unsent.clear()

    def _finish_or_watch(self, line: _Line) -> None:
        for way in (line.requests, line.replies):
            if way.ended and not way.unsent and not way.is_lost:
                with suppress(OSError):  # gone already
                    way.sink.shutdown(socket.SHUT_WR)
        if line.requests.ended and line.replies.ended and not line.requests.unsent and not line.replies.unsent:
            self._drop(line, reset=False)
            return
        for end in line.sockets:
            self._watch(line, end)

    def _watch(self, line: _Line, end: socket.socket) -> None:
        events = 0
        source, sink = line.way_from(end), line.way_to(end)
        if self._mode is not _Mode.HELD:
            if not source.ended and len(source.unsent) < _MOST_UNSENT:
                events |= selectors.EVENT_READ
            if sink.unsent:
                events |= selectors.EVENT_WRITE
        known = self._selector.get_map().get(end)
        if known and not events:
            self._selector.unregister(end)
        elif known:
            self._selector.modify(end, events, line)
        elif events:
            self._selector.register(end, events, line)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            client, _ = self._listener.accept()
        except OSError:  # gone before we looked
            return
        try:
            server = socket.create_connection(self._server, timeout=_CONNECT_S)
        except OSError:
            _reset(client)
            return
        for end in (client, server):
            end.settimeout(0)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = _Line(client, server)
        self._lines.add(line)
        self._finish_or_watch(line)

    def _drop(self, line: _Line, *, reset: bool = True) -> None:
        self._lines.discard(line)
        for end in line.sockets:
            if end in self._selector.get_map():
                self._selector.unregister(end)
            if reset:
                _reset(end)
            else:
                end.close()

    def _set(self, mode: _Mode) -> None:
        self._mode = mode
        if mode is _Mode.THROUGH:
            self._losses_wanted = 0
            self._listen()
        for line in list(self._lines):
            self._finish_or_watch(line)

    def _listen(self) -> None:
        if self._listener is not None:
            return
        listener = socket.socket()
        # The port must be ours again after `refuse`, while old connections on it linger.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        listener.settimeout(0)
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ)

    def _deafen(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _cut(self) -> None:
        for line in list(self._lines):
            self._drop(line)

    def _want_losses(self, times: int, to: bytes) -> None:
        self._losses_wanted, self._loss_marker = times, to

    def _end(self) -> None:
        self._deafen()
        self._cut()
        self._running = False


def _reset(end: socket.socket) -> None:
    """Close with RST, as a dead peer's kernel or a firewall would."""
    with suppress(OSError):  # reset by its peer already
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    end.close()
