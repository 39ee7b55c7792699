"""The shared login: one at a time, blocked for all when refused, healed by new settings."""

from pathlib import Path

import pytest

from ops.embedded_redis import EmbeddedRedis
from ops.installation import PATIENT, Installation, eventually, installation
from worker.jobs import DialJob, JobState

OPTIONS = ("--extensions", "1000-1099", "--ring-s", "0.02", "--talk-s", "0.05")


@pytest.fixture
def site(redis_server: EmbeddedRedis, tmp_path: Path, namespace: str):
    with installation(tmp_path, redis_server, namespace, hq=OPTIONS) as site:
        yield site


def test_32_calls_at_once_share_one_login_before_and_after_the_token_is_lost(site: Installation) -> None:
    site.write_settings(calls_per_second=500, burst=100, max_open_calls=100, **PATIENT)
    pbx = site.pbxs["hq"]
    with site.workers(processes=2, concurrency=16):
        for lost in (False, True):
            if lost:
                pbx.control("tokens/forget", {})
            jobs = [DialJob(extid=str(1000 + n), outto="0205550143", pbx="hq") for n in range(32)]
            receipts = [receipt for receipt in site.hopper.put_many(jobs) if not isinstance(receipt, Exception)]
            results = [site.end_of(receipt.id) for receipt in receipts]
            assert {(result.state, result.attempts) for result in results} == {(JobState.PLACED, 1)}
            assert pbx.control("state")["logins"]["ok"] == 1 + lost


def test_a_wrong_password_is_tried_once_and_reported_everywhere(site: Installation) -> None:
    site.write_settings(**PATIENT)
    site.environment["TEST_PBX_PASSWORD"] = "wrong-secret"
    pbx = site.pbxs["hq"]
    with site.workers(processes=2):
        receipt = site.hopper.put(DialJob(extid="1001", outto="0205550143", pbx="hq"))
        eventually(lambda: site.hopper.barred("hq")[0] > 500)
        more = [site.hopper.put(DialJob(extid=str(1002 + n), outto="0205550143", pbx="hq")) for n in range(5)]
        doctor = site.outdial("doctor")
        status = site.outdial("status", receipt.id)
        eventually(lambda: "login_refused" in site.worker_log.read_text())

    logins = pbx.control("state")["logins"]
    assert (logins["ok"], logins["failed"], logins["locked"]) == (0, 1, 0)
    assert {site.hopper.result(job.id).state for job in (receipt, *more)} == {JobState.WAITING}
    assert doctor.returncode == 3
    for report in (doctor.stdout, status.stdout):
        assert "20003" in report
        assert "wrong user name or password" in report
    site.environment["TEST_PBX_PASSWORD"] = "s1mulator-secret"
    other = site.outdial("doctor")
    assert "workers have another address, user name or password" in other.stdout
    assert site.hopper.barred("hq")[0] > 500, "asking about it changes nothing"
    assert "wrong-secret" not in doctor.stdout + doctor.stderr + status.stdout + site.worker_log.read_text()

    # The right password in the settings heals it at once: the block belonged to the wrong one.
    with site.workers():
        assert site.end_of(receipt.id).state is JobState.PLACED


def test_a_pinned_certificate_is_trusted_and_another_is_not(site: Installation) -> None:
    site.write_settings(tls="pin", **PATIENT)
    with site.workers():
        receipt = site.hopper.put(DialJob(extid="1001", outto="0205550143", pbx="hq"))
        assert site.end_of(receipt.id).state is JobState.PLACED

    site.config.write_text(site.config.read_text().replace(site.pbxs["hq"].fingerprint, "sha256:" + "00" * 32))
    doctor = site.outdial("doctor")
    assert doctor.returncode == 3
    assert "could not be reached: its TLS certificate does not match tls_fingerprint" in doctor.stdout
    assert "check base_url" not in doctor.stdout


@pytest.mark.parametrize("api", ["yeastar-s-v1.1", "yeastar-s-v2.0"])
def test_later_versions_are_spoken_to_in_their_own_words(site: Installation, api: str) -> None:
    site.write_settings(apis={"hq": api}, **PATIENT)
    pbx = site.pbxs["hq"]
    with site.workers():
        pbx.control("faults", {"kind": "errno", "errno": "30001", "times": 1, "extid": "1001"})
        receipt = site.hopper.put(DialJob(extid="1001", outto="0205550143", pbx="hq", autoanswer="yes"))
        result = site.end_of(receipt.id)
    assert (result.state, result.attempts) == (JobState.PLACED, 2)
    [ring] = pbx.rings("1001")
    assert (ring.callid, ring.outto) == (result.callid, "0205550143")


def test_an_unverified_pbx_is_dialed_by_choice_and_the_doctor_warns(site: Installation) -> None:
    site.write_settings(**PATIENT)
    site.config.write_text(site.config.read_text().replace("ca_file =", "tls_verify = false #"))
    with site.workers():
        receipt = site.hopper.put(DialJob(extid="1001", outto="0205550143", pbx="hq"))
        assert site.end_of(receipt.id).state is JobState.PLACED
    doctor = site.outdial("doctor")
    assert "TLS is not verified" in doctor.stdout
    assert doctor.returncode == 0


def test_a_pbx_that_comes_up_slowly_is_logged_in_to_as_soon_as_it_answers(site: Installation) -> None:
    """A gateway time-out says nothing about the password: no block of minutes, but the breaker's short rests."""
    site.write_settings(calls_per_second=500, **PATIENT)
    site.pbxs["hq"].fault(kind="http_status", status=502, resource="login", times=4)
    with site.workers(processes=1, concurrency=4):
        receipt = site.hopper.put(DialJob(extid="1000", outto="0205550143", pbx="hq"))
        result = site.end_of(receipt.id)
    assert (result.state, result.attempts) == (JobState.PLACED, 1)
    assert site.hopper.breaker("hq").state == "closed"
