"""All job records and lanes in Redis, and the Lua scripts that alone change them."""

from worker.hopper.answers import (
    Back,
    Claim,
    Closed,
    Ended,
    Go,
    LaneView,
    Login,
    NoToken,
    NotYours,
    PbxView,
    Receipt,
    Token,
    Wait,
)
from worker.hopper.connection import connect
from worker.hopper.hopper import Hopper
from worker.hopper.looking import KILL_SWITCH

__all__ = [
    "KILL_SWITCH",
    "Back",
    "Claim",
    "Closed",
    "Ended",
    "Go",
    "Hopper",
    "LaneView",
    "Login",
    "NoToken",
    "NotYours",
    "PbxView",
    "Receipt",
    "Token",
    "Wait",
    "connect",
]
