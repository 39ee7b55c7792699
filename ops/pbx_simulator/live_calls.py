"""
How v2.0.0 writes the calls that run: by extension, by callid and by type.

    {"callid":"1.2","members":[{"ext":{"number","channelid","memberstatus"}},
                               {"outbound":{"from","to","trunkname","channelid","memberstatus"}}]}

The `outbound` member appears once the extension has answered: until then the extension is in ring-back, alone.

Source: the vendor's v2.0.0 guide, "Query Extensions' Call Status" and "Query Calls", read December 2026.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ops.pbx_simulator.events import TRUNK
from ops.pbx_simulator.switchboard import Call, CallState

Written = dict[str, object]


def calls_by_extension(calls: Sequence[Call], extids: Iterable[str]) -> list[Written]:
    """Return one entry for each of *extids*, with its calls; none for an idle extension."""
    return [
        {"number": extid, "numbercalls": [_written(call) for call in calls if call.extid == extid]}
        for extid in extids
    ]


def calls_of_type(calls: Iterable[Call], kind: str) -> list[Written]:
    """Return the calls that are `outbound`; this PBX has no `inbound` ones."""
    return [_written(call) for call in calls if kind == "outbound" and call.state is CallState.TALKING]


def call_of(calls: Iterable[Call], callid: str) -> list[Written]:
    """Return the call with that callid; empty if it does not run."""
    return [_written(call) for call in calls if call.callid == callid]


def extension_of(channelid: str) -> str:
    """Return the extension whose channel this is, `PJSIP/1002-0000001e`; a text of another form as it is."""
    return channelid.removeprefix("PJSIP/").partition("-")[0]


def _written(call: Call) -> Written:
    is_answered = call.state is CallState.TALKING
    serial = f"{int(call.callid.partition('.')[2]) % 0xFFFFFFFF:08x}"
    ext = {
        "number": call.extid,
        "channelid": f"PJSIP/{call.extid}-{serial}",
        "memberstatus": "ANSWERED" if is_answered else "ALERT",
    }
    outbound = {
        "from": call.extid,
        "to": call.outto,
        "trunkname": TRUNK,
        "channelid": f"PJSIP/trunk-{TRUNK}-endpoint-{serial}",
        "memberstatus": "ANSWER",
    }
    return {"callid": call.callid, "members": [{"ext": ext}, *([{"outbound": outbound}] if is_answered else [])]}
