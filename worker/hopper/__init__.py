"""All job records and lanes in Redis, and the Lua scripts that alone change them."""

from worker.hopper.answers import (
    AuditEntry,
    Back,
    Barred,
    Beat,
    Breaker,
    Claim,
    Delivered,
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
    Pause,
    PbxView,
    Receipt,
    SetAside,
    Token,
    Wait,
)
from worker.hopper.apikeys import Admission, ApiKey
from worker.hopper.audit import ACTS, LONGEST_REASON
from worker.hopper.connection import connect
from worker.hopper.deliveries import Attempt, DeadLetter, Ending, EndpointView, Keeping, Patience
from worker.hopper.history import EndedJob
from worker.hopper.hopper import PUT_BATCH, Hopper
from worker.hopper.job_filter import JobFilter
from worker.hopper.looking import KILL_SWITCH, pause_of, timeline_of
from worker.hopper.orders import Answer, Once, Order
from worker.hopper.overview import Overview, PbxGlance
from worker.hopper.pbxs import LIMITS
from worker.hopper.redials import Redial, Redialed
from worker.hopper.reports import SettingsReport, by_version
from worker.hopper.server import ServerView, server_view
from worker.hopper.unknowns import Unknowns

__all__ = [
    "ACTS",
    "KILL_SWITCH",
    "LIMITS",
    "LONGEST_REASON",
    "PUT_BATCH",
    "Admission",
    "Answer",
    "ApiKey",
    "Attempt",
    "AuditEntry",
    "Back",
    "Barred",
    "Beat",
    "Breaker",
    "Claim",
    "DeadLetter",
    "Delivered",
    "Doubted",
    "Ended",
    "EndedJob",
    "Ending",
    "EndpointView",
    "Finished",
    "Go",
    "Hopper",
    "JobFilter",
    "Keeping",
    "LaneView",
    "Login",
    "LookTurn",
    "Moment",
    "NoToken",
    "NotYours",
    "Once",
    "Order",
    "Overview",
    "Parked",
    "Patience",
    "Pause",
    "PbxGlance",
    "PbxView",
    "Receipt",
    "Redial",
    "Redialed",
    "ServerView",
    "SetAside",
    "SettingsReport",
    "Token",
    "Unknowns",
    "Wait",
    "by_version",
    "connect",
    "pause_of",
    "server_view",
    "timeline_of",
]
