"""The decision table, row by row, and what a look shows of a job."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.evidence import TABLE, Sight, Verdict, Waited, decide, is_same_number, sight_of
from worker.hopper import Doubted
from worker.jobs import Doubt
from worker.pbx import ExtensionUse, OutboundCall, Sighting
from worker.settings import LookSettings

LOOKS = LookSettings(every_s=1, quiet_s=3, within_s=10, at_most_s=60)
CLAIMED_AT = 1_495_710_000.0
JOB = Doubted(
    id="j",
    nonce="n",
    pbx="hq",
    extid="1002",
    outto="0205550143",
    doubt=Doubt.LOST_REPLY,
    on_unknown="hold",
    claimed_at=CLAIMED_AT,
    waited_s=0.0,
    was_engaged=False,
    quiet_s=None,
    attempts=1,
    trying_s=0.0,
    errno="reply_lost",
    error="the connection broke before the PBX's reply came",
)
SAID_FAILED = replace(JOB, doubt=Doubt.SAID_FAILED, errno="30001")
WORKER_LOST = replace(JOB, doubt=Doubt.WORKER_LOST, errno="worker_lost")


def doubted(job: Doubted, waited_s: float, *, quiet_s: float | None = None, was_engaged: bool = False) -> Doubted:
    return replace(job, waited_s=waited_s, quiet_s=quiet_s, was_engaged=was_engaged)


@pytest.mark.parametrize("job", [JOB, SAID_FAILED, WORKER_LOST])
def test_the_jobs_own_call_is_adopted_whenever_it_is_seen(job: Doubted) -> None:
    for waited_s in (0, 20, 100):
        assert decide(doubted(job, waited_s, was_engaged=True), Sight.OURS, LOOKS).verdict is Verdict.ADOPT


@pytest.mark.parametrize("job", [JOB, SAID_FAILED, WORKER_LOST])
@pytest.mark.parametrize("sight", list(Sight))
def test_a_job_with_a_callid_was_placed_whatever_is_seen(job: Doubted, sight: Sight) -> None:
    assert decide(replace(job, callid="1700000000.17"), sight, LOOKS).verdict is Verdict.ADOPT


def test_said_failed_and_idle_for_long_enough_is_tried_again() -> None:
    assert decide(doubted(SAID_FAILED, 0), Sight.QUIET, LOOKS).verdict is Verdict.LOOK_AGAIN
    assert decide(doubted(SAID_FAILED, 2.9, quiet_s=2.9), Sight.QUIET, LOOKS).verdict is Verdict.LOOK_AGAIN
    assert decide(doubted(SAID_FAILED, 3, quiet_s=3), Sight.QUIET, LOOKS).verdict is Verdict.RETRY
    # Nobody looked for long, for the looker had died: the quiet has to be seen all the same.
    assert decide(doubted(SAID_FAILED, 90), Sight.QUIET, LOOKS).verdict is Verdict.LOOK_AGAIN


def test_said_failed_is_not_tried_again_once_the_extension_was_in_use() -> None:
    job = doubted(SAID_FAILED, 9, quiet_s=9, was_engaged=True)
    assert decide(job, Sight.QUIET, LOOKS).verdict is Verdict.LOOK_AGAIN
    assert decide(replace(job, waited_s=10), Sight.QUIET, LOOKS).verdict is Verdict.UNKNOWN


def test_said_failed_is_not_tried_again_where_the_extension_cannot_ring() -> None:
    assert decide(doubted(SAID_FAILED, 9), Sight.AWAY, LOOKS).verdict is Verdict.LOOK_AGAIN
    assert decide(doubted(SAID_FAILED, 10), Sight.AWAY, LOOKS).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("job", [JOB, WORKER_LOST])
@pytest.mark.parametrize("sight", [Sight.QUIET, Sight.AWAY])
def test_a_lost_reply_where_nothing_was_seen_is_unknown(job: Doubted, sight: Sight) -> None:
    assert decide(doubted(job, 9.9, quiet_s=9.9), sight, LOOKS).verdict is Verdict.LOOK_AGAIN
    assert decide(doubted(job, 10, quiet_s=10), sight, LOOKS).verdict is Verdict.UNKNOWN


def test_a_lost_reply_is_redialed_only_where_the_job_wants_it_and_nothing_was_seen() -> None:
    wants = replace(doubted(JOB, 10, quiet_s=10), on_unknown="redial")
    assert decide(replace(wants, waited_s=9.9), Sight.QUIET, LOOKS).verdict is Verdict.LOOK_AGAIN
    assert decide(wants, Sight.QUIET, LOOKS).verdict is Verdict.REDIAL
    assert decide(replace(wants, was_engaged=True), Sight.QUIET, LOOKS).verdict is Verdict.UNKNOWN
    assert decide(wants, Sight.ENGAGED, LOOKS).verdict is Verdict.LOOK_AGAIN


def test_an_extension_in_use_is_looked_at_for_as_long_as_a_phone_may_ring() -> None:
    assert decide(doubted(JOB, 59), Sight.ENGAGED, LOOKS).verdict is Verdict.LOOK_AGAIN
    assert decide(doubted(JOB, 60), Sight.ENGAGED, LOOKS).verdict is Verdict.UNKNOWN


def test_a_pbx_that_cannot_be_asked_is_asked_again_one_that_refuses_is_not() -> None:
    assert decide(doubted(JOB, 59), Sight.BLIND, LOOKS).verdict is Verdict.LOOK_AGAIN
    assert decide(doubted(JOB, 60), Sight.BLIND, LOOKS).verdict is Verdict.UNKNOWN
    assert decide(doubted(JOB, 10), Sight.REFUSED, LOOKS).verdict is Verdict.UNKNOWN


jobs = st.builds(
    replace,
    st.just(JOB),
    doubt=st.sampled_from(Doubt),
    on_unknown=st.sampled_from(["hold", "redial"]),
    waited_s=st.floats(0, 1000),
    was_engaged=st.booleans(),
    quiet_s=st.none() | st.floats(0, 1000),
)


@given(jobs, st.sampled_from(Sight))
def test_nothing_is_dialed_again_unless_the_extension_was_idle_all_the_time(job: Doubted, sight: Sight) -> None:
    verdict = decide(job, sight, LOOKS).verdict
    if verdict in (Verdict.RETRY, Verdict.REDIAL):
        assert sight is Sight.QUIET
        assert not job.was_engaged
    if verdict is Verdict.RETRY:
        assert job.doubt is Doubt.SAID_FAILED
        assert job.quiet_s is not None
        assert job.quiet_s >= LOOKS.quiet_s
    if verdict is Verdict.REDIAL:
        assert job.quiet_s is not None
        assert job.quiet_s >= LOOKS.quiet_s
        assert job.on_unknown == "redial"
        assert job.waited_s >= LOOKS.within_s
    assert (verdict is Verdict.ADOPT) == (sight is Sight.OURS)
    if verdict is Verdict.LOOK_AGAIN:
        in_time = job.waited_s < LOOKS.at_most_s
        idle_soon = sight is Sight.QUIET and (job.quiet_s or 0) < LOOKS.quiet_s
        assert in_time or idle_soon, "the looking ends"


def test_every_row_has_a_reason_of_its_own_and_the_last_fits_everything() -> None:
    assert len({row.reason for row in TABLE}) == len(TABLE)
    last = TABLE[-1]
    assert last.sights == frozenset(Sight)
    assert (last.waited, last.doubts, last.engaged_before, last.on_unknown) == (
        Waited.AT_ONCE,
        frozenset(),
        None,
        "",
    )


def call(
    *, extid: str = "1002", outto: str = "0205550143", began_at: float | None = CLAIMED_AT + 1
) -> OutboundCall:
    return OutboundCall("1495710001.334", extid, outto, began_at)


def sight(*calls: OutboundCall, use: ExtensionUse = ExtensionUse.IN_USE, ahead_s: float = 0) -> Sight:
    return sight_of(JOB, Sighting({"1002": use}, calls), clock_ahead_s=ahead_s)[0]


def test_a_call_is_ours_by_extension_number_and_beginning() -> None:
    assert sight(call()) is Sight.OURS
    assert sight(call(outto="90205550143")) is Sight.OURS, "the route put an outside-line prefix in front"
    assert sight(call(outto="205550143")) is Sight.OURS, "the route took the trunk prefix off"
    assert sight(call(outto="0205550199")) is Sight.ENGAGED, "another number"
    assert sight(call(began_at=CLAIMED_AT - 6)) is Sight.ENGAGED, "it began before the claim"
    assert sight(call(began_at=None)) is Sight.ENGAGED, "nobody knows when it began"
    assert sight(call(extid="1003"), use=ExtensionUse.FREE) is Sight.QUIET, "another extension's"


def test_the_pbxs_clock_is_allowed_for() -> None:
    assert sight(call(began_at=CLAIMED_AT + 3601), ahead_s=3600) is Sight.OURS
    assert sight(call(began_at=CLAIMED_AT + 1), ahead_s=3600) is Sight.ENGAGED
    assert sight(call(began_at=CLAIMED_AT - 3599), ahead_s=-3600) is Sight.OURS


def test_the_extensions_status_counts_where_no_call_is_listed() -> None:
    assert sight(use=ExtensionUse.FREE) is Sight.QUIET
    assert sight(use=ExtensionUse.IN_USE) is Sight.ENGAGED
    assert sight(use=ExtensionUse.AWAY) is Sight.AWAY
    assert sight_of(JOB, Sighting({}, ()), clock_ahead_s=0)[0] is Sight.AWAY, "not listed at all"


@pytest.mark.parametrize(
    ("dialed", "shown", "same"),
    [
        ("41000", "41000", True),
        ("41000", "941000", True),
        ("941000", "41000", True),
        ("+442079460018", "442079460018", True),
        ("+442079460018", "00442079460018", True),
        ("41000", "41001", False),
        ("41000", "00", False),
        ("41000", "", False),
    ],
)
def test_a_number_survives_an_outbound_route(dialed: str, shown: str, *, same: bool) -> None:
    assert is_same_number(dialed, shown) is same
