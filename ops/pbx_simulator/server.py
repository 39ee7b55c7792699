"""The PBX on the network: listening, handing requests over, going down and coming back."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import structlog
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from ops.pbx_simulator.control import CONTROL_ROUTES
from ops.pbx_simulator.events import EventPusher, EventWording
from ops.pbx_simulator.faults import FaultBook
from ops.pbx_simulator.journal import Hit, Journal
from ops.pbx_simulator.misbehaviour import Exchange, finish_json, reset
from ops.pbx_simulator.options import SimulatorOptions
from ops.pbx_simulator.pbx import ApiRequest, Pbx, parse_request
from ops.pbx_simulator.resources import DIAL
from ops.pbx_simulator.sessions import Sessions
from ops.pbx_simulator.switchboard import Switchboard
from ops.ports import reserve_port

if TYPE_CHECKING:
    from pathlib import Path

    from ops.pbx_simulator.certificate import Certificate

log = structlog.get_logger()

# Far above any request of this API, far below what could fill memory.
LARGEST_BODY_BYTES = 256 * 1024
# A port that was named, and not reserved, may be taken while it is down; waiting beats dying in a chaos run.
REOPEN_REST_S = 0.2
LOOPBACK = "127.0.0.1"


class ListenError(Exception):
    """The simulator cannot listen where it was told to; the message says what to change."""


def _certificate(folder: Path, host: str) -> Certificate:
    # Over plain HTTP the simulator runs where `cryptography` is not installed, such as in the container image.
    from ops.pbx_simulator.certificate import keep_certificate  # noqa: PLC0415

    return keep_certificate(folder, host=host)


class Simulator:
    """
    One running PBX.

    Args:
        options: As given at start.

    Attributes:
        roll: Returns a number in [0, 1).
        requests: Requests by resource name.
        restarts: How often it went down and came back.

    Raises:
        OSError: If the journal or the certificate cannot be written.
    """

    def __init__(self, options: SimulatorOptions) -> None:
        self.options = options
        self.roll = random.Random(options.seed).random
        self.faults = FaultBook(list(options.faults), roll=self.roll)
        self.pusher = EventPusher(options.events_to)
        self.journal = Journal(options.journal)
        self.hits = Journal(options.hits) if options.hits else None
        self.certificate: Certificate | None = (
            _certificate(options.cert_dir, options.host) if options.cert_dir else None
        )
        self.pbx = self._build_pbx()
        self.requests: Counter[str] = Counter()
        self.dials_in_flight = 0
        self.dials_in_flight_max = 0
        self.restarts = 0
        # While the simulator is down, no other process may get the port: clients would reach that one.
        self.port = options.port or (reserve_port() if options.host == LOOPBACK else 0)
        self._tls = self.certificate.server_context() if self.certificate else None
        self._server: PbxServer | None = None
        self._coming_back: asyncio.Task[None] | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._wake_due = float("inf")

    def open(self) -> None:
        """
        Start to listen; the first time this settles the port if it was 0.

        Raises:
            ListenError: If the address or port is not to be had.
        """
        options = self.options
        try:
            sockets = bind_sockets(self.port, address=options.host, backlog=1024)
        except OSError as exc:
            reason = exc.strerror or str(exc)
            raise ListenError(
                f"--port: cannot listen on {options.host} port {self.port} ({reason}); use a free port, "
                f"or 0 to have one picked, and for --host an address of this machine"
            ) from exc
        self.port = sockets[0].getsockname()[1]
        application = Application(
            [(r"/api/([^/]+)/(.+)", ApiHandler, {"simulator": self})]
            + [(path, handler, {"simulator": self}) for path, handler in CONTROL_ROUTES],
            # Tornado's own access log would write tokens: they ride in the query string.
            log_function=lambda handler: None,
        )
        self._server = PbxServer(
            application,
            ssl_options=self._tls,
            no_keep_alive=not options.keep_alive,
            max_body_size=LARGEST_BODY_BYTES,
        )
        self._server.add_sockets(sockets)

    def base_url(self) -> str:
        """Return the address for clients on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.options.host, self.options.host)
        scheme = "https" if self._tls else "http"
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"

    def answer(self, request: ApiRequest) -> dict[str, object]:
        """Let *request* take effect and return the body of its reply."""
        body = self.pbx.answer(request)
        outcome = body.get("errno", "Success")
        if outcome == "Success":
            log.debug("answered", resource=request.resource, outcome=outcome)
        else:
            log.info("answered", resource=request.resource, outcome=outcome)
        self._wake_when_due()
        return body

    def forget_tokens(self) -> int:
        """Forget all tokens and return how many were alive."""
        alive = self.pbx.sessions.forget_all()
        log.info("tokens_forgotten", count=alive)
        return alive

    def restart(self, *, down_s: float, spare: IOStream | None = None) -> None:
        """
        Go down now and come back on the same port after *down_s* seconds.

        Tokens and calls are gone, faults, counts and the journal stay. While down, a second call does nothing.

        Args:
            down_s: Seconds before it listens again.
            spare: A connection to leave open for the reply under way on it.
        """
        if self._server is None:
            return
        log.info("restarting", down_s=down_s)
        self.restarts += 1
        self.pbx.sessions.forget_all()
        self.pbx.switchboard.drop_calls()
        self._go_down(spare=spare)
        self._coming_back = asyncio.get_running_loop().create_task(self._come_back(down_s))

    def close(self) -> None:
        """Stop for good: no more listening, every connection reset, files closed."""
        self._go_down()
        if self._coming_back is not None:
            self._coming_back.cancel()
        if self._wake is not None:
            self._wake.cancel()
        self.pusher.close()
        self.journal.close()
        if self.hits is not None:
            self.hits.close()

    def dial_began(self) -> None:
        """Count a dial request whose reply is not sent yet."""
        self.dials_in_flight += 1
        self.dials_in_flight_max = max(self.dials_in_flight_max, self.dials_in_flight)

    def dial_ended(self) -> None:
        """Take that dial request off the count."""
        self.dials_in_flight -= 1

    def _build_pbx(self) -> Pbx:
        options = self.options
        sessions = Sessions(
            username=options.username,
            password=options.password,
            clock=time.monotonic,
            token_life_s=options.token_life_s,
            login_lock_s=options.login_lock_s,
            single_session=options.single_session,
        )
        switchboard = Switchboard(
            options.statuses(),
            no_outbound=options.no_outbound,
            ring_s=options.ring_s,
            talk_s=options.talk_s,
            busy_errno=options.busy_errno,
            clock=time.time,
            observe=lambda happening: self.pbx.observe(happening),
        )
        return Pbx(
            sessions=sessions,
            switchboard=switchboard,
            journal=self.journal,
            pusher=self.pusher,
            wording=EventWording(utc_offset_h=options.utc_offset_h),
            clock=time.time,
            utc_offset_h=options.utc_offset_h,
        )

    def _wake_when_due(self) -> None:
        """Have calls progress on time even if nobody asks; one timer, set for the earliest of them."""
        due = self.pbx.switchboard.next_due()
        if due is None or due >= self._wake_due:
            return
        if self._wake is not None:
            self._wake.cancel()
        self._wake_due = due
        rest_s = max(0.0, due - time.time())
        self._wake = asyncio.get_running_loop().call_later(rest_s, self._advance)

    def _advance(self) -> None:
        self._wake_due = float("inf")
        self.pbx.switchboard.advance()
        self._wake_when_due()

    def _go_down(self, *, spare: IOStream | None = None) -> None:
        if self._server is not None:
            self._server.stop()
            self._server.reset_connections(spare=spare)
            self._server = None

    async def _come_back(self, down_s: float) -> None:
        await asyncio.sleep(down_s)
        while True:
            try:
                self.open()
            except ListenError as exc:
                log.warning("restart_waits", reason=str(exc))
                await asyncio.sleep(REOPEN_REST_S)
            else:
                log.info("restarted")
                return


class PbxServer(HTTPServer):
    """An HTTP server that can reset its connections, which tornado's own only closes politely."""

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        self._streams: WeakSet[IOStream] = WeakSet()
        super().initialize(*args, **kwargs)

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Serve a new connection and remember it."""
        self._streams.add(stream)
        super().handle_stream(stream, address)

    def reset_connections(self, *, spare: IOStream | None = None) -> None:
        """Reset all connections but *spare*."""
        for stream in list(self._streams):
            if stream is not spare:
                reset(stream)


class ApiHandler(RequestHandler):
    """Every call of the vendor's API: HTTP 200 for success and failure, unless a fault says otherwise."""

    def initialize(self, simulator: Simulator) -> None:
        self.simulator = simulator

    async def post(self, version: str, path: str) -> None:
        """Answer one call, or let a fault have its way with it."""
        simulator = self.simulator
        request = self._parsed(version, path)
        simulator.requests[request.resource] += 1
        if request.resource != DIAL:
            await self._serve(request)
            return
        simulator.dial_began()
        try:
            await self._serve(request)
        finally:
            simulator.dial_ended()

    # The PBX takes POST only, and says so in its own way.
    get = put = patch = delete = post

    def compute_etag(self) -> None:
        """Send no ETag: the PBX does not, and hashing replies costs time."""

    def log_exception(self, typ: object, value: object, tb: object) -> None:
        """Log a failure of the simulator itself without the address, which carries the token."""
        log.error("request_failed", error=type(value).__name__)

    async def _serve(self, request: ApiRequest) -> None:
        simulator = self.simulator
        rule = None
        if len(simulator.faults):
            rule = simulator.faults.pick(request.resource, extid=request.extid, outto=request.outto)
        if rule is None:
            body = simulator.answer(request)
            if request.resource == DIAL and simulator.options.answer_s:
                await asyncio.sleep(simulator.roll() * simulator.options.answer_s)
            finish_json(self, body)
            return
        log.info("fault_played", kind=rule.kind, resource=request.resource)
        if simulator.hits is not None:
            hit = Hit(time.time(), rule.kind, request.resource, extid=request.extid, outto=request.outto)
            simulator.hits.write(hit)
        exchange = Exchange(self, rule=rule, perform=lambda: simulator.answer(request), simulation=simulator)
        await exchange.misbehave()

    def _parsed(self, version: str, path: str) -> ApiRequest:
        http = self.request
        token = http.query_arguments.get("token", [b""])[-1].decode("latin-1")
        return parse_request(
            method=http.method or "",
            version=version,
            path=path,
            token=token,
            body=http.body,
            client_ip=http.remote_ip or "",
        )
