"""The chaos suite can fail: for each promise, evidence that breaks it and is found, and nothing else is."""

from dataclasses import replace
from pathlib import Path

import pytest

from ops.chaos.account import Account, Evidence, Job, Moment, Violation
from ops.chaos.faults.fault import Fault
from ops.chaos.history import histories
from ops.chaos.plan import Deed
from ops.chaos.table import table_of
from ops.pbx_simulator import Hit, Ring

NUMBER = "0205550100"
CALLID = "1700000000.100"
PLACED = {"state": "placed", "callid": CALLID, "claimed_at": "1000.0", "finished_at": "1000.2"}
UNKNOWN = {"state": "unknown", "errno": "reply_lost", "claimed_at": "1000.0", "finished_at": "1000.2"}


def fault(*, stops_dialing: bool = False, spoils: bool = False, lingers_s: float = 0) -> Fault:
    return Fault(lambda *_: None, (), 0, stops_dialing=stops_dialing, spoils=spoils, lingers_s=lingers_s)


TRAITS = {
    "worker killed": fault(spoils=True),
    "path dead": fault(spoils=True, lingers_s=12),
    "scripts flushed": fault(),
    "redis killed": fault(stops_dialing=True, spoils=True),
    "pbx restarted": fault(stops_dialing=True, spoils=True),
}


def job(job_id: str = "j1", pbx: str = "hq", **changes: object) -> Job:
    values: dict[str, object] = {"extid": "1000", "outto": NUMBER, "record": PLACED, "delivered": None}
    return Job(job_id, pbx, **(values | changes))  # type: ignore[arg-type]


def ring(t: float = 1000.1, callid: str = CALLID, *, extid: str = "1000", outto: str = NUMBER) -> Ring:
    return Ring(t, extid, outto, callid)


def hit(t: float = 1000.1, *, kind: str = "drop_after_ring", resource: str = "dial_outbound") -> Hit:
    return Hit(t, kind, resource, "1000", NUMBER)


def deed(kind: str, began_at: float, ended_at: float, part: str = "a", **changes: object) -> Deed:
    return Deed(kind, part, began_at, ended_at, **changes)  # type: ignore[arg-type]


def account(
    *jobs: Job, rings: tuple[Ring, ...] = (), hits: tuple[Hit, ...] = (), deeds: tuple[Deed, ...] = ()
) -> Account:
    return Account(
        Evidence(
            jobs=jobs,
            rings={"hq": rings, "branch": ()},
            hits={"hq": hits, "branch": ()},
            deeds=deeds,
            traits=TRAITS,
            call_s=7,
            handed_in_until=2000,
        )
    )


def broken(found: Account) -> list[str]:
    return [violation.kind for violation in found.violations]


def test_a_run_in_which_all_went_well_holds() -> None:
    found = account(
        job(delivered="placed"),
        job("j2", extid="1001", record={"state": "expired"}),
        job("j3", extid="1002", record={"state": "cancelled"}),
        rings=(ring(),),
    )
    assert found.held
    assert broken(found) == []


@pytest.mark.parametrize("state", ["waiting", "released", "claimed", "no-such-state"])
def test_a_job_that_never_ended_is_lost(state: str) -> None:
    assert broken(account(job(record={"state": state}))) == ["lost"]


def test_a_job_without_a_record_is_lost() -> None:
    assert broken(account(job(record={}))) == ["lost"]


def test_a_phone_that_rang_twice_is_found() -> None:
    rings = (ring(), ring(1009, "1700000000.200"))
    assert broken(account(job(), rings=rings)) == ["rung twice"]
    asked_for = account(job(may_ring_again=True, record=PLACED | {"attempts": "2"}), rings=rings)
    assert asked_for.held
    assert asked_for.redials() == (1, 1, 1)


def test_an_unknown_job_that_rang_twice_is_found() -> None:
    rings = (ring(), ring(1009, "1700000000.200"))
    assert broken(account(job(record=UNKNOWN), rings=rings, hits=(hit(),))) == ["rung twice"]


def test_the_same_pair_on_another_pbx_is_another_phone() -> None:
    found = account(job(), job("j2", pbx="branch", record={"state": "expired"}), rings=(ring(),))
    assert found.held


@pytest.mark.parametrize(
    ("record", "rings"),
    [
        (PLACED, ()),
        (PLACED, (ring(callid="1700000000.999"),)),
        ({"state": "placed"}, (ring(),)),
        ({"state": "placed", "outboundid": "1700000000.100"}, (ring(),)),
        ({"state": "placed", "outboundid": "1700000000.101"}, ()),
    ],
)
def test_a_placed_job_must_have_rung_under_its_own_id(record: dict[str, str], rings: tuple[Ring, ...]) -> None:
    assert broken(account(job(record=record), rings=rings)) == ["placed without a ring"]


def test_an_adopted_job_is_known_by_its_outbound_leg() -> None:
    found = account(job(record={"state": "placed", "outboundid": "1700000000.101"}), rings=(ring(),))
    assert found.held
    assert len(found.adopted()) == 1


@pytest.mark.parametrize("state", ["failed", "cancelled", "expired", "refused"])
def test_what_certainly_did_not_ring_must_not_have_rung(state: str) -> None:
    hits = (hit(kind="errno"),)
    found = account(job(record={"state": state, "attempts": "1"}), rings=(ring(),), hits=hits)
    assert broken(found) == ["rang against its record"]


def test_a_job_fails_by_faults_at_its_own_requests_alone() -> None:
    failed = job(record={"state": "failed", "attempts": "2", "errno": "http_404"})
    deeds = (deed("path dead", 999, 1001),)

    assert broken(account(failed, hits=(hit(kind="http_status"),), deeds=deeds)) == ["failed without a cause"]
    assert account(failed, hits=(hit(kind="errno"), hit(1000.3, kind="errno"))).held
    assert broken(account(job(record={"state": "failed"}))) == ["failed without a cause"]


def test_a_ring_that_no_job_asked_for_is_found_and_its_number_masked() -> None:
    found = account(job(), rings=(ring(), ring(outto="0205550177", callid="1700000000.300")))
    assert broken(found) == ["rang for nobody"]
    assert "0205550177" not in found.violations[0].sentence


def test_an_unknown_job_needs_a_cause() -> None:
    unknown = job(record=UNKNOWN)
    assert broken(account(unknown)) == ["unknown without a cause"]
    assert account(unknown, hits=(hit(),)).held
    assert account(unknown, deeds=(deed("worker killed", 1000.1, 1000.1),)).held


@pytest.mark.parametrize(
    "no_cause",
    [
        {"hits": (hit(1010),)},  # long after
        {"hits": (hit(resource="outbound/query"),)},  # at a look, not at the call
        {"deeds": (deed("worker killed", 990, 990),)},  # long before
        {"deeds": (deed("worker killed", 1000.1, 1000.1, missed=True),)},
        {"deeds": (deed("scripts flushed", 1000.1, 1000.1),)},  # nothing that may spoil a call
        {"deeds": (deed("pbx restarted", 1000.1, 1002, "branch"),)},  # of another PBX
    ],
)
def test_a_fault_that_cannot_have_touched_a_job_is_no_cause(no_cause: dict[str, tuple[object, ...]]) -> None:
    found = account(job(record=UNKNOWN), **no_cause)  # type: ignore[arg-type]
    assert broken(found) == ["unknown without a cause"]


def test_a_fault_that_lingers_is_a_cause_for_a_while() -> None:
    assert account(job(record=UNKNOWN), deeds=(deed("path dead", 988, 990),)).held
    assert not account(job(record=UNKNOWN), deeds=(deed("path dead", 980, 985),)).held


def test_a_cause_must_fall_into_the_last_attempt() -> None:
    timeline = (Moment(980, "claimed"), Moment(981, "put off"), Moment(1000, "claimed"), Moment(1000.2, "unknown"))
    unknown = job(record=UNKNOWN, timeline=timeline)
    assert broken(account(unknown, hits=(hit(980.5),))) == ["unknown without a cause"]
    assert account(unknown, hits=(hit(1000.1),)).held


@pytest.mark.parametrize("delivered", ["", "unknown"])
def test_the_results_backend_must_tell_the_same(delivered: str) -> None:
    assert broken(account(job(delivered=delivered), rings=(ring(),))) == ["told otherwise"]


def test_complaints_break_a_run_by_themselves() -> None:
    evidence = replace(
        account(job(), rings=(ring(),)).evidence, complaints=(Violation("leak", "a.log shows a token"),)
    )
    assert broken(Account(evidence)) == ["leak"]


def doubted(job_id: str, number: str, state: str) -> Job:
    timeline = (Moment(1000, "claimed", "dialer1.77@host"), Moment(1002, "doubted"), Moment(1005, state))
    record = {"state": state} | ({"outboundid": "1700000000.101"} if state == "placed" else {"errno": "no_reply"})
    return job(job_id, outto=number, record=record, timeline=timeline)


def test_share_of_doubts_that_were_resolved_counts_calls_still_up() -> None:
    found = account(
        doubted("j1", "0205550101", "placed"),
        doubted("j2", "0205550102", "unknown"),
        doubted("j3", "0205550103", "unknown"),  # its call was over by then
        doubted("j4", "0205550104", "unknown"),  # it never rang
        rings=(
            ring(1000.1, outto="0205550101"),
            ring(1000.1, outto="0205550102"),
            ring(994, outto="0205550103"),
        ),
        deeds=(deed("worker killed", 1000, 1000),),
    )
    assert found.held
    assert [one.job_id for one in found.doubtful_in_call()] == ["j1", "j2"]
    assert [one.job_id for one in found.resolved()] == ["j1"]
    assert len(found.unknown_that_rang()) == 2


def test_a_call_that_ended_at_once_could_not_be_seen() -> None:
    late = doubted("j1", NUMBER, "unknown")
    cause = deed("worker killed", 1000, 1000)
    restart = deed("pbx restarted", 1002.5, 1004.5, "hq")
    assert account(late, rings=(ring(1000.1),), deeds=(cause,)).out_of_sight() == []
    assert account(late, rings=(ring(995.5),), deeds=(cause,)).out_of_sight() == [late]
    assert account(late, rings=(ring(1000.1),), deeds=(cause, restart)).out_of_sight() == [late]
    died = account(late, rings=(ring(1000.1),), hits=(hit(1002.5, kind="restart"),), deeds=(cause,))
    assert died.out_of_sight() == [late]


def test_a_restart_of_the_pbx_ends_its_calls() -> None:
    restart = deed("pbx restarted", 1001, 1003, "hq")
    found = account(doubted("j1", NUMBER, "unknown"), rings=(ring(),), deeds=(restart,))
    assert found.doubtful_in_call() == []


def test_worst_recovery_is_the_longest_wait_for_a_ring_after_a_fault() -> None:
    rings = (ring(1001), ring(1012.5, "1700000000.3", outto="0205550101"))
    jobs = (job(), job("j2", outto="0205550101", record=PLACED | {"callid": "1700000000.3"}))
    deeds = (deed("redis killed", 999, 1000, "redis"), deed("redis killed", 1009, 1010, "redis"))
    worst = account(*jobs, rings=rings, deeds=deeds).worst_recovery()
    assert worst == (2.5, deeds[1])


def test_longest_standstill_is_that_of_a_killed_workers_job() -> None:
    mine = (Moment(1000, "claimed", "dialer1.77@a-long"), Moment(1006, "doubted"), Moment(1007, "unknown"))
    other = (Moment(1000, "claimed", "dialer2.77@a-long"), Moment(1031, "placed"))
    taken = (Moment(1000, "released", "dialer2.77@a-long"), Moment(1005, "waiting"))
    jobs = [job(str(n), record=UNKNOWN, timeline=timeline) for n, timeline in enumerate((mine, other, taken))]
    killed = deed("worker killed", 1001, 1001, killed=("dialer1.77@a-long-host",))
    assert account(*jobs, deeds=(killed,)).longest_standstill() == 5
    assert account(*jobs).longest_standstill() is None


def test_table_and_history_tell_all_of_a_bad_job_but_its_number(tmp_path: Path) -> None:
    timeline = (
        Moment(1000, "claimed", "dialer1.77@host"),
        Moment(1000.2, "unknown", "dialer1.77@host", "no_reply"),
    )
    bad = job("j1", record=UNKNOWN, timeline=timeline)
    log = tmp_path / "crew-a.log"
    log.write_text('{"event":"call_ended","job_id":"j1"}\n{"event":"call_ended","job_id":"j2"}\n')
    killed = deed("worker killed", 1000.1, 1000.1, note="dialer1.77@host")
    found = account(bad, rings=(ring(), ring(1009, "1700000000.200")), hits=(hit(),), deeds=(killed,))
    text = "\n".join(histories(found, [log]))
    for part in (
        "rung twice: job j1: it rang 2 times",
        "no_reply",
        "RING",
        "drop_after_ring",
        "worker killed",
        "j1",
    ):
        assert part in text
    assert "j2" not in text
    assert NUMBER not in text
    assert table_of(found, seed=1).row_count > 10
