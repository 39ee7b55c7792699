"""
What the PBX shows of a call nobody is sure of, and what follows from it: one table, and nothing here acts.

A dial request has no key of its own, so what was sent and not answered can only be looked for: the extension's
status, and the outbound calls with their extension, number and beginning. An empty list of calls proves nothing,
for a call is listed only once its extension has answered; the extension's own status tells the time before.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

from worker.hopper import Doubted
from worker.jobs import Doubt
from worker.pbx import ExtensionUse, OutboundCall, Sighting
from worker.settings import LookSettings

# A call that began so long before its claim may still be its own: the PBX's ids count whole seconds, and how far
# its clock is ahead is known from the ids of earlier calls, whose replies took a moment.
_CLOCK_TOLERANCE_S: Final = 5.0
# Of a number rewritten by the outbound route (a prefix taken off or put in front) at least so many digits remain.
_LEAST_COMMON_DIGITS: Final = 3


class Sight(StrEnum):
    """What one look shows of one job."""

    OURS = auto()  # an outbound call of its extension, to its number, begun after its claim
    QUIET = auto()  # the extension is registered and idle, and has no outbound call
    AWAY = auto()  # the extension cannot ring, and has no outbound call
    ENGAGED = auto()  # the extension rings or talks, and nobody can say to whom
    BLIND = auto()  # the PBX could not be asked
    REFUSED = auto()  # the PBX does not answer this question


class Verdict(Enum):
    """What becomes of the job."""

    ADOPT = auto()  # placed: the call that runs is the job's
    RETRY = auto()  # the retry policy decides, as after any attempt that certainly did not ring
    REDIAL = auto()  # the same, because the job wants it: it may have rung
    UNKNOWN = auto()  # the job ends as unknown
    LOOK_AGAIN = auto()


class Waited(Enum):
    """How long the looking must have gone on for a row to apply; see `LookSettings`."""

    AT_ONCE = auto()
    WITHIN_S = auto()
    AT_MOST_S = auto()


@dataclass(frozen=True, slots=True)
class Row:
    """
    One line of the table; the first that fits decides.

    `doubts` and `on_unknown` empty: whatever they are. `engaged_before`: whether the extension was seen in use at
    an earlier look; None: whatever it was. `quiet`: it must have been idle at every look for `quiet_s`.
    `has_callid`: the PBX took the call.
    """

    sights: frozenset[Sight]
    verdict: Verdict
    reason: str
    waited: Waited = Waited.AT_ONCE
    doubts: frozenset[Doubt] = frozenset()
    engaged_before: bool | None = None
    on_unknown: str = ""
    quiet: bool = False
    has_callid: bool = False


_SAID_FAILED = frozenset({Doubt.SAID_FAILED})
_QUIET, _AWAY = frozenset({Sight.QUIET}), frozenset({Sight.AWAY})

TABLE: Final = (
    Row(
        frozenset(Sight),
        Verdict.ADOPT,
        "the PBX took the call and gave its callid, which the worker could not report",
        has_callid=True,
    ),
    Row(frozenset({Sight.OURS}), Verdict.ADOPT, "an outbound call of the extension to this number began since"),
    Row(
        _QUIET | _AWAY,
        Verdict.UNKNOWN,
        "the extension was in use and is free again; whose call it was cannot be seen",
        Waited.WITHIN_S,
        engaged_before=True,
    ),
    Row(
        _QUIET,
        Verdict.RETRY,
        "the PBX said Failed, and the extension has been idle",
        doubts=_SAID_FAILED,
        engaged_before=False,
        quiet=True,
    ),
    Row(
        _QUIET,
        Verdict.LOOK_AGAIN,
        "the PBX said Failed, and the extension has not been seen idle for long enough",
        doubts=_SAID_FAILED,
    ),
    Row(
        _QUIET,
        Verdict.REDIAL,
        "nothing rang while the PBX was looked at, and the job wants a redial",
        Waited.WITHIN_S,
        on_unknown="redial",
        quiet=True,
    ),
    Row(
        _QUIET,
        Verdict.LOOK_AGAIN,
        "the job wants a redial, and the extension has not been seen idle for long enough",
        on_unknown="redial",
    ),
    Row(
        _QUIET | _AWAY,
        Verdict.UNKNOWN,
        "nothing rang while the PBX was looked at; it may have rung before",
        Waited.WITHIN_S,
    ),
    Row(
        frozenset({Sight.REFUSED}),
        Verdict.UNKNOWN,
        "the PBX does not say what its extensions do",
        Waited.WITHIN_S,
    ),
    Row(
        frozenset({Sight.ENGAGED}),
        Verdict.UNKNOWN,
        "the extension is in use; whose call it is cannot be seen",
        Waited.AT_MOST_S,
    ),
    Row(frozenset({Sight.BLIND}), Verdict.UNKNOWN, "the PBX could not be asked", Waited.AT_MOST_S),
    Row(frozenset(Sight), Verdict.LOOK_AGAIN, "it is too early to say"),
)


def sight_of(job: Doubted, seen: Sighting, *, clock_ahead_s: float) -> tuple[Sight, OutboundCall | None]:
    """
    Say what one look shows of one job.

    Args:
        job: In doubt.
        seen: What the PBX showed.
        clock_ahead_s: How far the clock in the PBX's ids is ahead of Redis's, in seconds.

    Returns:
        The sight, and for `OURS` the call.
    """
    began_after = job.claimed_at + clock_ahead_s - _CLOCK_TOLERANCE_S
    for call in seen.calls:
        is_recent = call.began_at is not None and call.began_at >= began_after
        if call.extid == job.extid and is_recent and is_same_number(job.outto, call.outto):
            return Sight.OURS, call
    uses = {
        ExtensionUse.FREE: Sight.QUIET,
        ExtensionUse.AWAY: Sight.AWAY,
        ExtensionUse.IN_USE: Sight.ENGAGED,
    }
    return uses[seen.use_of(job.extid)], None


def decide(job: Doubted, sight: Sight, looks: LookSettings) -> Row:
    """Return the first row of the table that fits a job after a look."""
    reached = {
        Waited.AT_ONCE: True,
        Waited.WITHIN_S: job.waited_s >= looks.within_s,
        Waited.AT_MOST_S: job.waited_s >= looks.at_most_s,
    }
    was_quiet = job.quiet_s is not None and job.quiet_s >= looks.quiet_s
    return next(
        row
        for row in TABLE
        if sight in row.sights
        and reached[row.waited]
        and (not row.doubts or job.doubt in row.doubts)
        and row.engaged_before in (None, job.was_engaged)
        and row.on_unknown in ("", job.on_unknown)
        and (was_quiet or not row.quiet)
        and (job.callid or not row.has_callid)
    )


def is_same_number(dialed: str, shown: str) -> bool:
    """Whether *shown* can be *dialed* after an outbound route took off leading digits or put some in front."""
    ours, theirs = dialed.lstrip("+"), shown.lstrip("+")
    if ours == theirs:
        return True
    shorter, longer = sorted((ours, theirs), key=len)
    return len(shorter) >= _LEAST_COMMON_DIGITS and longer.endswith(shorter)
