"""
What the PBX answers to each call of its API, apart from HTTP and apart from faults.

Checks run in this order, which the vendor does not document: method, resource, token, body, parameters.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from ops.pbx_simulator import codes
from ops.pbx_simulator.codes import Refusal
from ops.pbx_simulator.events import LIST_WORDING, SERIAL_NUMBER, TRUNK, EventPusher, EventWording
from ops.pbx_simulator.journal import Journal, Ring
from ops.pbx_simulator.live_calls import call_of, calls_by_extension, calls_of_type, extension_of
from ops.pbx_simulator.resources import DIAL, EXTENSIONS, UNKNOWN, V2, resource_at
from ops.pbx_simulator.sessions import Sessions
from ops.pbx_simulator.switchboard import Call, CallState, ExtensionChanged, Switchboard

Answer = dict[str, object]
# Where the PBX pushes events if a login names no port: the vendor's default.
DEFAULT_EVENT_PORT: Final = 8260


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """
    One call, taken apart but not judged.

    Attributes:
        resource: A name of `resources`, or `UNKNOWN`.
        version: As in the path, "v1.0.0".
        token: From the query string; empty if missing.
        body: Decoded JSON object; None if the body is something else; {} if it is empty.
        is_blank: Whether the body is empty.
    """

    method: str
    version: str
    resource: str
    token: str
    body: Mapping[str, object] | None
    is_blank: bool
    client_ip: str

    @property
    def extid(self) -> str | None:
        """The extension it is about, None if it names none."""
        return self.parameter("extid", v2="caller")

    @property
    def outto(self) -> str | None:
        """The number to dial, None if it names none."""
        return self.parameter("outto", v2="callee")

    def parameter(self, name: str, *, v2: str | None = None) -> str | None:
        """Return a parameter as text (numbers are accepted), None if blank or missing; *v2* renames it."""
        key = v2 if v2 and self.version == V2 and self.resource == DIAL else name
        value = (self.body or {}).get(key)
        if isinstance(value, bool) or not isinstance(value, int | str):
            return None
        return str(value).strip() or None

    def needed(self, name: str, *, v2: str | None = None) -> str:
        """
        Return a parameter that must be there.

        Raises:
            Refusal: 10004.
        """
        value = self.parameter(name, v2=v2)
        if value is None:
            raise Refusal(codes.PARAMETER_BLANK)
        return value


def parse_request(*, method: str, version: str, path: str, token: str, body: bytes, client_ip: str) -> ApiRequest:
    """Take one HTTP request apart; nothing is refused here."""
    return ApiRequest(
        method=method,
        version=version,
        resource=resource_at(version, path),
        token=token,
        body=_decoded(body),
        is_blank=not body.strip(),
        client_ip=client_ip,
    )


class Pbx:
    """
    One PBX: its sessions, switchboard, journal and events behind one method, `answer`.

    Attributes:
        outcomes: How often each outcome was answered: {"Success": n, errno: n}.
    """

    def __init__(
        self,
        *,
        sessions: Sessions,
        switchboard: Switchboard,
        journal: Journal,
        pusher: EventPusher,
        wording: EventWording,
        clock: Callable[[], float],
        utc_offset_h: float,
    ) -> None:
        self.sessions = sessions
        self.switchboard = switchboard
        self.outcomes: Counter[str] = Counter()
        self._journal = journal
        self._pusher = pusher
        self._wording = wording
        self._clock = clock
        self._zone = timezone(timedelta(hours=utc_offset_h))
        self._answers: Mapping[str, Callable[[ApiRequest], Answer]] = {
            "login": self._login,
            "heartbeat": self._heartbeat,
            "logout": self._logout,
            DIAL: self._dial,
            EXTENSIONS: self._list_extensions,
            "outbound/query": self._list_outbound,
            "extension/query_call": self._query_extensions_calls,
            "call/query": self._query_calls,
            "deviceinfo/query": self._device_info,
            "extension/hangup": self._hang_up_extension,
            "outbound/hangup": self._hang_up_outbound,
            "call/hangup": self._hang_up_channel,
        }

    def answer(self, request: ApiRequest) -> Answer:
        """Carry *request* out and return the body of the reply, Success or Failed."""
        try:
            self._check(request)
            reply: Answer = {"status": "Success", **self._answers[request.resource](request)}
            self.outcomes["Success"] += 1
        except Refusal as refusal:
            reply = {"status": "Failed", "errno": refusal.errno}
            self.outcomes[refusal.errno] += 1
        return reply

    def observe(self, happening: Call | ExtensionChanged) -> None:
        """Push what happened to whoever listens; called by the switchboard."""
        if self._pusher.url is not None and self.sessions.renew_newest():
            self._pusher.push(self._wording.bodies(happening))

    def _check(self, request: ApiRequest) -> None:
        if request.method != "POST":
            raise Refusal(codes.NOT_POST)
        if request.resource == UNKNOWN:
            raise Refusal(codes.UNSUPPORTED_REQUEST)
        if request.resource != "login":
            self.sessions.renew(request.token)
        if request.body is None:
            raise Refusal(codes.NOT_JSON)
        if request.is_blank and request.resource in _NEEDS_BODY:
            raise Refusal(codes.BODY_BLANK)

    def _login(self, request: ApiRequest) -> Answer:
        username, password = request.needed("username"), request.needed("password")
        port = _event_port(request)
        token = self.sessions.login(username, password, client_ip=request.client_ip)
        self._wording.with_call_list = request.parameter("version") == LIST_WORDING
        self._pusher.retarget(_event_url(request, port))
        return {"token": token}

    def _heartbeat(self, request: ApiRequest) -> Answer:
        port = _event_port(request)
        if not request.is_blank:
            self._pusher.retarget(_event_url(request, port))
        return {}

    def _logout(self, request: ApiRequest) -> Answer:
        self.sessions.logout(request.token)
        return {}

    def _dial(self, request: ApiRequest) -> Answer:
        extid, outto = request.needed("extid", v2="caller"), request.needed("outto", v2="callee")
        auto_answer = (request.parameter("autoanswer") or "no").lower() == "yes"
        call = self.switchboard.dial(extid, outto, auto_answer=auto_answer)
        if call.state is not CallState.FAILED:
            # Before the reply can be lost: the journal is the truth of what rang.
            self._journal.write(Ring(t=call.began_at, extid=extid, outto=outto, callid=call.callid))
        return {"callid": call.callid}

    def _list_extensions(self, request: ApiRequest) -> Answer:
        number = "number" if request.version == V2 else "extnumber"
        return {
            "extlist": [
                {number: extid, "status": status, "type": "SIP", "username": f"Phone {extid}", "agentid": ""}
                for extid, status in self.switchboard.statuses().items()
            ]
        }

    def _list_outbound(self, request: ApiRequest) -> Answer:
        calls = (call for call in self.switchboard.open_calls() if call.state is CallState.TALKING)
        return {
            "outbound": [
                {
                    "outboundid": call.outboundid,
                    "from": call.extid,
                    "to": call.outto,
                    "trunk": TRUNK,
                    "status": "Talking",
                }
                for call in calls
            ]
        }

    def _query_extensions_calls(self, request: ApiRequest) -> Answer:
        extids = list(self.switchboard.statuses())
        wanted = request.needed("number")
        chosen = extids if wanted == "all" else [extid.strip() for extid in wanted.split(",")]
        if not set(chosen) <= set(extids):
            raise Refusal(codes.NO_SUCH_EXTENSION)
        return {"calllist": calls_by_extension(self.switchboard.open_calls(), chosen)}

    def _query_calls(self, request: ApiRequest) -> Answer:
        calls, callid = self.switchboard.open_calls(), request.parameter("callid")
        if callid is None:
            return {"calls": calls_of_type(calls, request.needed("type"))}
        if found := call_of(calls, callid):
            return {"calls": found}
        raise Refusal(codes.NO_SUCH_CALLID)

    def _device_info(self, request: ApiRequest) -> Answer:
        local = datetime.fromtimestamp(self._clock(), UTC).astimezone(self._zone)
        offset_h = self._zone.utcoffset(None).total_seconds() / 3600
        return {
            "deviceinfo": {
                "devicename": "outdial PBX simulator",
                "sn": SERIAL_NUMBER,
                "firmwarever": "30.13.0.30",
                "systemtime": f"{local:%Y-%m-%d %H:%M:%S} UTC{offset_h:+g}",
            }
        }

    def _hang_up_extension(self, request: ApiRequest) -> Answer:
        self.switchboard.hang_up_extension(request.needed("extid"))
        return {}

    def _hang_up_outbound(self, request: ApiRequest) -> Answer:
        self.switchboard.hang_up_outbound(request.needed("outboundid"))
        return {}

    def _hang_up_channel(self, request: ApiRequest) -> Answer:
        self.switchboard.hang_up_extension(extension_of(request.needed("channelid")))
        return {}


_NEEDS_BODY: Final = frozenset(
    {
        "login",
        DIAL,
        "extension/hangup",
        "outbound/hangup",
        "extension/query_call",
        "call/query",
        "call/hangup",
    }
)


def _decoded(body: bytes) -> Mapping[str, object] | None:
    if not body.strip():
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _event_port(request: ApiRequest) -> int:
    text = request.parameter("port") or str(DEFAULT_EVENT_PORT)
    if not (text.isdecimal() and 1 <= int(text) <= 65535):
        raise Refusal(codes.WRONG_PORT)
    return int(text)


def _event_url(request: ApiRequest, port: int) -> str | None:
    """
    Return where this client wants events, None if it names no `url`.

    A real PBX pushes to the bare port too; the simulator does not, so that runs without a listener stay quiet.
    A `url` without a scheme is taken as a path on the client's own address [guess].
    """
    url = request.parameter("url")
    if url is None or url.startswith(("http://", "https://")):
        return url
    host = request.parameter("ipaddr") or request.client_ip
    bracketed = f"[{host}]" if ":" in host else host
    return f"http://{bracketed}:{port}/{url.lstrip('/')}"
