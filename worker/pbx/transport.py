"""
One POST to a PBX, ending as a parsed reply or as an error that says whether anything was sent.

`requests` cannot tell by itself: its ConnectionError and SSLError cover both "never sent" and "sent, then cut".
So the connection notes when the first byte leaves. It repeats nothing, follows no redirect, uses no proxy, and
its error texts never carry the URL, for the token is in it.
"""

import contextlib
import json
import math
import socket
import threading
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import BadStatusLine
from typing import Any
from urllib.parse import quote, urlsplit

import requests
import structlog
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InsecureRequestWarning,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)

from worker import open_files, tls_peers, tls_problems, tracing
from worker.errors import (
    AttemptFailed,
    NeverTry,
    OutcomeUnknown,
    OutOfFiles,
    PbxDenies,
    PbxDown,
    PbxRefuses,
    TooLate,
)
from worker.final_reply import FinalReply, OnlyInterim
from worker.pbx.kept import KEEP_IDLE_S, KeptConnections
from worker.retry_after import retry_after_s
from worker.settings import LONGEST_ASKED_REST_S, PbxSettings
from worker.tls_peers import Peer
from worker.tls_problems import Cause

log = structlog.get_logger()

# A reply is some hundred bytes; the longest list of extensions stays far below.
_MOST_REPLY_BYTES = 4 * 1024 * 1024
_CONNECTIONS = 64
# For so long every request to a PBX has a connection of its own, once a reused one broke without a reply.
_DISTRUST_S = 3600.0
_REPLY_LOST = "reply_lost"
# One that asks for fewer requests and names no time gets this.
_LEAST_REST_S = 1.0
# Statuses that may be about the very call. All other 4xx are about who asks, or the address, form and size of any
# request (RFC 9110, section 15.5), so another call would meet them too.
_ABOUT_THE_CALL = (400, 409, 422)
_DENIED = (401, 403, 407)
# A TLS port closes a plain connection, or answers HTTP 400.
_IS_TLS = "its port speaks TLS; begin base_url with https://"
_MAYBE_TLS = "; if its port speaks TLS, begin base_url with https://"


@dataclass(frozen=True, slots=True)
class Begin:
    """When the first byte of a request may leave, in monotonic seconds; looked at when its connection stands."""

    not_before: float = 0.0
    by: float = math.inf

    def wait(self) -> None:
        """Wait for the time; raise `_TooLate` if it is over."""
        now = time.monotonic()
        if now > self.by:
            raise _TooLate
        if now < self.not_before:
            time.sleep(self.not_before - now)


AT_ONCE = Begin()


class _Exchange:
    """One request under way: whether a byte of it left, over which socket, and until when it may take."""

    def __init__(self, deadline: float, begin: Begin, *, may_reuse: bool) -> None:
        self.deadline = deadline
        self.begin = begin
        self.may_reuse = may_reuse
        self.is_reused = False
        self.sent = False
        self.socket: socket.socket | None = None


class _TooLate(OSError):
    """The time to begin was over before the first byte left."""


_current = threading.local()  # .exchange: the calling thread's


class _Noting:
    """Mixed into urllib3's connections: notes the first byte sent, and refuses to reuse what lay idle."""

    sock: socket.socket | None
    used_at = 0.0  # when its last exchange ended

    def connect(self) -> None:
        self.used_at = 0.0
        super().connect()  # type: ignore[misc]  # of the connection this is mixed into

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        exchange: _Exchange = _current.exchange
        if not exchange.sent:
            exchange.begin.wait()
        exchange.is_reused = self.used_at > 0
        exchange.socket = self.sock
        exchange.sent = True
        super().send(data)  # type: ignore[misc]  # of the connection this is mixed into

    @property
    def is_connected(self) -> bool:
        exchange: _Exchange = _current.exchange
        is_fresh = exchange.may_reuse and time.monotonic() - self.used_at < KEEP_IDLE_S
        return is_fresh and bool(super().is_connected)  # type: ignore[misc]  # of the connection this is mixed into


class _NotingHttp(_Noting, HTTPConnection):
    response_class = FinalReply


class _NotingHttps(_Noting, HTTPSConnection):
    response_class = FinalReply


class _NotingPool:
    """Mixed into urllib3's pools: notes the connections that come back."""

    def _put_conn(self, connection: Any) -> None:
        if connection is not None:
            connection.used_at = time.monotonic()
        super()._put_conn(connection)  # type: ignore[misc]  # of the pool this is mixed into
        if connection is not None:
            _kept.add(self)


class _HttpPool(_NotingPool, HTTPConnectionPool):
    ConnectionCls = _NotingHttp


class _HttpsPool(_NotingPool, HTTPSConnectionPool):
    ConnectionCls = _NotingHttps


class _Adapter(HTTPAdapter):
    """Requests' adapter with our connections, no repeats, and the pinned certificate if there is one."""

    def __init__(self, fingerprint: str | None) -> None:
        self._fingerprint = fingerprint
        super().__init__(pool_connections=1, pool_maxsize=_CONNECTIONS, max_retries=Retry(0, read=False))

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:  # noqa: FBT001, FBT002  requests' signature
        if self._fingerprint:
            kwargs["assert_fingerprint"] = self._fingerprint
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


class _Watch:
    """
    Cuts exchanges that outlive their deadline: a reply dripping in would renew any socket time-out for ever.

    One daemon thread for all of a process, looking four times a second at the few exchanges under way. It also
    closes the connections that lie idle.
    """

    _LOOK_S = 0.25

    def __init__(self) -> None:
        self._open: dict[int, _Exchange] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self, exchange: _Exchange) -> None:
        _current.exchange = exchange
        self._open[threading.get_ident()] = exchange  # one step under the GIL, as is the pop
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="reply-deadlines", daemon=True)
                    self._thread.start()

    def end(self) -> None:
        self._open.pop(threading.get_ident(), None)

    def _run(self) -> None:
        while True:
            time.sleep(self._LOOK_S)
            now = time.monotonic()
            for exchange in list(self._open.values()):
                if exchange.deadline < now and exchange.socket is not None:
                    # The plain socket's shutdown, also under TLS: it only wakes the reader with an end of file.
                    with contextlib.suppress(OSError):
                        socket.socket.shutdown(exchange.socket, socket.SHUT_RDWR)
            _kept.close_idle()


_kept = KeptConnections()
_watch = _Watch()


class Transport:
    """POSTs JSON to one PBX over kept connections; safe to share between threads."""

    def __init__(self, settings: PbxSettings) -> None:
        self._timeout = (settings.connect_timeout_s, settings.read_timeout_s)
        self._root = settings.base_url.rstrip("/")
        self._reuses_from = 0.0
        # What a trace shows of the address: the token stands behind it.
        place = urlsplit(self._root)
        self._place = {"http.request.method": "POST", "server.address": place.hostname or ""}
        pinned = settings.tls_fingerprint
        self._verify: bool | str = settings.tls_verify and not pinned
        if settings.ca_file:
            self._verify = str(settings.ca_file)
        # The adapter without a Session: no redirects, cookies, proxies or certificates from the environment to
        # be switched off one by one, and a third less CPU time.
        self._adapter = _Adapter(pinned.removeprefix("sha256:") if pinned else None)
        self._words = _Words(
            peer=tls_peers.pbx(has_ca=settings.ca_file is not None),
            is_tls=place.scheme == "https",
            is_pinned=pinned is not None,
        )
        if not self._verify:
            # Said once by `doctor`, which is where somebody can act on it.
            warnings.filterwarnings("ignore", category=InsecureRequestWarning)

    def post(
        self,
        path: str,
        body: Mapping[str, str] | None = None,
        *,
        token: str = "",
        begin: Begin = AT_ONCE,
    ) -> dict[str, Any]:
        """
        Send one request and return the JSON object of its reply.

        Args:
            path: Below `/api/`, such as `v1.0.0/login`.
            body: Flat JSON fields; None sends none.
            token: Goes into the query string, where the PBX wants it.
            begin: When its first byte may leave.

        Raises:
            PbxDown: Nothing was sent, or the PBX asked for fewer requests.
            OutOfFiles: The same, for this process may open no more files.
            TooLate: The same, for it was too late to begin.
            PbxRefuses: The PBX, or what stands before it, answered with a status that says nothing of this call.
            NeverTry: It answered with a status that does.
            OutcomeUnknown: The request was sent and no readable reply came.
        """
        with tracing.span(f"POST {path}", self._place | {"url.path": f"/api/{path}"}, kind="client"):
            return self._watched(path, body, token, begin)

    def _watched(self, path: str, body: Mapping[str, str] | None, token: str, begin: Begin) -> dict[str, Any]:
        now = time.monotonic()
        may_reuse = now >= self._reuses_from
        exchange = _Exchange(now + sum(self._timeout), begin, may_reuse=may_reuse)
        _watch.begin(exchange)
        try:
            return self._exchange(self._prepared(path, body, token), exchange)
        except (requests.RequestException, HTTPError, OSError) as error:
            # The cause's text may carry the token. Only a log-in has none: it is the first to use base_url.
            failure = self._words.translated(error, exchange, is_first=not token)
            if exchange.is_reused and failure.errno == _REPLY_LOST:
                self._distrust_connections()
            raise failure from None
        finally:
            _watch.end()

    def _distrust_connections(self) -> None:
        # The PBX seems to close idle connections without a word: a request over one is lost before it is read.
        self._reuses_from = time.monotonic() + _DISTRUST_S
        log.warning("connections_distrusted", seconds=_DISTRUST_S)

    def _prepared(self, path: str, body: Mapping[str, str] | None, token: str) -> requests.PreparedRequest:
        data = json.dumps(dict(body)).encode() if body is not None else b""
        request = requests.PreparedRequest()
        request.method = "POST"
        query = f"?token={quote(token, safe='')}" if token else ""
        request.url = f"{self._root}/api/{path}{query}"
        request.headers = CaseInsensitiveDict(
            {
                "Content-Type": "application/json",
                "Content-Length": str(len(data)),
                "Accept": "application/json",
                "User-Agent": "outdial",
            }
        )
        request.body = data
        return request

    def _exchange(self, request: requests.PreparedRequest, exchange: _Exchange) -> dict[str, Any]:
        with self._adapter.send(request, timeout=self._timeout, verify=self._verify, stream=True) as response:
            if response.status_code != 200:
                raise _of_status(response, is_tls=self._words.is_tls)
            content = response.raw.read(_MOST_REPLY_BYTES, decode_content=True)
            response.raw.drain_conn()
        if time.monotonic() > exchange.deadline:
            raise OutcomeUnknown("no_reply", "the PBX's reply took longer than the read time-out")
        return _object(content)


def _object(content: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(content)
    except (ValueError, RecursionError):
        reply = None
    if not isinstance(reply, dict):
        raise OutcomeUnknown("unreadable", "the PBX's reply was not a JSON object")
    return reply


def _of_status(response: requests.Response, *, is_tls: bool) -> AttemptFailed:
    """Return the error that an HTTP status other than 200 stands for; a request with a 3xx or 4xx rang nobody."""
    status = response.status_code
    errno = f"http_{status}"
    asked_s = retry_after_s(
        response.headers.get("Retry-After"), now=datetime.now(UTC), most_s=LONGEST_ASKED_REST_S
    )
    if status == 429:
        words = "the PBX asked for fewer requests (HTTP 429)"
        return PbxDown(errno, words, asked_rest_s=max(asked_s, _LEAST_REST_S))
    if 300 <= status < 400:
        words = f"the PBX answered with a redirect (HTTP {status}); set base_url to its final address"
        if not is_tls and response.headers.get("Location", "").lower().startswith("https:"):
            words = (
                f"the PBX redirects plain HTTP to TLS (HTTP {status}); set base_url to https:// and its TLS port"
            )
        return PbxRefuses(errno, words)
    if 400 <= status < 500 and status != 408:
        hint = _MAYBE_TLS if status == 400 and not is_tls else ""
        words = f"the PBX refused the request (HTTP {status}); check base_url and api{hint}"
        if status in _ABOUT_THE_CALL:
            return NeverTry(errno, words)
        kind = PbxDenies if status in _DENIED else PbxRefuses
        return kind(errno, words, asked_rest_s=asked_s)
    words = f"the PBX answered with HTTP {status} and not with a result"
    return OutcomeUnknown(errno, words, asked_rest_s=asked_s)


def _is_tls_alert(error: BaseException) -> bool:
    """Whether a port answered a plain request by a TLS alert (RFC 8446, section 5.1: type 21, version 3)."""
    return isinstance(error, BadStatusLine) and str(error).startswith("\x15\x03")


@dataclass(frozen=True, slots=True)
class _Words:
    """Turns a library's error at one PBX into ours, which says whether the phone may have rung."""

    peer: Peer
    is_tls: bool
    is_pinned: bool

    def translated(self, error: Exception, exchange: _Exchange, *, is_first: bool) -> AttemptFailed:
        if not exchange.sent:
            return self._unsent(error, exchange)
        if tls_problems.cause_of(error, in_handshake=False) is Cause.CLIENT_WANTED:
            # With TLS 1.3 the alert follows our part of the handshake. The PBX asks before it handles a request.
            return PbxDown("unreachable", f"the PBX could not be reached: {self._of_tls(error, stood=False)}")
        if isinstance(error, requests.Timeout | TimeoutError) or time.monotonic() > exchange.deadline:
            return OutcomeUnknown("no_reply", "the PBX did not answer within the read time-out")
        if any(isinstance(link, OnlyInterim) for link in tls_problems.links(error)):
            return OutcomeUnknown("no_reply", "the PBX sent interim replies (HTTP 1xx) without end, and no result")
        if not self.is_tls and any(map(_is_tls_alert, tls_problems.links(error))):
            # What it read was no TLS to it, so it handled nothing.
            return PbxDown("unreachable", f"the PBX could not be reached: {_IS_TLS}")
        hint = _MAYBE_TLS if is_first and not self.is_tls else ""
        return OutcomeUnknown(_REPLY_LOST, f"the connection broke before the PBX's reply came{hint}")

    def _unsent(self, error: Exception, exchange: _Exchange) -> AttemptFailed:
        if time.monotonic() > exchange.begin.by:
            return TooLate("too_late", "the connection stood too late to dial within the attempt's deadline")
        if open_files.are_used_up(tls_problems.links(error)):
            return OutOfFiles("out_of_files", "this worker may open no more files; raise its limit (ulimit -n)")
        return PbxDown("unreachable", f"the PBX could not be reached: {self._before(error)}")

    def _before(self, error: Exception) -> str:
        """Return what went wrong before anything was sent, by classes: the errors' texts may hold the URL."""
        chain = list(tls_problems.links(error))
        for kinds, words in (
            ((NameResolutionError, socket.gaierror), "its name is not known"),
            ((ConnectionRefusedError,), "connection refused"),
            ((requests.ConnectTimeout, ConnectTimeoutError), "connect time-out"),
        ):
            if any(isinstance(link, kinds) for link in chain):
                return words
        stood = not any(isinstance(link, NewConnectionError) for link in chain)
        return (self.is_tls and self._of_tls(error, stood=stood)) or "no connection"

    def _of_tls(self, error: Exception, *, stood: bool) -> str:
        chain = list(tls_problems.links(error))
        # urllib3 compares the fingerprint itself, and has no class of its own for another one.
        if self.is_pinned and isinstance(chain[-1], SSLError):
            return tls_problems.sentence(Cause.FINGERPRINT, self.peer)
        return tls_problems.tls_problem(error, self.peer, in_handshake=stood)
