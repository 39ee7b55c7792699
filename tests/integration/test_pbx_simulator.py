"""The simulator as others use it: a real process, over HTTPS, judged by its replies and by its journal."""

from __future__ import annotations

import hashlib
import json
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from ops.children import die_with_parent
from ops.installation import log_lines
from ops.pbx_simulator import Ring, read_hits, read_journal, rung_twice
from ops.pbx_simulator.__main__ import main

REPOSITORY = Path(__file__).resolve().parents[2]
PASSWORD = "simulator"
# The vendor's own sample pair, the login page of the S-Series guide.
SAMPLE_PASSWORD, SAMPLE_MD5 = "Yeastar202", "2d7257a528679d01a19c70e3fa773620"
# Only what has gone wrong takes so long, on a busy machine too.
GENEROUS_S = 60.0
LOST_REPLY = (requests.ConnectionError, requests.Timeout)


class RunningPbx:
    """One simulator process and a client that trusts its certificate and ignores proxies."""

    def __init__(self, folder: Path, *options: str, cert_dir: Path | None = None) -> None:
        self.journal = folder / "journal.ndjson"
        self.stderr = folder / "stderr.txt"
        self.cert_dir = cert_dir or folder / "tls"
        arguments = ["--port", "0", "--cert-dir", str(self.cert_dir), "--journal", str(self.journal)]
        with self.stderr.open("a") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ops.pbx_simulator", *arguments, *options],
                cwd=REPOSITORY,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  one call, no lock taken
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.stderr.read_text()
        self.listening: dict[str, Any] = json.loads(line)
        self.url: str = self.listening["base_url"]
        self.client = requests.Session()
        self.client.trust_env = False
        self.client.verify = self.listening["ca_file"]
        self.token = ""
        self.rings_before = 0

    def post(self, path: str, body: Any = None, *, version: str = "v1.0.0", **more: Any) -> requests.Response:
        more.setdefault("params", {"token": self.token})
        more.setdefault("timeout", GENEROUS_S)
        url = f"{self.url}/api/{version}/{path}"
        return self.client.post(url, json=body, allow_redirects=False, **more)

    def call(self, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        reply = self.post(path, body, **more)
        assert reply.status_code == 200
        answer: dict[str, Any] = reply.json()
        return answer

    def login(self, password: str = PASSWORD, **fields: str) -> dict[str, Any]:
        digest = hashlib.md5(password.encode()).hexdigest()
        body = {"username": "api", "password": digest, "port": "8260", **fields}
        answer = self.call("login", body, params={})
        self.token = answer.get("token", self.token)
        return answer

    def dial(self, extid: str | int = "1002", outto: str = "41000", **more: Any) -> dict[str, Any]:
        return self.call("extension/dial_outbound", {"extid": extid, "outto": outto, **more})

    def status_of(self, extid: str) -> str:
        listed = self.call("extensionlist/query")["extlist"]
        statuses: dict[str, str] = {item["extnumber"]: item["status"] for item in listed}
        return statuses[extid]

    def control(self, method: str, path: str, body: Any = None) -> requests.Response:
        return self.client.request(method, f"{self.url}/_control/{path}", json=body, timeout=GENEROUS_S)

    def fault(self, kind: str, **fields: Any) -> None:
        rule = {"kind": kind, "resource": "dial_outbound", "times": 1, **fields}
        reply = self.control("POST", "faults", rule)
        assert reply.status_code == 200, reply.text

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.control("GET", "state").json()
        return state

    def rings(self) -> list[Ring]:
        return read_journal(self.journal)[self.rings_before :]

    def start_over(self) -> None:
        """Put everything but the counts back as at start, a good deal faster than a new process does."""
        self.control("DELETE", "faults")
        self.control("POST", "restart", {"down_s": 0})
        until(lambda: can_connect(self.listening["port"]))
        self.rings_before = len(read_journal(self.journal))
        self.login()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(GENEROUS_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


StartPbx = Callable[..., RunningPbx]


@pytest.fixture
def start_pbx(tmp_path: Path) -> Iterator[StartPbx]:
    started: list[RunningPbx] = []

    def start(*options: str, **more: Any) -> RunningPbx:
        pbx = RunningPbx(tmp_path, *options, **more)
        started.append(pbx)
        return pbx

    yield start
    for pbx in started:
        pbx.stop()
        assert "Traceback" not in pbx.stderr.read_text()


@pytest.fixture(scope="module")
def shared_pbx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPbx]:
    running = RunningPbx(tmp_path_factory.mktemp("shared"), "--ring-s", "30", "--talk-s", "30")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.stderr.read_text()


@pytest.fixture
def pbx(shared_pbx: RunningPbx) -> RunningPbx:
    """A PBX as good as new, logged in, whose calls outlast the test; its counts go on from test to test."""
    shared_pbx.start_over()
    return shared_pbx


def until(promise: Callable[[], bool], *, within_s: float = GENEROUS_S) -> None:
    deadline = time.monotonic() + within_s
    while not promise():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def can_connect(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def failed(errno: str) -> dict[str, str]:
    return {"status": "Failed", "errno": errno}


# --- starting, stopping, certificate -------------------------------------------------------------------------


def test_certificate_serves_as_ca_file_and_as_pin_and_survives_a_restart(start_pbx: StartPbx) -> None:
    first = start_pbx()
    assert first.login()["status"] == "Success"
    der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", first.listening["port"])))
    assert first.listening["tls_fingerprint"] == f"sha256:{hashlib.sha256(der).hexdigest()}"
    assert stat.S_IMODE((first.cert_dir / "key.pem").stat().st_mode) == 0o600
    first.stop()
    second = start_pbx()
    assert second.listening["tls_fingerprint"] == first.listening["tls_fingerprint"]


def test_certificate_stands_openssl_strict_checks(pbx: RunningPbx) -> None:
    context = ssl.create_default_context(cafile=pbx.listening["ca_file"])
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("127.0.0.1", "localhost"):
        with (
            socket.create_connection(("127.0.0.1", pbx.listening["port"]), GENEROUS_S) as raw,
            context.wrap_socket(raw, server_hostname=name) as secured,
        ):
            assert secured.version() is not None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_it_cleanly_even_with_a_hanging_request(start_pbx: StartPbx, number: int) -> None:
    pbx = start_pbx()
    pbx.login()
    pbx.fault("hang")
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(pbx.post, "extension/dial_outbound", {"extid": "1002", "outto": "1"})
        until(lambda: pbx.state()["dials_in_flight"] == 1)
        assert pbx.stop(number) == 0
        with pytest.raises(LOST_REPLY):
            hanging.result()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--faults", "FAULTS"], "rule 1: kind: 'erno' is not known; use one of errno"),
        (["--faults", "/nowhere.json"], "--faults: /nowhere.json cannot be read"),
        (["--extensions", "10x0"], "'10x0' is neither an extension"),
        (["--busy", "7777"], "--busy: 7777 is not one of --extensions"),
        (["--port", "eighty"], "'eighty' is not a valid integer"),
        (["--password-env", "NOT_SET_ANYWHERE"], "--password-env: the variable NOT_SET_ANYWHERE is not set"),
        (["--password-file", "/nowhere"], "--password-file: /nowhere cannot be read"),
        (["--password-file", "/dev/null"], "--password-file: /dev/null is empty"),
    ],
)
def test_bad_arguments_get_one_sentence_and_exit_code_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    (tmp_path / "faults.json").write_text('[{"kind":"erno"}]')
    given = [argument.replace("FAULTS", str(tmp_path / "faults.json")) for argument in arguments]
    base = ["--port", "0", "--cert-dir", str(tmp_path), "--journal", str(tmp_path / "j")]
    assert main([*base, *given]) == 2
    written = capfd.readouterr()
    assert sentence in written.err
    assert written.err.count("\n") == 1
    assert written.out == ""


def test_taken_port_gets_one_sentence_and_exit_code_2(pbx: RunningPbx, tmp_path: Path) -> None:
    port = str(pbx.listening["port"])
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ops.pbx_simulator",
            "--plain-http",
            "--port",
            port,
            "--journal",
            tmp_path / "j",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=GENEROUS_S,
        check=False,
    )
    assert done.returncode == 2
    assert f"--port: cannot listen on 127.0.0.1 port {port}" in done.stderr
    assert done.stderr.count("\n") == 1


# --- login and tokens ----------------------------------------------------------------------------------------


def test_login_takes_the_vendors_md5_and_gives_a_token_of_32_hex_digits(start_pbx: StartPbx) -> None:
    pbx = start_pbx("--password", SAMPLE_PASSWORD)
    body = {"username": "api", "password": SAMPLE_MD5, "port": "8260"}
    answer = pbx.call("login", body, params={})
    assert answer["status"] == "Success"
    assert len(answer["token"]) == 32
    assert int(answer["token"], 16) >= 0
    assert pbx.call("login", {**body, "password": SAMPLE_MD5.upper()}, params={}) == failed("20003")
    assert pbx.call("login", {**body, "port": "99999"}, params={}) == failed("20008")
    assert pbx.call("login", {"username": "api"}, params={}) == failed("10004")


def test_five_wrong_passwords_lock_the_address_for_the_right_one_too(start_pbx: StartPbx) -> None:
    # How locks and tokens end is tested in tests/unit/ops/test_sessions.py.
    pbx = start_pbx("--login-lock-s", "3600")
    for _ in range(5):
        assert pbx.login("wrong") == failed("20003")
    assert pbx.login() == failed("20002")
    assert pbx.state()["logins"] == {"ok": 0, "failed": 5, "locked": 1}


def test_a_token_lives_as_long_as_it_was_told_to(start_pbx: StartPbx) -> None:
    pbx = start_pbx("--token-life-s", "0.01")
    pbx.login()
    until(lambda: pbx.call("deviceinfo/query") == failed("20006"))


def test_missing_unknown_and_ended_tokens_have_codes_of_their_own(pbx: RunningPbx) -> None:
    assert pbx.call("deviceinfo/query", params={}) == failed("20005")
    assert pbx.call("deviceinfo/query", params={"token": "0" * 32}) == failed("20004")
    assert pbx.call("heartbeat", {"ipaddr": "127.0.0.1", "port": "8260"})["status"] == "Success"
    assert pbx.call("logout")["status"] == "Success"
    assert pbx.call("deviceinfo/query") == failed("20004")


@pytest.mark.parametrize(("options", "errno"), [((), None), (("--single-session",), "20004")])
def test_second_login_spares_the_first_token_unless_single_session(
    start_pbx: StartPbx, options: tuple[str, ...], errno: str | None
) -> None:
    pbx = start_pbx(*options)
    older = pbx.login()["token"]
    pbx.login()
    assert pbx.call("deviceinfo/query", params={"token": older}).get("errno") == errno
    assert pbx.call("deviceinfo/query")["status"] == "Success"


def test_malformed_requests_meet_their_codes(pbx: RunningPbx) -> None:
    dial = "extension/dial_outbound"
    address = f"{pbx.url}/api/v1.0.0/{dial}"
    given: dict[str, Any] = {"params": {"token": pbx.token}, "timeout": GENEROUS_S}
    assert pbx.client.post(address, data="<xml/>", **given).json() == failed("20000")
    assert pbx.client.get(address, **given).json() == failed("20001")
    assert pbx.call(dial) == failed("20009")
    assert pbx.call(dial, {"extid": "1002"}) == failed("10004")
    assert pbx.call(dial, {"extid": "", "outto": "41000"}) == failed("10004")
    assert pbx.call("extension/levitate", {}) == failed("10003")
    assert pbx.call("deviceinfo/query", version="v9.9.9") == failed("10003")
    assert pbx.rings() == []


# --- dialing -------------------------------------------------------------------------------------------------


def test_each_dial_rings_once_with_a_callid_of_its_own(start_pbx: StartPbx) -> None:
    pbx = start_pbx("--ring-s", "0", "--talk-s", "0")
    pbx.login()
    extids: list[str | int] = ["1002", 1003, "1002"]
    answers = [pbx.dial(extid, f"4100{number}") for number, extid in enumerate(extids)]
    rings = pbx.rings()
    assert [(ring.extid, ring.outto) for ring in rings] == [
        ("1002", "41000"),
        ("1003", "41001"),
        ("1002", "41002"),
    ]
    assert [ring.callid for ring in rings] == [answer["callid"] for answer in answers]
    pbx.stop()
    again = start_pbx("--ring-s", "0", "--talk-s", "0")
    again.login()
    again.dial()
    callids = [ring.callid for ring in again.rings()]
    assert len(set(callids)) == len(callids) == 4
    assert list(rung_twice(again.rings())) == [("1002", "41000")]
    assert rung_twice(again.rings(), allowed={("1002", "41000"): 2}) == {}


def test_a_call_rings(pbx: RunningPbx) -> None:
    pbx.dial()
    assert pbx.status_of("1002") == "Ringing"
    assert pbx.call("outbound/query")["outbound"] == []


def test_a_call_that_rang_is_talked_on(start_pbx: StartPbx) -> None:
    pbx = start_pbx("--ring-s", "0.1", "--talk-s", "3600")
    pbx.login()
    callid = pbx.dial()["callid"]
    until(lambda: bool(pbx.call("outbound/query")["outbound"]))
    call = pbx.call("outbound/query")["outbound"][0]
    epoch, sequence = callid.split(".")
    assert call["outboundid"] == f"{epoch}.{int(sequence) + 1}"
    assert (call["from"], call["to"], call["status"]) == ("1002", "41000", "Talking")
    assert pbx.status_of("1002") == "Busy"


def test_a_call_that_was_talked_on_ends(start_pbx: StartPbx) -> None:
    pbx = start_pbx("--ring-s", "0.05", "--talk-s", "0.05")
    pbx.login()
    pbx.dial()
    until(lambda: pbx.status_of("1002") == "Registered")
    assert pbx.call("outbound/query")["outbound"] == []


def test_auto_answered_phone_picks_up_at_once_and_can_be_hung_up(pbx: RunningPbx) -> None:
    pbx.dial(autoanswer="yes")
    outboundid = pbx.call("outbound/query")["outbound"][0]["outboundid"]
    assert pbx.call("outbound/hangup", {"outboundid": outboundid})["status"] == "Success"
    assert pbx.call("outbound/hangup", {"outboundid": outboundid}) == failed("10007")
    pbx.dial()
    assert pbx.call("extension/hangup", {"extid": "1002"})["status"] == "Success"
    assert pbx.call("extension/hangup", {"extid": "1002"}) == failed("10007")
    assert pbx.status_of("1002") == "Registered"


def test_busy_and_offline_extensions_succeed_silently(start_pbx: StartPbx) -> None:
    options = ("--extensions", "1000-1003,2000", "--busy", "1001", "--offline", "1002")
    pbx = start_pbx(*options, "--no-outbound", "2000", "--ring-s", "30")
    pbx.login()
    for extid in ("1001", "1002"):
        assert pbx.dial(extid)["status"] == "Success"
    assert pbx.dial("2000") == failed("100024")
    assert pbx.dial("1999") == failed("10006")
    assert pbx.rings() == []
    assert pbx.dial("1003")["status"] == pbx.dial("1003")["status"] == "Success"
    assert len(pbx.rings()) == 1, "a phone on a call rings for no second one"


def test_busy_errno_is_answered_where_asked_for(start_pbx: StartPbx) -> None:
    pbx = start_pbx("--busy", "1001", "--busy-errno", "10008")
    pbx.login()
    assert pbx.dial("1001") == failed("10008")


def test_v2_dials_by_its_own_path_and_names(pbx: RunningPbx) -> None:
    body = {"caller": "1005", "callee": "41005", "autoanswer": "no", "dialpermission": "1005"}
    answer = pbx.call("call/dial", body, version="v2.0.0")
    assert [(ring.extid, ring.outto, ring.callid) for ring in pbx.rings()] == [("1005", "41005", answer["callid"])]
    assert pbx.call("deviceinfo/query", version="v1.1.0")["deviceinfo"]["systemtime"].endswith("UTC+0")


V2_ONLY = ["call/dial", "call/query", "call/hangup", "extension/list", "extension/query_call"]
V1_ONLY = [
    "extension/dial_outbound",
    "extension/hangup",
    "extensionlist/query",
    "outbound/query",
    "outbound/hangup",
]


@pytest.mark.parametrize(
    ("versions", "paths", "foreign"),
    [(("v1.0.0", "v1.1.0"), V1_ONLY, V2_ONLY), (("v2.0.0",), V2_ONLY, V1_ONLY), (("v3.0.0",), [], V1_ONLY)],
)
def test_each_version_serves_only_what_its_guide_names(
    pbx: RunningPbx, versions: tuple[str, ...], paths: list[str], foreign: list[str]
) -> None:
    for version in versions:
        if paths:
            both = ["deviceinfo/query", "heartbeat"]
            answers = {path: pbx.call(path, {"x": "y"}, version=version) for path in [*paths, *both]}
            assert [path for path, answer in answers.items() if answer == failed("10003")] == []
        for path in foreign:
            assert pbx.call(path, {"x": "y"}, version=version) == failed("10003"), (version, path)


def test_v2_shows_the_calls_of_extensions_with_their_callids(start_pbx: StartPbx) -> None:
    pbx = start_pbx("--ring-s", "30")
    pbx.login()

    def v2(path: str, body: Any = None) -> dict[str, Any]:
        return pbx.call(path, body, version="v2.0.0")

    ringing = v2("call/dial", {"caller": "1002", "callee": "41000"})["callid"]
    talking = v2("call/dial", {"caller": "1003", "callee": "41001", "autoanswer": "yes"})["callid"]
    until(lambda: pbx.status_of("1003") == "Busy")

    listed = v2("extension/query_call", {"number": "1002,1003,1004"})["calllist"]
    found = {
        row["number"]: [(call["callid"], [*map(list, call["members"])]) for call in row["numbercalls"]]
        for row in listed
    }
    assert found == {"1002": [(ringing, [["ext"]])], "1003": [(talking, [["ext"], ["outbound"]])], "1004": []}
    leg = next(row for row in listed if row["number"] == "1003")["numbercalls"][0]["members"][1]["outbound"]
    assert (leg["from"], leg["to"], leg["memberstatus"]) == ("1003", "41001", "ANSWER")
    assert [call["callid"] for call in v2("call/query", {"type": "outbound"})["calls"]] == [talking]
    assert [call["callid"] for call in v2("call/query", {"callid": ringing})["calls"]] == [ringing]
    assert v2("call/query", {"callid": "1.2"}) == failed("10005")
    assert v2("extension/query_call", {"number": "9999"}) == failed("10006")
    assert {row["number"] for row in v2("extension/query_call", {"number": "all"})["calllist"]} >= {"1002", "1003"}

    ext = next(row for row in listed if row["number"] == "1002")["numbercalls"][0]["members"][0]["ext"]
    assert v2("call/hangup", {"channelid": ext["channelid"]})["status"] == "Success"
    assert v2("call/query", {"callid": ringing}) == failed("10005")


# --- faults --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields", "rings"),
    [
        ("hang", {}, 0),
        ("hang", {"ring": True}, 1),
        ("drop_before_ring", {}, 0),
        ("drop_after_ring", {}, 1),
        ("delay", {"delay_s": 60.0}, 1),
        ("slow_body", {"delay_s": 60.0}, 1),
    ],
)
def test_reply_is_lost_and_the_journal_tells_the_truth(
    pbx: RunningPbx, kind: str, fields: dict[str, Any], rings: int
) -> None:
    pbx.fault(kind, **fields)
    with pytest.raises(LOST_REPLY):
        pbx.post("extension/dial_outbound", {"extid": "1002", "outto": "41000"}, timeout=0.5)
    # On a busy machine the client may have given up before the PBX has read the request.
    until(lambda: pbx.state()["faults"][-1]["left"] == 0)
    assert len(pbx.rings()) == rings
    assert pbx.dial("1003")["status"] == "Success"


@pytest.mark.parametrize("ring", [False, True])
@pytest.mark.parametrize(
    ("kind", "fields", "status", "start_of_body"),
    [
        ("http_status", {"status": 502}, 502, b"<html>"),
        ("garbage", {}, 200, b'{"status":"Succ\xff'),
        ("errno", {"errno": "30001"}, 200, b'{"status":"Failed","errno":"30001"}'),
        ("errno", {"errno": "77777", "status_word": "Failure"}, 200, b'{"status":"Failure"'),
    ],
)
def test_reply_is_spoiled_and_the_journal_tells_the_truth(
    pbx: RunningPbx, kind: str, fields: dict[str, Any], status: int, start_of_body: bytes, ring: bool
) -> None:
    pbx.fault(kind, ring=ring, **fields)
    reply = pbx.post("extension/dial_outbound", {"extid": "1002", "outto": "41000"})
    assert reply.status_code == status
    assert reply.content.startswith(start_of_body)
    assert len(pbx.rings()) == ring


def test_requests_that_faults_acted_on_are_listed(start_pbx: StartPbx, tmp_path: Path) -> None:
    hits = tmp_path / "hits"
    pbx = start_pbx("--hits", str(hits))
    pbx.login()
    pbx.dial("1001")
    pbx.fault("http_status", status=502)
    pbx.post("extension/dial_outbound", {"extid": "1002", "outto": "41000"})
    pbx.fault("garbage", resource="outbound/query")
    pbx.post("outbound/query")
    seen = [(hit.kind, hit.resource, hit.extid, hit.outto) for hit in read_hits(hits)]
    assert seen == [
        ("http_status", "dial_outbound", "1002", "41000"),
        ("garbage", "outbound/query", None, None),
    ]
    assert oct(hits.stat().st_mode & 0o777) == "0o600"


def test_delayed_and_dripped_replies_are_whole_in_the_end(pbx: RunningPbx) -> None:
    pbx.fault("delay", delay_s=0.2)
    assert pbx.dial("1002")["callid"] == pbx.rings()[0].callid
    pbx.fault("slow_body", delay_s=0.002)
    assert pbx.dial("1003")["callid"] == pbx.rings()[1].callid


def test_redirect_points_elsewhere_or_to_itself_and_rings_nothing(pbx: RunningPbx) -> None:
    dial = ("extension/dial_outbound", {"extid": "1002", "outto": "41000"})
    pbx.fault("redirect")
    pbx.fault("redirect", location="https://127.0.0.1:1/", after=1)
    to_itself, elsewhere = pbx.post(*dial), pbx.post(*dial)
    assert to_itself.status_code == elsewhere.status_code == 307
    assert to_itself.headers["Location"] == to_itself.url
    assert elsewhere.headers["Location"] == "https://127.0.0.1:1/"
    assert pbx.rings() == []


def test_token_loss_meets_20004_and_a_new_login_mends_it(pbx: RunningPbx) -> None:
    pbx.fault("token_loss")
    assert pbx.dial() == failed("20004")
    assert pbx.rings() == []
    pbx.login()
    assert pbx.dial()["status"] == "Success"


@pytest.mark.parametrize("by", ["fault", "control"])
def test_restart_refuses_connections_then_comes_back_without_tokens_or_calls(pbx: RunningPbx, by: str) -> None:
    restarts_before = pbx.state()["restarts"]
    pbx.dial("1009")
    if by == "fault":
        pbx.fault("restart", delay_s=2)
        with pytest.raises(LOST_REPLY):
            pbx.dial()
    else:
        assert pbx.control("POST", "restart", {"down_s": 2}).status_code == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", pbx.listening["port"]), GENEROUS_S)
    until(lambda: can_connect(pbx.listening["port"]))
    assert pbx.dial() == failed("20004")
    state = pbx.state()
    assert (state["tokens_alive"], state["calls"]["now"], state["restarts"]) == (0, 0, restarts_before + 1)
    pbx.login()
    assert pbx.dial("1009")["status"] == "Success"


def test_rules_choose_their_requests(start_pbx: StartPbx, tmp_path: Path) -> None:
    rules = [
        {"kind": "errno", "errno": "30001", "resource": "dial_outbound", "extid": 1001, "times": 2},
        {"kind": "errno", "errno": "20010", "outto": "42", "after": 1, "every": 2},
        {"kind": "errno", "errno": "10025", "extid": "1004", "probability": 0.5},
    ]
    (tmp_path / "faults.json").write_text(json.dumps(rules))
    options = ("--faults", str(tmp_path / "faults.json"), "--seed", "7", "--ring-s", "0", "--talk-s", "0")
    pbx = start_pbx(*options)
    pbx.login()
    assert [pbx.dial("1001").get("errno") for _ in range(3)] == ["30001", "30001", None]
    assert [pbx.dial("1002", "42").get("errno") for _ in range(5)] == [None, None, "20010", None, "20010"]
    by_chance = {pbx.dial("1004").get("errno") for _ in range(30)}
    assert by_chance == {None, "10025"}
    assert [rule["left"] for rule in pbx.state()["faults"]] == [0, None, None]
    assert pbx.control("DELETE", "faults").json() == {"faults": []}


# --- control -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("faults", {"kind": "erno"}, "kind: 'erno' is not known; use one of errno"),
        ("faults", {"kind": "errno"}, "errno: a rule of kind errno needs it"),
        ("faults", {"kind": "hang", "status": 502}, "status: kind hang does not take it"),
        ("faults", {"kind": "http_status", "status": 99}, "status: 99 must be an HTTP status"),
        ("faults", {"kind": "hang", "resource": "dail"}, "resource: 'dail' is not one of"),
        ("faults", {"kind": "hang", "times": 0}, "times: 0 must be a whole number from 1 up"),
        ("faults", {"kind": "hang", "ring": "yes"}, "ring: 'yes' must be true or false"),
        ("faults", [1], "the body must be a JSON object"),
        ("extensions", {"extid": "1002", "status": "Asleep"}, "status: 'Asleep' is not one of"),
        ("extensions", {"extid": "9", "status": "Busy"}, "extid: '9' is not an extension"),
        ("restart", {"down_s": -1}, "down_s: -1 must be seconds"),
    ],
)
def test_control_names_what_is_wrong(pbx: RunningPbx, path: str, body: Any, sentence: str) -> None:
    reply = pbx.control("POST", path, body)
    assert reply.status_code == 400
    assert sentence in reply.json()["error"]


def test_control_sets_extensions_forgets_tokens_and_counts(start_pbx: StartPbx) -> None:
    pbx = start_pbx("--ring-s", "30")
    pbx.login()
    pbx.control("POST", "extensions", {"extid": "1002", "status": "Unavailable"})
    assert pbx.status_of("1002") == "Unavailable"
    pbx.dial("1002")
    pbx.control("POST", "extensions", {"extid": "1002", "status": "Registered"})
    pbx.dial("1002")
    assert pbx.control("POST", "tokens/forget").json() == {"forgotten": 1}
    state = pbx.state()
    assert state["tokens_alive"] == 0
    assert state["requests"] == {"login": 1, "extensionlist/query": 1, "dial_outbound": 2}
    assert state["calls"] == {"now": 1, "max": 1, "rung": 1, "failed": 1}
    assert state["extensions"]["1002"] == "Ringing"


def test_concurrent_dials_are_counted(start_pbx: StartPbx) -> None:
    pbx = start_pbx()
    pbx.login()
    pbx.fault("hang", times=3)
    body = {"extid": "1002", "outto": "41000"}
    with ThreadPoolExecutor(3) as threads:
        hanging = [threads.submit(pbx.post, "extension/dial_outbound", body) for _ in range(3)]
        until(lambda: pbx.state()["dials_in_flight"] == 3)
        pbx.control("POST", "restart", {"down_s": 0})
        for each in hanging:
            with pytest.raises(LOST_REPLY):
                each.result()
    until(lambda: can_connect(pbx.listening["port"]))
    until(lambda: pbx.state()["dials_in_flight"] == 0)
    assert pbx.state()["dials_in_flight_max"] == 3


# --- events and secrets --------------------------------------------------------------------------------------


class EventListener:
    """Takes pushed events; answers 500 to the first, which must then come again."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.agents: set[str | None] = set()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                listener.agents.add(self.headers["User-Agent"])
                listener.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(500 if len(listener.bodies) == 1 else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's name
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/events"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def actions(self) -> list[str]:
        return [json.loads(body)["action"] for body in self.bodies]

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def listener() -> Iterator[EventListener]:
    listening = EventListener()
    yield listening
    listening.close()


def test_events_tell_a_calls_life_and_are_sent_again_until_taken(
    start_pbx: StartPbx, listener: EventListener
) -> None:
    pbx = start_pbx("--events-to", listener.url, "--ring-s", "0.1", "--talk-s", "0.1", "--offline", "1001")
    pbx.login()
    callid = pbx.dial()["callid"]
    until(lambda: "NewCdr" in listener.actions())
    assert listener.bodies[0] == listener.bodies[1]
    assert [action for action in listener.actions() if action != "ExtensionStatus"] == [
        "RING",
        "ANSWERED",
        "BYE",
        "BYE",
        "NewCdr",
    ]
    bye = next(body for body in listener.bodies if b'"BYE"' in body)
    assert bye.startswith(b'{"action":"BYE","callid":"%s","ext":{"extid":"1002"},"outbound":' % callid.encode())
    assert listener.agents == {"WebAPI"}
    pbx.dial("1001")
    until(lambda: "CallFailed" in listener.actions())
    [failure] = [json.loads(body) for body in listener.bodies if b'"CallFailed"' in body]
    assert failure["reason"] == "Line unreachable"


def test_login_may_name_the_address_and_the_newer_wording(start_pbx: StartPbx, listener: EventListener) -> None:
    pbx = start_pbx("--ring-s", "0", "--talk-s", "0")
    pbx.login(url=listener.url, version="1.0.2")
    pbx.dial()
    until(lambda: "NewCdr" in listener.actions())
    ring = next(json.loads(body) for body in listener.bodies if b'"RING"' in body)
    assert [list(leg) for leg in ring["call"]] == [["outbound"], ["ext"]]
    assert ring["sn"]


def test_log_holds_no_token_password_or_number(start_pbx: StartPbx) -> None:
    pbx = start_pbx("--log-level", "debug", "--password", "very-secret", "--ring-s", "30")
    secrets = ["very-secret", hashlib.md5(b"very-secret").hexdigest(), "41000777", "42999888", "0badc0de"]
    pbx.login("wrong")
    pbx.login("very-secret")
    secrets.append(pbx.token)
    pbx.dial("1002", "41000777")
    pbx.fault("drop_after_ring", outto="42999888")
    with pytest.raises(LOST_REPLY):
        pbx.dial("1003", "42999888")
    pbx.call("deviceinfo/query", params={"token": "0badc0de"})
    pbx.client.post(f"{pbx.url}/no/such/page?token={pbx.token}", timeout=GENEROUS_S)
    raw = socket.create_connection(("127.0.0.1", pbx.listening["port"]), GENEROUS_S)
    raw.sendall(f"POST /api/v1.0.0/logout?token={pbx.token} nonsense\r\n\r\n".encode())
    raw.close()
    pbx.stop()
    log = pbx.stderr.read_text()
    told = {tuple(list(line.values())[2:]) for line in log_lines(pbx.stderr)}
    assert ("fault_played", "drop_after_ring", "dial_outbound", "simulator") in told
    assert ("answered", "login", "20003", "simulator") in told
    assert [secret for secret in secrets if secret in log] == []
    assert oct(pbx.journal.stat().st_mode & 0o777) == "0o600"
