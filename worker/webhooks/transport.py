"""
One call to somebody's endpoint: to an address that was looked at, within a deadline, and nothing else.

The name is resolved once, and the connection goes to the very address that was judged, so a name that changes in
between changes nothing. TLS proves the name all the same. No redirect is followed, no proxy of the environment is
used, and the error texts hold neither the URL nor what was sent or came back.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from worker import tls_peers, tls_problems
from worker.final_reply import FinalReply, OnlyInterim
from worker.tls_peers import Peer
from worker.tls_problems import Cause
from worker.webhooks.addresses import NotResolved, Resolve, may_be_called, resolve
from worker.webhooks.calls import Call
from worker.webhooks.endpoints import EndpointSettings, Route, problem_of

CONNECT_S = 5.0
# An endpoint has nothing to say but its status. So much of the rest is read, so that it sees its answer taken.
_MOST_BYTES, _REST_S = 65_536, 1.0
# Ours to write; two of one are read differently by different servers.
_OURS = frozenset({"host", "connection", "content-length", "transfer-encoding"})
# Of a name with many addresses, so many are tried.
_MOST_ADDRESSES = 4


@dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint answered: its HTTP status, and the `Retry-After` header as it came, if it did."""

    status: int
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class NoReply:
    """No answer: *error* says why in one sentence that holds no address, number or secret."""

    error: str


class _Place(NamedTuple):
    is_tls: bool
    host: str
    port: int
    target: str
    host_header: str


class Transport:
    """
    Carries out calls; safe to share between threads.

    Args:
        resolve: How names become addresses; the system's way unless a test has another.
    """

    def __init__(self, *, resolve: Resolve = resolve) -> None:
        self._resolve = resolve

    def send(self, call: Call, route: Route, *, ports: Sequence[int] | None = None) -> Reply | NoReply:
        """
        Make one call and return what came back; raises nothing for whatever the other side does.

        Args:
            call: What to send, and where.
            route: How far and how long it may go.
            ports: Those allowed besides 443 (80 for http); None allows the URL's own, which the operator wrote.
        """
        if problem := problem_of(call.url, allow_http=route.allow_http):
            return NoReply(f"its url {problem}")
        place = _place_of(call.url)
        if ports is not None and place.port not in (443 if place.is_tls else 80, *ports):
            return NoReply("its port is not 443, nor one written in the settings")
        deadline = time.monotonic() + route.timeout_s
        try:
            with _cut_at(deadline) as cut:
                return self._exchange(call, place, route, deadline, cut)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= deadline:
                if isinstance(error, _TlsFailed):
                    return NoReply(tls_problems.sentence(Cause.TIMED_OUT, _peer(route)))
                return NoReply(f"it did not answer within {route.timeout_s:g} s")
            return NoReply(_words(error, place, route))

    def _exchange(self, call: Call, place: _Place, route: Route, deadline: float, cut: "_Cut") -> Reply | NoReply:
        addresses = self._resolve(place.host, place.port, min(CONNECT_S, deadline - time.monotonic()))
        if not all(may_be_called(address, route.allow_networks) for address in addresses):
            return NoReply(
                "its name leads to an address that is not public; allow_networks lets calls go to your own network"
            )
        connection = http.client.HTTPConnection(place.host, place.port)
        connection.response_class = FinalReply
        try:
            connection.sock = own = _connected(addresses[:_MOST_ADDRESSES], place, route, deadline, cut)
            headers = {name: value for name, value in call.headers.items() if name.lower() not in _OURS}
            headers |= {"Host": place.host_header, "Connection": "close"}
            connection.request(call.method, place.target, call.body, headers)
            with connection.getresponse() as response:
                if time.monotonic() >= deadline:  # cut off in the middle of the headers
                    raise TimeoutError
                _take_the_rest(response, own, deadline)
                return Reply(response.status, response.getheader("Retry-After"))
        finally:
            connection.close()


class _Cut:
    """Ends an exchange from outside, whatever it waits for: every byte that drips in would renew its time-out."""

    def __init__(self) -> None:
        self._handle: socket.socket | None = None
        self._lock = threading.Lock()
        self._is_late = False

    def watch(self, connected: socket.socket) -> None:
        # A duplicate: TLS takes the socket's own handle away from it.
        with self._lock:
            self.forget()
            self._handle = connected.dup()
        if self._is_late:
            self.now()

    def now(self) -> None:
        with self._lock:
            self._is_late = True
            if self._handle is not None:
                with contextlib.suppress(OSError):
                    self._handle.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


@contextlib.contextmanager
def _cut_at(deadline: float) -> Iterator[_Cut]:
    cut = _Cut()
    timer = threading.Timer(max(0.0, deadline - time.monotonic()), cut.now)
    timer.daemon = True
    timer.start()
    try:
        yield cut
    finally:
        timer.cancel()
        timer.join()
        cut.forget()


def _place_of(url: str) -> _Place:
    parts = urlsplit(url)
    is_tls = parts.scheme == "https"
    host = (parts.hostname or "").rstrip(".")
    written = f"[{host}]" if ":" in host else host
    port = parts.port or (443 if is_tls else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Place(is_tls, host, port, target, written if parts.port is None else f"{written}:{port}")


def _connected(addresses: Sequence[str], place: _Place, route: Route, deadline: float, cut: _Cut) -> socket.socket:
    plain = _first_that_answers(addresses, place.port, deadline)
    try:
        cut.watch(plain)
        plain.settimeout(max(0.01, deadline - time.monotonic()))
        if not place.is_tls:
            return plain
        return _secured(plain, place, route)
    except BaseException:
        plain.close()
        raise


class _TlsFailed(OSError):
    """The handshake failed; the text is the sentence for the operator."""


def _secured(plain: socket.socket, place: _Place, route: Route) -> socket.socket:
    try:
        # Closes the plain one itself where it fails.
        return _context(route.ca_file).wrap_socket(plain, server_hostname=place.host)
    except OSError as error:
        problem = tls_problems.tls_problem(error, _peer(route), in_handshake=True)
        raise _TlsFailed(problem or "no connection") from error


def _peer(route: Route) -> Peer:
    # The address of a source's CRM is a setting of its own in each kind of source.
    address = "url" if isinstance(route, EndpointSettings) else "its address"
    return tls_peers.endpoint(has_ca=route.ca_file is not None, address=address)


def _take_the_rest(response: http.client.HTTPResponse, own: socket.socket, deadline: float) -> None:
    """Read what comes at once; the status is known, so whatever goes wrong here changes nothing."""
    until, left = min(deadline, time.monotonic() + _REST_S), _MOST_BYTES
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        while left > 0 and (wait_s := until - time.monotonic()) > 0:
            own.settimeout(wait_s)
            chunk = response.read1(left)
            if not chunk:
                return
            left -= len(chunk)


def _first_that_answers(addresses: Sequence[str], port: int, deadline: float) -> socket.socket:
    failure: OSError = NotResolved("its name is not known")
    for address in addresses:
        try:
            within_s = max(0.01, min(CONNECT_S, deadline - time.monotonic()))
            return socket.create_connection((address, port), timeout=within_s)
        except OSError as error:
            failure = error
    raise failure


@lru_cache(maxsize=64)
def _context(ca_file: Path | None) -> ssl.SSLContext:
    if ca_file is not None:
        return ssl.create_default_context(cafile=str(ca_file))
    # The system's authorities, and those a slim system lacks.
    context = ssl.create_default_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context


def _words(error: Exception, place: _Place, route: Route) -> str:
    """Return what went wrong by the error's class; its text may hold what was sent."""
    for kinds, words in (
        ((NotResolved, _TlsFailed), str(error)),
        ((ConnectionRefusedError,), "connection refused; check its port, and whether the server runs"),
        ((TimeoutError,), "connect time-out; check its address, and the firewalls on the way"),
        ((OnlyInterim,), "it sent interim answers (HTTP 1xx) without end, and no final one; see the server's log"),
        ((http.client.HTTPException, ConnectionError, ssl.SSLError), _broken(error, place, route)),
        ((ValueError, UnicodeError), "the call cannot be written as HTTP; look at the headers in the settings"),
    ):
        if isinstance(error, kinds):
            return words
    return "no connection"


def _broken(error: Exception, place: _Place, route: Route) -> str:
    broken = "the connection broke before its answer was there"
    if not place.is_tls:
        return f"{broken}; if its port speaks TLS, begin {_peer(route).address} with https://"
    # With TLS 1.3 a server may ask for a client certificate after our part of the handshake.
    return tls_problems.tls_problem(error, _peer(route), in_handshake=False) or broken
