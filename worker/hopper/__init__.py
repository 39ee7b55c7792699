"""All job records and lanes in Redis, and the Lua scripts that alone change them."""

from worker.hopper.answers import (
    Back,
    Barred,
    Breaker,
    Claim,
    Doubted,
    Ended,
    Finished,
    Go,
    LaneView,
    Login,
    LookTurn,
    Moment,
    NoToken,
    NotYours,
    Parked,
    PbxView,
    Receipt,
    SetAside,
    Token,
    Wait,
)
from worker.hopper.connection import connect
from worker.hopper.hopper import Hopper
from worker.hopper.looking import KILL_SWITCH, timeline_of

__all__ = [
    "KILL_SWITCH",
    "Back",
    "Barred",
    "Breaker",
    "Claim",
    "Doubted",
    "Ended",
    "Finished",
    "Go",
    "Hopper",
    "LaneView",
    "Login",
    "LookTurn",
    "Moment",
    "NoToken",
    "NotYours",
    "Parked",
    "PbxView",
    "Receipt",
    "SetAside",
    "Token",
    "Wait",
    "connect",
    "timeline_of",
]
