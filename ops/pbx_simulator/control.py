"""
The control endpoint, on the PBX's own port: for tests and chaos runs, not part of the vendor's API.

    POST   /_control/faults         one rule (see `faults`) -> 200 {"faults": [...]}; 400 {"error": sentence}
    GET    /_control/faults         {"faults": [...]}
    DELETE /_control/faults         drop all rules
    GET    /_control/state          counts, calls, extensions, faults; no token is ever shown
    POST   /_control/extensions     {"extid":"1002","status":"Busy"|"Registered"|"Unavailable"}
    POST   /_control/tokens/forget  -> {"forgotten": n}
    POST   /_control/restart        {"down_s": 2} -> 200, and the port is closed by then

No password is asked for: listen on loopback.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import structlog
from tornado.web import RequestHandler

from ops.pbx_simulator.codes import Refusal
from ops.pbx_simulator.faults import FaultRuleError, parse_rule
from ops.pbx_simulator.misbehaviour import finish_json
from ops.pbx_simulator.switchboard import SETTABLE_STATUSES

if TYPE_CHECKING:
    from ops.pbx_simulator.server import Simulator

log = structlog.get_logger()

# An hour, as for fault delays: a longer wait is a typing error.
LONGEST_DOWN_S: Final = 3600.0


class BadControlRequest(Exception):
    """The control request cannot be carried out; the message is one sentence that says what would be right."""


class ControlHandler(RequestHandler):
    """What all control handlers share."""

    def initialize(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def log_exception(self, typ: object, value: object, tb: object) -> None:
        """Log a failure without the request: fault rules may hold numbers."""
        if not isinstance(value, BadControlRequest):
            log.error("control_failed", error=type(value).__name__)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer 400 and the sentence for a bad request."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, BadControlRequest):
            self.set_status(400)
            finish_json(self, {"error": str(error)})
        else:
            finish_json(self, {"error": f"HTTP {status_code}"})

    def json_object(self) -> dict[str, object]:
        """
        Return the request's body.

        Raises:
            BadControlRequest: If it is not a JSON object.
        """
        try:
            body = json.loads(self.request.body)
        except ValueError as exc:
            raise BadControlRequest("the body must be a JSON object") from exc
        if not isinstance(body, dict):
            raise BadControlRequest("the body must be a JSON object")
        return body


class FaultsHandler(ControlHandler):
    """The rules in force."""

    def get(self) -> None:
        """Show them."""
        finish_json(self, {"faults": self.simulator.faults.report()})

    def post(self) -> None:
        """Add one."""
        try:
            rule = parse_rule(self.json_object())
        except FaultRuleError as exc:
            raise BadControlRequest(str(exc)) from exc
        self.simulator.faults.add(rule)
        log.info("fault_added", kind=rule.kind, resource=rule.resource)
        self.get()

    def delete(self) -> None:
        """Drop all."""
        self.simulator.faults.clear()
        self.get()


class StateHandler(ControlHandler):
    """What the PBX has been through and what it is doing."""

    def get(self) -> None:
        """Show counts since start; the shape is this method."""
        simulator, board = self.simulator, self.simulator.pbx.switchboard
        statuses = board.statuses()
        state = {
            "logins": simulator.pbx.sessions.logins,
            "tokens_alive": simulator.pbx.sessions.alive(),
            "requests": dict(simulator.requests),
            "outcomes": dict(simulator.pbx.outcomes),
            "dials_in_flight": simulator.dials_in_flight,
            "dials_in_flight_max": simulator.dials_in_flight_max,
            "calls": {
                "now": len(board.open_calls()),
                "max": board.calls_max,
                "rung": board.rung,
                "failed": board.failed,
            },
            "extensions": statuses,
            "faults": simulator.faults.report(),
            "events": simulator.pusher.counts,
            "restarts": simulator.restarts,
        }
        finish_json(self, state)


class ExtensionsHandler(ControlHandler):
    """Extensions' own status."""

    def post(self) -> None:
        """Set one."""
        body = self.json_object()
        extid, status = str(body.get("extid", "")), body.get("status")
        if not isinstance(status, str) or status not in SETTABLE_STATUSES:
            raise BadControlRequest(f"status: {status!r} is not one of {', '.join(SETTABLE_STATUSES)}")
        try:
            self.simulator.pbx.switchboard.set_status(extid, status)
        except Refusal as exc:
            raise BadControlRequest(f"extid: {extid!r} is not an extension of this PBX") from exc
        finish_json(self, {"extid": extid, "status": status})


class TokensHandler(ControlHandler):
    """Losing tokens, as firmware is known to."""

    def post(self) -> None:
        """Forget them all."""
        finish_json(self, {"forgotten": self.simulator.forget_tokens()})


class RestartHandler(ControlHandler):
    """Going down for a while."""

    def post(self) -> None:
        """Go down at once, sparing this connection for the reply."""
        down_s = self.json_object().get("down_s", 1.0)
        is_number = isinstance(down_s, int | float) and not isinstance(down_s, bool)
        if not is_number or not 0 <= down_s <= LONGEST_DOWN_S:  # type: ignore[operator]  # is a number here
            raise BadControlRequest(f"down_s: {down_s!r} must be seconds from 0 to {LONGEST_DOWN_S:g}")
        stream = self.request.connection.stream  # type: ignore[union-attr]  # always HTTP/1 here
        self.simulator.restart(down_s=float(down_s), spare=stream)  # type: ignore[arg-type]
        self.set_header("Connection", "close")
        finish_json(self, {"down_s": down_s})


CONTROL_ROUTES: Final[tuple[tuple[str, type[ControlHandler]], ...]] = (
    (r"/_control/faults", FaultsHandler),
    (r"/_control/state", StateHandler),
    (r"/_control/extensions", ExtensionsHandler),
    (r"/_control/tokens/forget", TokensHandler),
    (r"/_control/restart", RestartHandler),
)
