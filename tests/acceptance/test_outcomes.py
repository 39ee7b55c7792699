"""What a PBX or the network does to one call, and what the job comes to: real workers, HTTPS, journal."""

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ops.children import children_of
from ops.embedded_redis import EmbeddedRedis
from ops.installation import GENEROUS_S, PATIENT, Installation, SimulatedPbx, eventually, installation
from ops.ports import connections_to
from worker.errors import CallNotPlaced, CallOutcomeUnknown
from worker.jobs import DialJob, DialResult, JobState

NUMBER = "0205550143"


@pytest.fixture(scope="module")
def site(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("outcomes")
    extensions = ("--extensions", "1000-1099", "--no-outbound", "1090")
    hq = (*extensions, "--ring-s", "0.05", "--talk-s", "0.1")
    # Calls that are up whenever somebody looks, and calls that are over before anybody can.
    talkative = (*extensions, "--ring-s", "0.1", "--talk-s", "600")
    brief = (*extensions, "--ring-s", "0", "--talk-s", "0")
    pbxs = {"hq": hq, "talkative": talkative, "modern": talkative, "brief": brief}
    with installation(folder, redis_server, "outcomes", **pbxs) as site:
        # These do not answer some requests, which is waited for in vain.
        silent = {"read_timeout_s": 2}
        # So many replies in a row are lost here that the rests would grow long.
        breaker = {"breaker": {"dial_cap_s": 0.5}}
        site.write_settings(
            of_pbx=dict.fromkeys(("talkative", "modern", "brief"), silent),
            apis={"modern": "yeastar-s-v2.0"},
            sections=breaker,
            **PATIENT,
        )
        # Nothing in the environment may come between worker and PBX.
        proxy = "http://127.0.0.1:9"
        with site.workers(HTTPS_PROXY=proxy, https_proxy=proxy, ALL_PROXY=proxy, REQUESTS_CA_BUNDLE="/dev/null"):
            yield site


@pytest.fixture
def pbx(site: Installation) -> SimulatedPbx:
    return site.pbxs["hq"]


def dial(site: Installation, extid: str, *, pbx: str = "hq", **fields: Any) -> DialResult:
    receipt = site.hopper.put(DialJob(extid=extid, outto=NUMBER, pbx=pbx, **fields))
    return site.end_of(receipt.id)


def test_a_call_is_placed_and_its_callid_comes_back(site: Installation, pbx: SimulatedPbx) -> None:
    result = dial(site, "1001", metadata={"lead": "L-1"})

    [ring] = pbx.rings("1001")
    assert (result.state, result.callid, result.attempts) == (JobState.PLACED, ring.callid, 1)
    assert ring.outto == NUMBER
    plain = site.plain_celery().AsyncResult(result.job_id)
    assert plain.get(timeout=GENEROUS_S) == result.plain()
    assert plain.state == "SUCCESS"


@pytest.mark.parametrize(("errno", "extid", "attempts"), [("30001", "1002", 3), ("20010", "1006", 1)])
def test_failed_without_a_ringing_phone_is_looked_at_and_tried_again(
    site: Installation, pbx: SimulatedPbx, errno: str, extid: str, attempts: int
) -> None:
    pbx.fault(kind="errno", errno=errno, times=2, extid=extid)
    result = dial(site, extid)
    assert (result.state, result.attempts, result.errno) == (JobState.PLACED, attempts, None)
    assert [ring.callid for ring in pbx.rings(extid)] == [result.callid]


@pytest.mark.parametrize("errno", ["30001", "20010"])
def test_failed_with_a_ringing_phone_is_not_tried_again(site: Installation, pbx: SimulatedPbx, errno: str) -> None:
    extid = "1003" if errno == "30001" else "1004"
    pbx.control("extensions", {"extid": extid, "status": "Busy"})
    pbx.fault(kind="errno", errno=errno, extid=extid)
    result = dial(site, extid)
    assert (result.state, result.errno, result.attempts) == (JobState.UNKNOWN, errno, 1)


def test_gives_up_after_max_attempts(site: Installation, pbx: SimulatedPbx) -> None:
    pbx.fault(kind="errno", errno="30001", times=None, extid="1005")
    result = dial(site, "1005")
    assert (result.state, result.errno, result.attempts) == (JobState.FAILED, "30001", 5)
    assert pbx.rings("1005") == []


@pytest.mark.parametrize(
    ("extid", "rule", "errno"),
    [
        ("1999", None, "10006"),
        ("1090", None, "100024"),
        ("1010", {"kind": "errno", "errno": "10024"}, "10024"),
        ("1011", {"kind": "errno", "errno": "31337"}, "31337"),
        ("1012", {"kind": "errno", "errno": "10011", "status_word": "Failure"}, "10011"),
        ("1013", {"kind": "http_status", "status": 422}, "http_422"),
    ],
)
def test_what_would_fail_again_is_not_tried_again(
    site: Installation, pbx: SimulatedPbx, extid: str, rule: dict[str, Any] | None, errno: str
) -> None:
    if rule:
        pbx.fault(**rule, extid=extid, times=None)
    result = dial(site, extid)

    assert (result.state, result.errno, result.attempts, result.callid) == (JobState.FAILED, errno, 1, None)
    assert result.error
    assert pbx.rings(extid) == []
    with pytest.raises(CallNotPlaced) as raised:
        site.plain_celery().AsyncResult(result.job_id).get(timeout=GENEROUS_S)
    assert raised.value.args[1] == result.plain()
    assert errno in str(raised.value)


NOT_ABOUT_THE_JOB = [
    *({"kind": "http_status", "status": status} for status in (401, 403, 404, 405, 407, 413, 429, 431)),
    *({"kind": "redirect", "status": status} for status in (301, 308)),
    *(
        {"kind": "errno", "errno": errno}
        for errno in ("10002", "10003", "10025", "10027", "20002", "20003", "20007")
    ),
]


@pytest.mark.parametrize("rule", NOT_ABOUT_THE_JOB, ids=lambda rule: str(rule.get("status", rule.get("errno"))))
def test_what_is_not_about_the_job_costs_no_attempt(
    site: Installation, pbx: SimulatedPbx, rule: dict[str, Any]
) -> None:
    extid = str(1070 + NOT_ABOUT_THE_JOB.index(rule))
    pbx.fault(**rule, extid=extid, times=2)
    result = dial(site, extid)
    assert (result.state, result.attempts, len(pbx.rings(extid))) == (JobState.PLACED, 1, 1)


def test_a_burst_of_refusals_opens_the_breaker_and_fails_no_job(site: Installation, pbx: SimulatedPbx) -> None:
    opened = site.worker_log.read_text().count('"breaker_opened"')
    pbx.fault(kind="http_status", status=404, times=None)
    receipts = [site.hopper.put(DialJob(extid=f"10{n}", outto=NUMBER, pbx="hq")) for n in range(50, 60)]
    eventually(lambda: site.worker_log.read_text().count('"breaker_opened"') > opened)
    pbx.heal()
    results = [site.end_of(receipt.id) for receipt in receipts]
    assert {(result.state, result.attempts) for result in results} == {(JobState.PLACED, 1)}


def test_a_pbx_that_asks_for_a_rest_gets_it(site: Installation, pbx: SimulatedPbx) -> None:
    asked = len(pbx.hits())
    pbx.fault(kind="http_status", status=429, retry_after="2")
    receipts = [site.hopper.put(DialJob(extid=f"10{n}", outto=NUMBER, pbx="hq")) for n in range(50, 60)]
    results = [site.end_of(receipt.id) for receipt in receipts]

    assert {(result.state, result.attempts) for result in results} == {(JobState.PLACED, 1)}
    [hit] = pbx.hits()[asked:]
    [last] = [ring for ring in pbx.rings() if ring.extid == hit.extid][-1:]
    assert last.t - hit.t >= 1.9


def test_time_in_the_backlog_does_not_count_as_time_of_trying(site: Installation, pbx: SimulatedPbx) -> None:
    site.hopper.pause("hq")
    receipt = site.hopper.put(DialJob(extid="1007", outto=NUMBER, pbx="hq"))
    long_ago = f"{site.hopper.now() - 2 * site.settings.retry.deadline_s:.6f}"
    site.hopper.client.hset(site.hopper.keys.job(receipt.id), "enqueued_at", long_ago)
    pbx.fault(kind="errno", errno="30001", extid="1007")
    site.hopper.resume("hq")
    result = site.end_of(receipt.id)
    assert (result.state, result.attempts) == (JobState.PLACED, 2)


LOST_AFTER_THE_RING = [
    ("1020", {"kind": "drop_after_ring"}, "reply_lost"),
    ("1021", {"kind": "hang", "ring": True}, "no_reply"),
    ("1022", {"kind": "http_status", "status": 502, "ring": True}, "http_502"),
    ("1023", {"kind": "garbage", "ring": True}, "unreadable"),
    ("1024", {"kind": "slow_body", "delay_s": 0.4}, "no_reply"),
]


@pytest.mark.parametrize(("extid", "rule", "errno"), LOST_AFTER_THE_RING)
def test_a_call_whose_reply_was_lost_is_found_running(
    site: Installation, extid: str, rule: dict[str, Any], errno: str
) -> None:
    talkative = site.pbxs["talkative"]
    talkative.fault(**rule, extid=extid, times=None)
    result = dial(site, extid, pbx="talkative", on_unknown="redial")

    [ring] = talkative.rings(extid)
    assert (result.state, result.callid, result.errno, result.attempts) == (JobState.PLACED, None, None, 1)
    epoch, sequence = ring.callid.split(".")
    assert result.outboundid == f"{epoch}.{int(sequence) + 1}"
    assert errno in [moment.reason for moment in site.hopper.timeline(result.job_id)]
    assert site.plain_celery().AsyncResult(result.job_id).get(timeout=GENEROUS_S) == result.plain()


@pytest.mark.parametrize(("extid", "rule", "errno"), LOST_AFTER_THE_RING[:2])
def test_a_pbx_of_version_2_shows_the_callid_of_a_call_whose_reply_was_lost(
    site: Installation, extid: str, rule: dict[str, Any], errno: str
) -> None:
    modern = site.pbxs["modern"]
    modern.fault(**rule, extid=extid, times=None)
    result = dial(site, extid, pbx="modern")

    [ring] = modern.rings(extid)
    assert (result.state, result.callid, result.outboundid) == (JobState.PLACED, ring.callid, None)
    assert errno in [moment.reason for moment in site.hopper.timeline(result.job_id)]


@pytest.mark.parametrize(
    ("extid", "rule", "errno", "rings"),
    [
        *((extid, rule, errno, 1) for extid, rule, errno in LOST_AFTER_THE_RING),
        ("1025", {"kind": "drop_before_ring"}, "reply_lost", 0),
        ("1026", {"kind": "hang", "ring": False}, "no_reply", 0),
        ("1027", {"kind": "http_status", "status": 504, "ring": False}, "http_504", 0),
    ],
)
def test_a_lost_reply_of_a_call_that_is_over_ends_as_unknown(
    site: Installation, extid: str, rule: dict[str, Any], errno: str, rings: int
) -> None:
    brief = site.pbxs["brief"]
    brief.fault(**rule, extid=extid, times=None)
    result = dial(site, extid, pbx="brief")

    assert (result.state, result.errno, result.attempts) == (JobState.UNKNOWN, errno, 1)
    assert len(brief.rings(extid)) == rings
    with pytest.raises(CallOutcomeUnknown):
        site.plain_celery().AsyncResult(result.job_id).get(timeout=GENEROUS_S)


def test_a_redial_follows_only_where_nothing_was_seen(site: Installation) -> None:
    brief = site.pbxs["brief"]
    brief.fault(kind="drop_before_ring", extid="1050")
    result = dial(site, "1050", pbx="brief", on_unknown="redial")
    assert (result.state, result.attempts) == (JobState.PLACED, 2)
    assert [ring.callid for ring in brief.rings("1050")] == [result.callid]

    brief.control("extensions", {"extid": "1051", "status": "Busy"})
    brief.fault(kind="drop_before_ring", extid="1051")
    assert dial(site, "1051", pbx="brief", on_unknown="redial").state is JobState.UNKNOWN


def test_a_call_that_a_person_made_meanwhile_is_not_adopted(site: Installation) -> None:
    talkative = site.pbxs["talkative"]
    talkative.dial_by_hand("1060", "0205550199")
    talkative.fault(kind="drop_before_ring", extid="1060")
    result = dial(site, "1060", pbx="talkative")
    assert (result.state, result.outboundid, result.errno) == (JobState.UNKNOWN, None, "reply_lost")


def test_a_delayed_reply_is_waited_for(site: Installation, pbx: SimulatedPbx) -> None:
    pbx.fault(kind="delay", delay_s=0.8, extid="1030")
    assert dial(site, "1030").state is JobState.PLACED


def test_a_busy_extension_does_not_hold_up_another(site: Installation, pbx: SimulatedPbx) -> None:
    pbx.fault(kind="errno", errno="10008", times=12, extid="1031")
    busy = [site.hopper.put(DialJob(extid="1031", outto=NUMBER, pbx="hq")) for _ in range(2)]
    assert dial(site, "1032").state is JobState.PLACED
    results = [site.end_of(receipt.id) for receipt in busy]
    assert [(result.state, result.attempts) for result in results] == [(JobState.PLACED, 1)] * 2


def test_a_lost_token_costs_no_attempt_and_one_login(site: Installation, pbx: SimulatedPbx) -> None:
    dial(site, "1040")
    before = pbx.control("state")["logins"]["ok"]
    pbx.control("tokens/forget", {})
    receipts = [site.hopper.put(DialJob(extid=str(1041 + n), outto=NUMBER, pbx="hq")) for n in range(8)]
    results = [site.end_of(receipt.id) for receipt in receipts]

    assert {(result.state, result.attempts) for result in results} == {(JobState.PLACED, 1)}
    assert pbx.control("state")["logins"]["ok"] - before == 1


def test_a_pbx_that_is_down_costs_no_attempt(site: Installation, pbx: SimulatedPbx) -> None:
    pbx.control("restart", {"down_s": 4})
    receipts = [site.hopper.put(DialJob(extid=str(1060 + n), outto=NUMBER, pbx="hq")) for n in range(6)]
    results = [site.end_of(receipt.id) for receipt in receipts]

    assert {(result.state, result.attempts) for result in results} == {(JobState.PLACED, 1)}
    assert all(len(pbx.rings(result.extid)) == 1 for result in results)


def test_logs_hold_no_number_no_token_no_password(site: Installation, pbx: SimulatedPbx) -> None:
    token = eventually(lambda: site.hopper.client.hget(site.hopper.keys.token("hq"), "token"))
    text = site.worker_log.read_text() + pbx.log.read_text()
    assert "call_ended" in text
    assert NUMBER not in text
    assert str(token) not in text
    assert "token=" not in text.replace("token=***", "")
    assert site.environment["TEST_PBX_PASSWORD"] not in text


def test_an_outcome_that_cannot_be_reported_for_a_while_is_not_lost(tmp_path: Path, namespace: str) -> None:
    with (
        EmbeddedRedis(tmp_path / "redis") as server,
        installation(tmp_path, server, namespace, hq=("--extensions", "1000-1099", "--ring-s", "0.05")) as site,
    ):
        site.write_settings(**PATIENT)
        with site.workers(processes=1):
            # An end that is to be added to a text is an error that no waiting for Redis would mend.
            site.hopper.client.set(f"{namespace}:ended", "?")
            receipts = [site.hopper.put(DialJob(extid=f"100{n}", outto=NUMBER, pbx="hq")) for n in range(8)]
            eventually(lambda: len(site.pbxs["hq"].rings()) == len(receipts))
            eventually(lambda: site.worker_log.read_text().count('"report_repeated"') == len(receipts))
            site.hopper.client.delete(f"{namespace}:ended")
            results = [site.end_of(receipt.id) for receipt in receipts]
        callids = {ring.callid for ring in site.pbxs["hq"].rings()}
        assert {result.state for result in results} == {JobState.PLACED}
        assert {result.callid for result in results} == callids


def test_a_worker_that_may_open_no_more_files_fails_no_job_and_blames_no_pbx(
    tmp_path: Path, namespace: str
) -> None:
    with (
        EmbeddedRedis(tmp_path / "redis") as server,
        installation(tmp_path, server, namespace, hq=("--extensions", "1000-1099", "--ring-s", "0.05")) as site,
    ):
        site.write_settings(**PATIENT)
        with site.workers(processes=1) as supervisor:
            [worker] = children_of(supervisor.pid)
            # Its threads have their connections to Redis then, and none to the PBX.
            for receipt in [
                site.hopper.put(DialJob(extid=f"10{n}", outto=NUMBER, pbx="hq")) for n in range(20, 60)
            ]:
                site.end_of(receipt.id)
            eventually(lambda: connections_to(urlsplit(site.pbxs["hq"].base_url).port or 0) == 0)
            before = resource.prlimit(worker, resource.RLIMIT_NOFILE, (3, 20000))
            receipts = [site.hopper.put(DialJob(extid=f"100{n}", outto=NUMBER, pbx="hq")) for n in range(8)]
            eventually(lambda: "out_of_files" in site.worker_log.read_text())
            resource.prlimit(worker, resource.RLIMIT_NOFILE, before)
            results = [site.end_of(receipt.id) for receipt in receipts]
    assert {(result.state, result.attempts) for result in results} == {(JobState.PLACED, 1)}
    assert "breaker_opened" not in site.worker_log.read_text()
