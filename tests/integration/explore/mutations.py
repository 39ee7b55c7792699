"""Defects that the explorer has to find: each replaces some text of the scripts, and breaks one promise."""

from dataclasses import dataclass

from ops.explore.driver import Planted
from ops.explore.world import Plan

# Small enough for a defect to show within a few thousand states.
CALM = Plan("one extension, nothing dies", dies=False, forgets=False)
CALM_TWO = Plan("two extensions, nothing dies", ("1", "2"), dies=False, forgets=False)
CALM_LINE = Plan("one line, nothing dies", ("1", "2"), max_open_calls=1, dies=False, forgets=False)
DEATHS = Plan("one extension, no reply is lost", forgets=False)
OPERATOR = Plan("an operator", acts=frozenset({"cancel", "pause"}))


@dataclass(frozen=True)
class Mutation:
    """
    A defect.

    Attributes:
        name: What is wrong.
        planted: The step or shared part, its text, and the text instead.
        promise: Some words of the promise that it breaks.
        plan: The world that shows it.
        most: States to explore in it.
    """

    name: str
    planted: Planted
    promise: str
    plan: Plan = CALM
    most: int = 8000


MUTATIONS = (
    Mutation(
        "two messages of one job are both granted a claim",
        ("claim", "if not claimed_before and record.state ~= 'released' then", "if not record.state then"),
        "it stands in",
    ),
    Mutation(
        "a dead claim is dialed again without a look",
        (
            "sweep",
            "doubt(id, record, 'worker_lost', ARGV[5], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8]))",
            "back_to_lane(id, sound(id, 'pbx', 'extid', 'hold', 'rank', 'seq'), 0, 0)",
        ),
        "rang 2 times",
        DEATHS,
    ),
    Mutation(
        "a claim takes no permit",
        ("claim", "'tat', stamp(next_permit(limits) + interval)", "'tat', stamp(next_permit(limits))"),
        "calls_per_second",
        CALM_TWO,
    ),
    Mutation(
        "a doubt gives the extension back at once",
        ("moves", "local over_at = NOW + at_most_s + limits.open_call_s", "local over_at = NOW"),
        "while it is in a call",
    ),
    Mutation(
        "a placed call gives its extension back at once",
        ("finish", "if state == 'failed' or nothing_runs then", "if state then"),
        "while it is in a call",
    ),
    Mutation(
        "an open call is not counted",
        ("leases", "redis.call('ZADD', key('lines', record.pbx), line_until, id)", ""),
        "max_open_calls",
        CALM_LINE,
    ),
    Mutation(
        "a claimed job can be cancelled",
        (
            "cancel",
            "if record.state ~= 'waiting' and record.state ~= 'released' then",
            "if FINAL[record.state] then",
        ),
        "its phone rang",
        OPERATOR,
    ),
    Mutation(
        "a lost message is never noticed",
        ("sweep", "ipairs(due(key('released'), NOW - release_ttl_s))", "ipairs({})"),
        "cannot reach its end",
        DEATHS,
        400,
    ),
    Mutation(
        "a dead claim is never noticed",
        ("sweep", "ipairs(due(key('claimed'), NOW))", "ipairs({})"),
        "cannot reach its end",
        DEATHS,
        400,
    ),
    Mutation(
        "a look that is not ended is not made again",
        ("look_turn", "redis.call('ZADD', key('looks'), NOW + lease_s, pbx)", ""),
        "no look at its PBX is due",
        CALM,
    ),
    Mutation(
        "a result is not kept for delivery",
        ("moves", "redis.call('ZADD', key('outbox'), stamp(NOW), id)", ""),
        "not in the outbox",
    ),
    Mutation(
        "a claim does not heed a pause",
        (
            "claim",
            "if is_paused(record.pbx) or is_extension_paused(record.pbx, record.extid) then",
            "if false then",
        ),
        "paused",
        OPERATOR,
    ),
)
