"""
The Yeastar S-Series: versions 1.0, 1.1 and 2.0 of its API, which differ in paths and field names.

Source: the vendor's S-Series API guides (login, extension/dial_outbound, extensionlist/query, outbound/query,
deviceinfo/query, error codes; v2.0.0: call/dial, extension/list, extension/query_call), read November and
December 2026.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import md5
from typing import Any

from worker.errors import (
    AttemptFailed,
    ExtensionBusy,
    LineBusy,
    LoginLocked,
    LoginRefused,
    NeverTry,
    OutcomeUnknown,
    PbxAtFault,
    PbxDown,
    PbxRefuses,
    PbxSaidFailed,
    TokenRefused,
)
from worker.pbx.base import Device, ExtensionUse, OutboundCall, Sighting
from worker.pbx.codes import Advice, code
from worker.pbx.transport import AT_ONCE, Begin, Transport
from worker.settings import ApiName, PbxSettings

# Statuses as the guide lists them; the letters' case varies.
_FREE = frozenset({"registered", "idle"})
_AWAY = frozenset({"unavailable", "malfunction", "fxsnoport"})
# Ids of calls and outbound legs are `epoch.sequence`, as Asterisk makes them.
_UNIQUE_ID = re.compile(r"([0-9]{9,11})\.[0-9]+")
# Where the PBX pushes events; required at log-in, and 8260 is the guide's own default.
_EVENT_PORT = "8260"


def _calls_of_v1(reply: Mapping[str, Any]) -> list[OutboundCall]:
    """Read `outbound/query`: one row an outbound leg, without the callid."""
    return [
        OutboundCall(
            outboundid=str(row.get("outboundid") or "")[:64],
            extid=str(row.get("from") or ""),
            outto=str(row.get("to") or ""),
            began_at=_began_at(str(row.get("outboundid") or "")),
        )
        for row in _rows(reply, "outbound")
    ]


def _calls_of_v2(reply: Mapping[str, Any]) -> list[OutboundCall]:
    """Read `extension/query_call`: the calls of each extension, with their callids and members."""
    calls: dict[tuple[str, str], OutboundCall] = {}
    for extension in _rows(reply, "calllist"):
        for row in _rows(extension, "numbercalls"):
            callid = str(row.get("callid") or "")[:64]
            for leg in (member.get("outbound") for member in _rows(row, "members")):
                if isinstance(leg, dict):
                    extid = str(leg.get("from") or extension.get("number") or "")
                    outto = str(leg.get("to") or "")
                    calls[callid, extid] = OutboundCall("", extid, outto, _began_at(callid), callid)
    return list(calls.values())


@dataclass(frozen=True, slots=True)
class _Dialect:
    """
    What one version calls things.

    `calls` is the resource that lists running calls, `calls_body` what it must be sent, `read_calls` reads its
    reply.
    """

    path: str
    dial: str
    extid: str
    outto: str
    extensions: str
    calls: str
    read_calls: Callable[[Mapping[str, Any]], list[OutboundCall]]
    calls_body: Mapping[str, str] | None = None
    login_extra: Mapping[str, str] = field(default_factory=dict)
    device: str = "deviceinfo/query"


_V1 = _Dialect(
    path="v1.0.0",
    dial="extension/dial_outbound",
    extid="extid",
    outto="outto",
    extensions="extensionlist/query",
    calls="outbound/query",
    read_calls=_calls_of_v1,
)
_DIALECTS: dict[ApiName, _Dialect] = {
    "yeastar-s-v1.0": _V1,
    # "1.0.2" asks for events whose JSON repeats no key.
    "yeastar-s-v1.1": replace(_V1, path="v1.1.0", login_extra={"version": "1.0.2"}),
    "yeastar-s-v2.0": _Dialect(
        path="v2.0.0",
        dial="call/dial",
        extid="caller",
        outto="callee",
        extensions="extension/list",
        # `call/query` lists outbound calls too; this one shows those of which only the extension rings as well.
        calls="extension/query_call",
        calls_body={"number": "all"},
        read_calls=_calls_of_v2,
    ),
}

_FAILURES: dict[Advice, type[AttemptFailed]] = {
    Advice.FAIL: NeverTry,
    Advice.EXTENSION_BUSY: ExtensionBusy,
    Advice.LINE_BUSY: LineBusy,
    Advice.PBX_DOWN: PbxDown,
    Advice.PBX_REFUSES: PbxRefuses,
    Advice.LOG_IN: TokenRefused,
    Advice.LOOK_FIRST: PbxSaidFailed,
    Advice.LOOK_AND_REST: PbxAtFault,
    Advice.LOGIN_LOCKED: LoginLocked,
    Advice.LOGIN_REFUSED: LoginRefused,
}


class YeastarS:
    """One S-Series PBX; see `worker.pbx.base.Pbx`."""

    def __init__(self, name: str, settings: PbxSettings) -> None:
        self.name = name
        self._dialect = _DIALECTS[settings.api]
        self._settings = settings
        self._transport = Transport(settings)

    def login(self) -> str:
        """
        Return a new token.

        Raises:
            LoginLocked, LoginRefused: Nobody should try again soon.
            AttemptFailed: Anything else that went wrong.
        """
        # The protocol wants MD5 without salt, in lower-case hex.
        password = md5(self._settings.secret.encode(), usedforsecurity=False).hexdigest()
        body = {"username": self._settings.username, "password": password, "port": _EVENT_PORT}
        reply = self._ask("login", {**body, **self._dialect.login_extra})
        token = reply.get("token")
        if not isinstance(token, str) or not token:
            raise OutcomeUnknown("unreadable", "the PBX answered the log-in without a token")
        return token

    def dial(
        self, token: str, *, extid: str, outto: str, autoanswer: str, not_before: float, within_s: float
    ) -> str:
        """Ring *extid* and connect it to *outto*, and return the callid; see `worker.pbx.base.Pbx.dial`."""
        dialect = self._dialect
        body = {dialect.extid: extid, dialect.outto: outto, "autoanswer": autoanswer}
        begin = Begin(not_before=not_before, by=time.monotonic() + within_s)
        callid = self._ask(dialect.dial, body, token=token, begin=begin).get("callid")
        if not callid or not isinstance(callid, str | int | float):
            raise OutcomeUnknown("unreadable", "the PBX answered Success without a callid")
        return str(callid)

    def look(self, token: str) -> Sighting:
        """
        Return what the PBX shows of its extensions and outbound calls.

        The extensions come first: a call that is answered in between is then seen ringing, and perhaps talking
        too, but never as nothing.
        """
        dialect = self._dialect
        extensions = _rows(self._ask(dialect.extensions, token=token), "extlist")
        calls = dialect.read_calls(self._ask(dialect.calls, dialect.calls_body, token=token))
        # Version 2.0 lists a `number` where the others have an `extnumber`.
        uses = {str(row.get("extnumber") or row.get("number")): _use(row.get("status")) for row in extensions}
        return Sighting(uses, tuple(calls))

    def device(self, token: str) -> Device:
        """Return the PBX's account of itself; a health check that rings nobody."""
        info = self._ask(self._dialect.device, token=token).get("deviceinfo")
        facts = info if isinstance(info, dict) else {}
        return Device(*(str(facts.get(name, "?")) for name in ("devicename", "firmwarever", "systemtime")))

    def _ask(
        self,
        resource: str,
        body: Mapping[str, str] | None = None,
        *,
        token: str = "",
        begin: Begin = AT_ONCE,
    ) -> dict[str, Any]:
        path = f"{self._dialect.path}/{resource}"
        reply = self._transport.post(path, body, token=token, begin=begin)
        status = str(reply.get("status", "")).lower()
        if status == "success":
            return reply
        if not status:
            raise OutcomeUnknown("unreadable", "the PBX's reply has no status")
        # One page of the guide says Failure instead of Failed: whatever is not Success is a failure.
        errno = str(reply.get("errno") or "none")[:16]
        line = code(errno)
        raise _FAILURES[line.advice](errno, line.meaning)


def _rows(reply: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = reply.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _use(status: object) -> ExtensionUse:
    word = str(status or "").strip().lower()
    if word in _FREE:
        return ExtensionUse.FREE
    return ExtensionUse.AWAY if word in _AWAY else ExtensionUse.IN_USE


def _began_at(unique_id: str) -> float | None:
    """Return the unix seconds that an id carries, None if it has another form."""
    parts = _UNIQUE_ID.fullmatch(unique_id)
    return float(parts[1]) if parts else None
