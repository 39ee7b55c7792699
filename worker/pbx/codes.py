"""
What each error code of the Yeastar S-Series means for a dialer, and where that is written.

Sources: the vendor's S-Series API guides v1.0.x, v1.1.0 and v2.0.0, error code pages ("guide"); the page of
`extension/dial_outbound` ("dial page"); `docs/adr/0005-outcomes.md` where the guide is silent ("ours").
P-Series codes overlap with other meanings and will have a table of their own.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Advice(Enum):
    """What a dialer does when the PBX answers with a code."""

    FAIL = auto()  # the same request will fail again
    EXTENSION_BUSY = auto()  # not placed; the lane waits
    LINE_BUSY = auto()  # not placed; the job waits
    PBX_DOWN = auto()  # not placed, and no fault of this job: the PBX rests
    PBX_REFUSES = auto()  # the same, for requests of this kind
    LOG_IN = auto()  # the token is no good; the call was not placed
    LOOK_FIRST = auto()  # the call may have begun in spite of the code
    LOOK_AND_REST = auto()  # the same, and the code blames the PBX: it rests
    LOGIN_LOCKED = auto()  # no log-in from this address for 10 minutes
    LOGIN_REFUSED = auto()  # wrong settings; trying again earns a lock-out


@dataclass(frozen=True, slots=True)
class Code:
    """One line of the table: `meaning` is shown to operators and holds no data of a call."""

    meaning: str
    advice: Advice
    source: str


_GUIDE, _DIAL, _V1_1, _V2 = "guide v1.0", "dial page", "guide v1.1", "guide v2.0"

CODES: dict[str, Code] = {
    "10002": Code("the PBX does not support XML requests", Advice.PBX_REFUSES, _GUIDE),
    "10003": Code("the PBX does not know this request; check the api setting", Advice.PBX_REFUSES, _GUIDE),
    "10004": Code("a required parameter is blank", Advice.FAIL, _DIAL),
    "10005": Code("the callid does not exist", Advice.FAIL, _V2),
    "10006": Code("the extension does not exist", Advice.FAIL, _DIAL),
    "10007": Code("the call does not exist", Advice.FAIL, _GUIDE),
    # Documented for monitoring only; ours: where it appears on dialing, nothing was placed.
    "10008": Code("the extension is not idle", Advice.EXTENSION_BUSY, "guide v1.0, ours"),
    "10011": Code("the called number does not exist", Advice.FAIL, _GUIDE),
    "10012": Code("the IVR does not exist", Advice.FAIL, _GUIDE),
    "10013": Code("the queue does not exist", Advice.FAIL, _GUIDE),
    "10014": Code("the ring group does not exist", Advice.FAIL, _GUIDE),
    "10024": Code("the extension may not make outbound calls; change its outbound route", Advice.FAIL, _GUIDE),
    # Printed with a leading 1 on the dial page and in no table; the same guide prints 100021 for 10021.
    "100024": Code("the extension may not make outbound calls; change its outbound route", Advice.FAIL, _DIAL),
    "10025": Code("the PBX's configuration is applied too often", Advice.PBX_DOWN, _GUIDE),
    "10027": Code("the GSM module is in use", Advice.LINE_BUSY, _GUIDE),
    "10028": Code("the number is blank", Advice.FAIL, _V1_1),
    "10031": Code("the number is not acceptable", Advice.FAIL, _V1_1),
    "20000": Code("the PBX takes JSON only", Advice.PBX_REFUSES, _GUIDE),
    "20001": Code("the PBX takes POST only", Advice.PBX_REFUSES, _GUIDE),
    "20002": Code("log-in is locked after too many wrong passwords", Advice.LOGIN_LOCKED, _GUIDE),
    "20003": Code("wrong user name or password", Advice.LOGIN_REFUSED, _GUIDE),
    "20004": Code("the PBX does not know the token", Advice.LOG_IN, _GUIDE),
    "20005": Code("the token is blank", Advice.LOG_IN, _GUIDE),
    "20006": Code("the token has timed out", Advice.LOG_IN, _GUIDE),
    "20007": Code("the request has no data", Advice.PBX_REFUSES, _GUIDE),
    "20008": Code("the event port in the log-in is wrong", Advice.LOGIN_REFUSED, _GUIDE),
    "20009": Code("the request is blank", Advice.PBX_REFUSES, _GUIDE),
    # The PBX could not hand the request on, or says so after handing it on: look.
    "20010": Code(
        "the PBX could not hand the request to its API service", Advice.LOOK_AND_REST, "guide v1.0, ours"
    ),
    # "API codes error"; the Chinese edition says memory for the JSON ran out. Whether the call began is not said.
    "30001": Code("the PBX had an internal error", Advice.LOOK_FIRST, "dial page, ours"),
    "30003": Code("the PBX's API service is not running", Advice.PBX_DOWN, _V1_1),
}

UNKNOWN_CODE = Code("the PBX gave a code that is in no table", Advice.FAIL, "ours")


def code(errno: str) -> Code:
    """Return the line for *errno*; a code in no table fails the job and is kept."""
    return CODES.get(errno, UNKNOWN_CODE)
