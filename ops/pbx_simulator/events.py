"""
Events the PBX pushes to whoever logged in: their wording, and the pushing.

Two wordings. The default of v1.0.0 repeats JSON keys, which most parsers silently lose:

    {"action":"BYE","callid":"1.2","ext":{"extid":"1002"},"outbound":{"from":"1002","to":"41000",…}}
    {"action":"RING","callid":"1.2","ext":{…},"ext":{…}}        # two extensions; outdial never makes such a call

A login with "version":"1.0.2" gets {"action":…,"callid":…,"call":[{"ext":{…}},{"outbound":{…}}],"sn":…}.

Source: the vendor's "Call Report" pages; the order "who triggers comes first" and the shape of CallFailed
(no "call" list in either wording) are from their samples.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import structlog
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from ops.pbx_simulator.switchboard import BUSY, UNAVAILABLE, Call, CallState, ExtensionChanged

log = structlog.get_logger()

SERIAL_NUMBER: Final = "369351034049"
TRUNK: Final = "sip-simulated"
LIST_WORDING: Final = "1.0.2"
# Some minutes of a busy demo; past that the receiver is gone and newer events are dropped and counted.
QUEUE_LENGTH: Final = 2000
# The vendor says "or it sends again" without saying how often; bounded here so that a dead receiver costs little.
RESTS_BETWEEN_TRIES_S: Final = (0.1, 0.3, 1.0)
TRY_TIMEOUT_S: Final = 2.0

_Parts = list[tuple[str, object]]
# {obstacle: (v1.0.0 reason, later reason)}
_FAILURE_REASONS: Final = {
    BUSY: ("User busy", "486 Busy Here"),
    UNAVAILABLE: ("Line unreachable", "480 Temporarily unavailable"),
}


class EventWording:
    """
    Turns what happened on the switchboard into request bodies.

    Args:
        utc_offset_h: The PBX's time zone, which its call records are written in.
    """

    def __init__(self, *, utc_offset_h: float) -> None:
        self._zone = timezone(timedelta(hours=utc_offset_h))
        self.with_call_list = False

    def bodies(self, happening: Call | ExtensionChanged) -> list[bytes]:
        """Return the JSON bodies to push, in order."""
        if isinstance(happening, ExtensionChanged):
            # The guide says Unregistered here where the extension list says Unavailable.
            status = "Unregistered" if happening.status == UNAVAILABLE else happening.status
            return [self._extension_status(happening.extid, status)]
        by_state = {
            CallState.RINGING: self._ringing,
            CallState.TALKING: self._answered,
            CallState.ENDED: self._ended,
            CallState.FAILED: self._failed,
        }
        return by_state[happening.state](happening)

    def _ringing(self, call: Call) -> list[bytes]:
        legs = [_outbound(call), _ext(call)]
        return [self._extension_status(call.extid, "Ringing"), self._call("RING", call, legs)]

    def _answered(self, call: Call) -> list[bytes]:
        legs = [_ext(call), _outbound(call)]
        return [self._extension_status(call.extid, "Busy"), self._call("ANSWERED", call, legs)]

    def _ended(self, call: Call) -> list[bytes]:
        bye = [
            self._call("BYE", call, [_ext(call), _outbound(call)]),
            self._call("BYE", call, [_outbound(call), _ext(call)]),
        ]
        return [*bye, self._extension_status(call.extid, "Idle"), self._cdr(call)]

    def _failed(self, call: Call) -> list[bytes]:
        old, new = _FAILURE_REASONS[call.failure or BUSY]
        reason = new if self.with_call_list else old
        parts: _Parts = [("action", "CallFailed"), ("reason", reason), ("callid", call.callid)]
        return [self._json([*parts, _outbound(call), _ext(call)])]

    def _call(self, action: str, call: Call, legs: _Parts) -> bytes:
        parts: _Parts = [("action", action), ("callid", call.callid)]
        if self.with_call_list:
            return self._json([*parts, ("call", [{name: leg} for name, leg in legs])])
        return self._json([*parts, *legs])

    def _extension_status(self, extid: str, status: str) -> bytes:
        return self._json([("action", "ExtensionStatus"), ("extension", extid), ("status", status)])

    def _cdr(self, call: Call) -> bytes:
        ended_at = call.ended_at if call.ended_at is not None else call.began_at
        talked_s = 0.0 if call.answered_at is None else ended_at - call.answered_at
        began = datetime.fromtimestamp(call.began_at, UTC).astimezone(self._zone)
        parts: _Parts = [
            ("action", "NewCdr"),
            ("callid", call.callid),
            ("timestart", began.strftime("%Y-%m-%d %H:%M:%S")),
            ("callfrom", call.extid),
            ("callto", call.outto),
            ("desttrunkname", TRUNK),
            ("callduraction", str(round(ended_at - call.began_at))),
            ("talkduraction", str(round(talked_s))),
            ("status", "NO ANSWER" if call.answered_at is None else "ANSWERED"),
            ("type", "Outbound"),
        ]
        return self._json(parts)

    def _json(self, parts: _Parts) -> bytes:
        """Write *parts* as one object; by hand, because the vendor repeats keys and no encoder will."""
        signed = [*parts, ("sn", SERIAL_NUMBER)] if self.with_call_list else parts
        members = (f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}" for key, value in signed)
        return f"{{{','.join(members)}}}".encode()


class EventPusher:
    """
    Pushes bodies one after another in the background, each until answered 200 or out of tries.

    Attributes:
        fixed_url: Where to push whatever a login says; None to let logins say.
        url: Where to push now; None for nowhere.
        counts: {"pushed": n, "given_up": n, "dropped": n}.
    """

    def __init__(self, fixed_url: str | None) -> None:
        self.fixed_url = fixed_url
        self.url = fixed_url
        self.counts = {"pushed": 0, "given_up": 0, "dropped": 0}
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE_LENGTH)
        self._task: asyncio.Task[None] | None = None

    def push(self, bodies: list[bytes]) -> None:
        """Queue *bodies* and return at once; the pushing starts with the first."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        for body in bodies:
            try:
                self._queue.put_nowait(body)
            except asyncio.QueueFull:
                self.counts["dropped"] += 1

    def retarget(self, url: str | None) -> None:
        """Push to *url* from now on, unless a fixed address was given at start."""
        self.url = self.fixed_url or url

    def close(self) -> None:
        """Stop pushing; what is queued is lost, as when a PBX goes down."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        # Certificates are not checked: the PBX does not check them either, and receivers here sign their own.
        client = AsyncHTTPClient(
            force_instance=True,
            defaults={
                "user_agent": "WebAPI",
                "request_timeout": TRY_TIMEOUT_S,
                "connect_timeout": TRY_TIMEOUT_S,
                "validate_cert": False,
                "follow_redirects": False,
            },
        )
        try:
            while True:
                delivered = await self._deliver(client, await self._queue.get())
                self.counts["pushed" if delivered else "given_up"] += 1
        finally:
            client.close()

    async def _deliver(self, client: AsyncHTTPClient, body: bytes) -> bool:
        for rest_s in (*RESTS_BETWEEN_TRIES_S, None):
            if await self._is_accepted(client, body):
                return True
            if rest_s is not None:
                await asyncio.sleep(rest_s)
        log.info("event_given_up", tries=len(RESTS_BETWEEN_TRIES_S) + 1)
        return False

    async def _is_accepted(self, client: AsyncHTTPClient, body: bytes) -> bool:
        if self.url is None:
            return False
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        try:
            reply = await client.fetch(self.url, method="POST", headers=headers, body=body)
        except (OSError, HTTPClientError, ValueError):
            return False
        return reply.code == 200


def _ext(call: Call) -> tuple[str, object]:
    return "ext", {"extid": call.extid}


def _outbound(call: Call) -> tuple[str, object]:
    leg = {"from": call.extid, "to": call.outto, "trunk": TRUNK, "outboundid": call.outboundid}
    return "outbound", leg
