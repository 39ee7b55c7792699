"""All job records and lanes in Redis, and the Lua scripts that alone change them."""

from worker.hopper.answers import (
    Aside,
    Back,
    Barred,
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
    Token,
    Wait,
)
from worker.hopper.connection import connect
from worker.hopper.hopper import Hopper
from worker.hopper.looking import KILL_SWITCH, timeline_of

__all__ = [
    "KILL_SWITCH",
    "Aside",
    "Back",
    "Barred",
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
    "Token",
    "Wait",
    "connect",
    "timeline_of",
]
