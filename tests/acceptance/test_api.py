"""The HTTP intake as those see it who use it: a process of its own, real Redis, and once a real worker and PBX."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from ops.embedded_redis import EmbeddedRedis
from ops.installation import GENEROUS_S, PATIENT, eventually, installation, served_api
from ops.pbx_simulator.certificate import keep_certificate
from producers import apikeys
from tests.acceptance.intake import JOB, Client, Intake, intake, problem_of, settings_file
from tests.conftest import pbx_settings
from worker.jobs import JobState

JOBS, BATCH = "/v1/dial-jobs", "/v1/dial-jobs:batch"
CSV, NDJSON = {"Content-Type": "text/csv"}, {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def served(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    limits = ("[api]", "max_body_bytes = 4096", "max_batch_bytes = 65536")
    with intake(tmp_path_factory.mktemp("api"), redis_server.url, "api", settings=limits) as running:
        yield running


@pytest.fixture(scope="module")
def client(served: Intake) -> Client:
    return served.client()


def rows_of(answer: requests.Response) -> list[dict[str, object]]:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


# --- one job --------------------------------------------------------------------------------------------------


def test_a_job_is_kept_and_told_where_it_is(client: Client) -> None:
    accepted = client.hand_in(metadata={"lead": "L-7"}, priority="urgent")
    assert (accepted.status_code, accepted.json()["state"], accepted.json()["is_new"]) == (202, "waiting", True)
    assert accepted.headers["Location"] == accepted.json()["href"] == f"{JOBS}/{accepted.json()['job_id']}"
    found = client.get(accepted.headers["Location"]).json()
    assert (found["state"], found["pbx"], found["metadata"]) == ("waiting", "hq", {"lead": "L-7"})
    assert JOB["outto"] not in json.dumps(found)


def test_every_wrong_field_is_named(client: Client) -> None:
    refused = client.hand_in(extid="12ab", priority="soon", colour="red")
    problem = problem_of(refused)
    assert refused.status_code == 422
    assert {error["pointer"] for error in problem["errors"]} == {"/extid", "/priority", "/colour"}
    assert problem["instance"] == JOBS
    assert "0143" not in client.hand_in(outto="2025550143 or so").text


def test_the_same_request_again_is_the_same_job(client: Client) -> None:
    named = {"Idempotency-Key": '"in quotes, as the draft has it"'}
    first, again = client.hand_in(named), client.hand_in(named)
    assert (first.json()["is_new"], again.json()["is_new"]) == (True, False)
    assert first.json()["job_id"] == again.json()["job_id"]
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (None, "true")
    # Quoted or not it is the same; a body in another order is the same request; another body is not.
    bare = client.hand_in({"Idempotency-Key": "in quotes, as the draft has it"}, priority="normal")
    assert bare.json()["job_id"] == first.json()["job_id"]
    other = client.hand_in(named, extid="1003")
    assert (other.status_code, problem_of(other)["errors"][0]["parameter"]) == (422, "Idempotency-Key")


def test_idempotency_keys_are_those_of_one_api_key(served: Intake, client: Client) -> None:
    named = {"Idempotency-Key": "mine"}
    ids = {each.hand_in(named).json()["job_id"] for each in (client, served.client())}
    assert len(ids) == 2


def test_a_request_refused_is_not_remembered(client: Client) -> None:
    named = {"Idempotency-Key": "first-wrong"}
    assert client.hand_in(named, extid="x").status_code == 422
    assert client.hand_in(named).status_code == 202


def test_fifty_identical_requests_at_once_are_one_job(served: Intake, client: Client) -> None:
    named = {"Idempotency-Key": "fifty"}
    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: client.hand_in(named), range(50)))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {202, 409}
    accepted = [answer.json() for answer in answers if answer.status_code == 202]
    assert len({answer["job_id"] for answer in accepted}) == 1
    assert [answer["is_new"] for answer in accepted].count(True) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert (problem_of(answer)["errors"][0]["parameter"], answer.headers["Retry-After"]) == (
                "Idempotency-Key",
                "1",
            )


def test_a_second_request_while_the_first_is_served_is_told_to_wait(served: Intake, client: Client) -> None:
    body = json.dumps(JOB).encode()
    head = f"POST {JOBS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.key}\r\nIdempotency-Key: slow\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with served.connection() as slow:
        slow.sendall(head.encode() + body[:5])
        eventually(lambda: client.hand_in({"Idempotency-Key": "slow"}, extid="x").status_code == 409)
        slow.sendall(body[5:])
        assert slow.recv(1000).startswith(b"HTTP/1.1 202")
    assert client.hand_in({"Idempotency-Key": "slow"}).headers["Idempotency-Replayed"] == "true"


def test_a_key_names_one_job_whoever_brings_it(served: Intake, client: Client) -> None:
    first = client.hand_in(key="crm:1")
    again = served.client().hand_in(key="crm:1")
    assert (again.status_code, again.json()["job_id"]) == (202, first.json()["job_id"])
    other = client.hand_in(key="crm:1", extid="1003")
    assert (other.status_code, problem_of(other)["errors"][0]["pointer"]) == (409, "/key")


# --- looking --------------------------------------------------------------------------------------------------


def test_pages_hold_each_job_once_while_others_arrive(served: Intake, client: Client) -> None:
    mine = [client.hand_in(extid="777").json()["job_id"] for _ in range(7)]
    seen: list[str] = []
    path = f"{JOBS}?extid=777&limit=3"
    while path:
        page = client.get(path)
        seen += [job["job_id"] for job in page.json()["jobs"]]
        client.hand_in(extid="777")
        path = page.links.get("next", {}).get("url", "")
    assert seen == mine[::-1]


def test_lists_are_filtered(client: Client) -> None:
    job_id = client.hand_in(extid="778", key="filtered", pbx="branch").json()["job_id"]
    for query in ("extid=778", "key=filtered", "pbx=branch&extid=778", "extid=778&state=waiting&state=failed"):
        assert [job["job_id"] for job in client.get(f"{JOBS}?{query}").json()["jobs"]] == [job_id], query
    for query in ("extid=778&state=failed", "extid=778&before=2020-01-01T00:00:00Z", "key=nobodys"):
        assert client.get(f"{JOBS}?{query}").json() == {"jobs": [], "next": None}, query
    for query in ("limit=0", "limit=x", "since=1", "cursor=-", "pbx=A", "colour=red", "state=gone"):
        refused = client.get(f"{JOBS}?{query}")
        assert (refused.status_code, problem_of(refused)["errors"][0]["parameter"]) == (
            422,
            query.partition("=")[0],
        )


def test_a_long_poll_ends_when_the_job_does(client: Client) -> None:
    href = client.hand_in().headers["Location"]
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.get, f"{href}?wait=30")
        assert client.post(f"{href}:cancel").json()["state"] == "cancelled"
        assert waiting.result().json()["state"] == "cancelled"


def test_a_job_is_shown_with_what_holds_it_back(served: Intake) -> None:
    client, hopper = served.client(), served.dialer.hopper
    hopper.heartbeat("w@test", slots=4, ttl_s=600)
    hopper.register("hq", pbx_settings())

    def obstacle() -> dict[str, object] | None:
        found: dict[str, object] | None = client.get(href).json()["obstacle"]
        return found

    href = client.hand_in(extid="1077").headers["Location"]
    # Other jobs of this module wait before it, and they alone.
    assert (obstacle() or {"kind": "permit"})["kind"] in ("round", "permit")
    assert client.get("/v1/pbxs").json()["pbxs"][0]["takes_calls"] is True
    hopper.pause("hq")
    found = obstacle()
    assert found is not None
    assert re.fullmatch(r"PBX hq is paused \(since .{20}, by tests\)", str(found["sentence"]))
    assert found == {
        "kind": "pbx_paused",
        "sentence": found["sentence"],
        "advice": "`outdial resume hq` lifts that",
        "until": None,
        "at_most": None,
        "job_id": None,
        "needs_person": True,
    }
    hopper.resume("hq")
    hopper.heartbeat("w@test", slots=0, ttl_s=600)
    assert (obstacle() or {})["kind"] == "no_worker"
    hq = client.get("/v1/pbxs").json()["pbxs"][0]
    assert (hq["takes_calls"], hq["why_not"]) == (False, "no worker is running")
    client.post(f"{href}:cancel")
    assert obstacle() is None


# --- operating ------------------------------------------------------------------------------------------------


def test_who_acted_stands_in_the_timeline(served: Intake) -> None:
    client, hopper = served.client(), served.dialer.hopper
    name = next(key.name for key in hopper.api_keys() if client.key.split("_")[1] == key.id)
    job_id = client.hand_in().json()["job_id"]
    assert client.post(f"{JOBS}/{job_id}:cancel").status_code == 200
    assert client.post(f"{JOBS}/{job_id}:cancel").json()["state"] == "cancelled"
    record = hopper.record(job_id)
    assert record["origin"] == f"api:{name}"
    assert any(f"{name}@api" in value for value in record.values())
    late = client.post(f"{JOBS}/{job_id}:resolve", json={"verdict": "failed"})
    assert (late.status_code, "unknown" in problem_of(late)["detail"]) == (409, True)
    for wrong in ({"verdict": "placed"}, {"verdict": "failed", "callid": "1.1"}, {"verdict": "maybe"}, {}):
        assert client.post(f"{JOBS}/{job_id}:resolve", json=wrong).status_code == 422


def paused(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    places = answer.json()["pauses"]
    assert answer.json()["paused"] == [place["pbx"] for place in places if place["extid"] is None]
    return [place["pbx"] + (f"/{place['extid']}" if place["extid"] else "") for place in places]


def test_a_pbx_is_paused_and_resumed(served: Intake) -> None:
    client, narrow = served.client(), served.client(pbxs=("branch",))
    assert paused(client.post("/v1/pbxs/hq:pause")) == ["hq"]
    assert {pbx["name"]: pbx["paused"] for pbx in client.get("/v1/pbxs").json()["pbxs"]} == {
        "hq": True,
        "branch": False,
    }
    assert paused(client.post("/v1/pbxs:pause")) == ["*", "hq"]
    assert narrow.get("/v1/pbxs").json()["everything_paused"] is True
    assert paused(client.post("/v1/pbxs:resume")) == ["hq"]
    assert paused(client.post("/v1/pbxs/hq:resume")) == []
    assert narrow.post("/v1/pbxs:pause").status_code == 403
    assert narrow.post("/v1/pbxs/hq:pause").status_code == 404
    assert client.post("/v1/pbxs/nowhere:pause").status_code == 404


def test_the_api_key_is_the_author_of_its_acts_and_their_reasons_are_shown(served: Intake) -> None:
    hopper, reader = served.dialer.hopper, served.client("read")
    author, client = f"crm{len(hopper.api_keys())}@api", served.client()
    job_id = client.post(JOBS, json={"extid": "7720", "outto": "41000", "pbx": "hq"}).json()["job_id"]
    client.post("/v1/pbxs/hq:pause", json={"reason": "asked by 0201234567"})
    client.post("/v1/pbxs:pause", json={})
    client.post("/v1/pbxs/hq:pause", json={"extid": "7720", "reason": "on holiday"})
    cancelled = client.post(f"{JOBS}/{job_id}:cancel", json={"reason": "wrong campaign"})
    try:
        seen = reader.get("/v1/pbxs").json()
        hq = next(pbx for pbx in seen["pbxs"] if pbx["name"] == "hq")
        assert (hq["pause"]["by"], hq["pause"]["reason"]) == (author, "asked by xxxxxxxx67")
        assert (seen["everything_pause"]["by"], seen["everything_pause"]["reason"]) == (author, None)
        [extension] = hq["paused_extensions"]
        assert (extension["extid"], extension["waiting"], extension["reason"]) == ("7720", 0, "on holiday")
        assert cancelled.json()["state"] == "cancelled"
        assert hopper.record(job_id)["cancelled_why"] == "wrong campaign"
        acts = [(entry.act, entry.subject) for entry in hopper.audit(by=author)]
        assert acts == [("pause", "hq"), ("pause", "*"), ("pause", "hq/7720"), ("cancel", job_id)]
    finally:
        assert paused(client.post("/v1/pbxs:resume")) == ["hq", "hq/7720"]
        assert paused(client.post("/v1/pbxs/hq:resume")) == ["hq/7720"]
        assert paused(client.post("/v1/pbxs/hq:resume", json={"extid": "7720", "reason": None})) == []


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("/v1/pbxs/hq:pause", {"extid": "10a"}, "extid: '10a' is invalid; expected 1 to 10 digits"),
        ("/v1/pbxs/hq:pause", {"extension": "1002"}, "extension: "),
        ("/v1/pbxs/hq:resume", {"reason": 7}, "reason: "),
        ("/v1/pbxs:pause", {"extid": "1002"}, "extid: an extension is one of a PBX; send it to /v1/pbxs/NAME"),
    ],
)
def test_a_wrong_pause_is_refused_and_pauses_nothing(
    served: Intake, path: str, body: dict[str, object], detail: str
) -> None:
    answer = served.client().post(path, json=body)
    assert answer.status_code == 422
    assert problem_of(answer)["detail"].startswith(detail)
    assert served.dialer.hopper.pauses() == []


# --- keys -----------------------------------------------------------------------------------------------------


def test_nothing_is_served_without_a_key_but_health(served: Intake) -> None:
    nobody = Client(served.served.url, "")
    for path in (JOBS, f"{JOBS}/x", "/v1/pbxs", "/v1/nothing", "/nothing", "/metrics", "/.env", "/openapi.json"):
        for method in ("GET", "POST", "OPTIONS", "DELETE"):
            refused = nobody.send(method, path)
            assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Bearer realm="outdial"')
            problem_of(refused)
    for method in ("GET", "HEAD"):
        assert nobody.send(method, "/healthz").status_code == nobody.send(method, "/readyz").status_code == 200
    for key in ("x", "outdial_" + "0" * 12 + "_" + "a" * 43, served.client().key[:-1] + "~", "é" * 20):
        with requests.Session() as session:
            session.trust_env = False
            headers = {"Authorization": f"Bearer {key}".encode()}
            assert session.get(served.served.url + JOBS, headers=headers, timeout=GENEROUS_S).status_code == 401


def test_a_revoked_key_is_refused_at_once(served: Intake) -> None:
    client = served.client()
    assert client.get("/v1/pbxs").status_code == 200
    served.dialer.hopper.revoke_key(client.key.split("_")[1])
    assert client.get("/v1/pbxs").status_code == 401


def test_a_key_does_what_its_scopes_say(served: Intake) -> None:
    href = served.client().hand_in().headers["Location"]
    asked = {
        "enqueue": ("POST", JOBS),
        "read": ("GET", href),
        "operate": ("POST", "/v1/pbxs/hq:resume"),
    }
    for scope in apikeys.SCOPES:
        client = served.client(scope)
        for needed, (method, path) in asked.items():
            answer = client.send(method, path, json=JOB if path == JOBS else None)
            assert (answer.status_code == 403) == (needed != scope), (scope, needed)
            if needed != scope:
                assert needed in problem_of(answer)["detail"]


def test_jobs_of_other_pbxs_are_not_there(served: Intake, client: Client) -> None:
    narrow = served.client(pbxs=("branch",))
    foreign = client.hand_in(pbx="hq", extid="779").headers["Location"]
    assert narrow.get(foreign).status_code == narrow.post(f"{foreign}:cancel").status_code == 404
    assert narrow.hand_in(pbx="hq").status_code == narrow.get(f"{JOBS}?pbx=hq").status_code == 403
    own = narrow.hand_in(extid="779")
    assert narrow.get(own.headers["Location"]).json()["pbx"] == "branch"
    assert [job["pbx"] for job in narrow.get(f"{JOBS}?extid=779").json()["jobs"]] == ["branch"]
    assert len(client.get(f"{JOBS}?extid=779").json()["jobs"]) == 2
    rows = rows_of(narrow.post(BATCH, data="extid,outto,pbx\n779,2025550143,hq\n779,2025550144,\n", headers=CSV))
    assert ["problems" in row for row in rows] == [True, False, False]


def test_the_quota_is_told_and_kept(served: Intake) -> None:
    client = served.client("read", requests=2, window_s=600)
    answers = [client.get("/v1/pbxs") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"default";q=2;w=600'}
    assert [answer.headers["RateLimit"].partition(";t=")[0] for answer in answers] == [
        f'"default";r={left}' for left in (1, 0, 0)
    ]
    assert 200 < int(answers[2].headers["Retry-After"]) <= 300
    assert problem_of(answers[2])["type"].endswith("#quota-exceeded")


# --- batches --------------------------------------------------------------------------------------------------


def test_a_bad_row_keeps_no_other_out(client: Client) -> None:
    text = (
        "extid,outto,metadata.lead\n1002,(202) 555-0143,L-1\nx,2025550144,L-2\n1003,911,L-3\n1004,2025550145,L-4\n"
    )
    rows = rows_of(client.post(BATCH, data=text, headers=CSV))
    assert [row.get("line") for row in rows] == [2, 3, 4, 5, None]
    assert ["job_id" in row for row in rows] == [True, False, False, True, False]
    assert rows[-1] == {"summary": {"added": 2, "already_there": 0, "rejected": 2}}
    assert "2025550144" not in json.dumps(rows)
    found = client.get(f"{JOBS}/{rows[0]['job_id']}").json()
    assert (found["extid"], found["metadata"]) == ("1002", {"lead": "L-1"})


def test_a_file_of_rejected_rows_may_be_sent_as_a_batch(client: Client) -> None:
    head = "extid,outto,outdial_line,outdial_row,outdial_reason\n"
    text = f'{head}1002,2025550143,7,,"extid: was wrong"\n,,8,"> 1003",bad\n'
    rows = rows_of(client.post(BATCH, data=text, headers=CSV))
    assert [row.get("line") for row in rows] == [2, 3, None]
    assert (rows[0]["is_new"], rows[1]["problems"]) == (True, ["the header has 2 cells and this row 1"])
    lines = '{"outdial_line": 7, "outdial_reason": "x", "extid": "1002", "outto": "2025550143"}'
    assert rows_of(client.post(BATCH, data=lines, headers=NDJSON))[-1]["summary"]["added"] == 1


def test_a_batch_that_is_wrong_as_a_whole_is_refused_with_a_sentence(client: Client) -> None:
    for text, sentence in (
        (b"\x1f\x8b\x08", "the file is compressed (gzip)"),
        (
            b"phone;ext\n1;2\n",
            "line 1: the header lacks the columns extid and outto; rename 'phone' to outto and 'ext'",
        ),
        (b'{"extid":"1002","outto":"2025550143"}\n', "the file begins with {, as NDJSON does"),
    ):
        answer = client.post(BATCH, data=text, headers=CSV)
        assert answer.status_code == 400
        assert problem_of(answer)["detail"].startswith(sentence)


def test_a_batch_under_one_key_is_handed_in_once(client: Client) -> None:
    text = "\n".join(json.dumps(JOB | {"extid": str(2000 + n % 2)}) for n in range(4))
    named = NDJSON | {"Idempotency-Key": "batch-1"}
    first = client.post(BATCH, data=text, headers=named)
    again = client.post(BATCH, data=text, headers=named)
    assert [row.get("job_id") for row in rows_of(first)] == [row.get("job_id") for row in rows_of(again)]
    assert rows_of(first)[-1]["summary"] == {"added": 4, "already_there": 0, "rejected": 0}
    assert rows_of(again)[-1]["summary"] == {"added": 0, "already_there": 4, "rejected": 0}
    assert again.headers["Idempotency-Replayed"] == "true"
    other = client.post(BATCH, data=text + "\n\n", headers=named)
    assert (other.status_code, problem_of(other)["errors"][0]["parameter"]) == (422, "Idempotency-Key")
    unnamed = [rows_of(client.post(BATCH, data=text, headers=NDJSON))[-1]["summary"] for _ in range(2)]
    assert unnamed == [{"added": 4, "already_there": 0, "rejected": 0}] * 2


def test_limits_of_bodies_are_those_of_the_settings(client: Client) -> None:
    assert client.hand_in(metadata={"a": "b" * 400}).status_code == 202
    assert client.hand_in(key="k" * 5000).status_code == 413
    assert client.post(BATCH, data="extid,outto\n" + "1,2\n" * 20_000, headers=CSV).status_code == 413

    def chunks() -> Iterator[bytes]:
        yield from [b"extid,outto\n"] + [b"1,2\n" * 1000] * 20

    assert client.post(BATCH, data=chunks(), headers=CSV).status_code == 413


# --- the process ----------------------------------------------------------------------------------------------


def test_it_stops_when_told_and_lets_those_go_who_wait(
    redis_server: EmbeddedRedis, tmp_path: Path, namespace: str
) -> None:
    with intake(tmp_path, redis_server.url, namespace) as running, ThreadPoolExecutor(2) as threads:
        client = running.client()
        href = client.hand_in().headers["Location"]
        with running.connection(), running.connection() as half:
            half.sendall(b"GET / HT")
            # Intakes of other tests may listen on the same server.
            patterns = running.dialer.hopper.client.pubsub_numpat
            before = patterns()
            waiting = threads.submit(client.get, f"{href}?wait=5")
            eventually(lambda: patterns() > before)
            running.served.process.send_signal(signal.SIGTERM)
            assert waiting.result().json()["state"] == "waiting"
            assert running.served.process.wait(timeout=GENEROUS_S) == 0
        assert "Traceback" not in running.log.read_text()


def test_what_it_cannot_start_with_is_one_sentence(redis_server: EmbeddedRedis, tmp_path: Path) -> None:
    config = settings_file(tmp_path, redis_server.url, "none")
    certificate = keep_certificate(tmp_path, host="127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as taken, ThreadPoolExecutor(3) as threads:
        asked = {
            ("--port", str(taken.getsockname()[1])): (3, "cannot listen on 127.0.0.1"),
            ("--port", "0", "--tls-cert", str(tmp_path / "none.pem")): (2, "none.pem"),
            ("--port", "0", "--tls-cert", str(certificate.cert_file)): (2, "cannot be used"),  # without its key
        }
        command = [sys.executable, "-m", "producers.cli", "--config", str(config), "api"]
        ended = threads.map(
            lambda options: subprocess.run([*command, *options], capture_output=True, text=True, check=False),
            asked,
        )
        for done, (code, part) in zip(ended, asked.values(), strict=True):
            assert (done.returncode, done.stderr.count("\n"), part in done.stderr) == (code, 1, True), done.stderr


def test_it_serves_tls_by_itself(redis_server: EmbeddedRedis, tmp_path: Path, namespace: str) -> None:
    certificate = keep_certificate(tmp_path, host="127.0.0.1")
    config = settings_file(tmp_path, redis_server.url, namespace)
    tls = ("--tls-cert", str(certificate.cert_file), "--tls-key", str(certificate.key_file))
    with served_api(config, tmp_path / "api.log", *tls) as served, requests.Session() as session:
        session.trust_env = False
        session.headers["Connection"] = "close"
        assert served.url.startswith("https://127.0.0.1:")
        trusting = session.get(f"{served.url}/healthz", verify=str(certificate.cert_file), timeout=GENEROUS_S)
        assert trusting.json() == {"status": "ok"}
        with pytest.raises(requests.exceptions.SSLError):
            session.get(f"{served.url}/healthz", timeout=GENEROUS_S)
        port = int(served.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=GENEROUS_S) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert not plain.recv(100).startswith(b"HTTP/1.1 2")


def test_from_a_request_to_a_ring(redis_server: EmbeddedRedis, tmp_path: Path, namespace: str) -> None:
    options = ("--extensions", "1000-1009", "--ring-s", "0.02", "--talk-s", "0.05", "--log-level", "warning")
    with installation(tmp_path, redis_server, namespace, hq=options) as site:
        settings = site.write_settings(**PATIENT)
        with site.workers(), site.api() as served:
            _, key = apikeys.create(site.hopper, settings, "crm", scopes=apikeys.SCOPES)
            client = Client(served.url, key)
            said = {"extid": "1002", "metadata": {"lead": "L-7"}}
            href = client.hand_in({"Idempotency-Key": "ring"}, **said).headers["Location"]
            result = eventually(lambda: (job := client.get(f"{href}?wait=5").json())["state"] == "placed" and job)
            again = client.hand_in({"Idempotency-Key": "ring"}, **said)
        (ring,) = site.pbxs["hq"].rings()
    assert (result["state"], result["callid"], result["metadata"]) == ("placed", ring.callid, {"lead": "L-7"})
    assert (ring.extid, ring.outto, again.json()["state"]) == ("1002", JOB["outto"], "placed")


# --- bringing jobs back -----------------------------------------------------------------------------------------


def ended_job(served: Intake, state: JobState = JobState.FAILED, **fields: object) -> str:
    """Return a job that ended without a call."""
    job_id = str(served.client().hand_in(**fields).json()["job_id"])
    hopper = served.dialer.hopper
    if state is JobState.CANCELLED:
        hopper.cancel(job_id)
        return job_id
    # As a worker leaves it; the release of a pacer would hand out other tests' jobs too.
    hopper.cancel(job_id)
    hopper.client.hset(hopper.keys.job(job_id), mapping={"state": state, "errno": "10006", "error": "refused"})
    return job_id


def test_an_ended_job_comes_back(served: Intake) -> None:
    client, job_id = served.client(), ended_job(served)

    back = client.post(f"{JOBS}/{job_id}:redial", json={"reason": "the trunk was down", "expires_in_s": 600})

    assert (back.status_code, back.json()["state"], back.json()["errno"]) == (200, "waiting", None)
    record = served.dialer.hopper.record(job_id)
    assert record["redialed_why"] == "the trunk was down"
    assert record["redialed_by"].endswith("@api")
    again = client.post(f"{JOBS}/{job_id}:redial", json={})
    assert (again.status_code, "has not ended: it is waiting" in problem_of(again)["detail"]) == (409, True)


def test_a_job_that_may_have_rung_comes_back_only_if_that_is_accepted(served: Intake) -> None:
    client, job_id = served.client(), ended_job(served, JobState.UNKNOWN)
    refused = client.post(f"{JOBS}/{job_id}:redial", json={})
    assert (refused.status_code, "may have rung already" in problem_of(refused)["detail"]) == (409, True)
    assert client.post(f"{JOBS}/{job_id}:redial", json={"even_if_rung": True}).json()["state"] == "waiting"


def test_jobs_that_match_are_counted_and_then_brought_back(served: Intake) -> None:
    client, path = served.client(), f"{JOBS}:redial"
    ids = {ended_job(served, extid="7711", metadata={"lead": f"L-{number}"}) for number in range(3)}
    filters = {"extid": ["7711"], "state": ["failed"]}

    counted = client.post(path, json={**filters, "dry_run": True}).json()
    assert counted == {"redialed": 0, "count": 3, "by_state": {"failed": 3}, "moved_from": {}, "stay": {}}
    assert client.post(path, json=filters).status_code == 422
    assert client.post(path, json={**filters, "count": 2}).status_code == 409
    assert {served.dialer.hopper.record(job_id)["state"] for job_id in ids} == {"failed"}
    one = {"metadata": {"lead": "L-1"}, "extid": ["7711"], "count": 1}
    assert client.post(path, json=one).json()["redialed"] == 1
    assert client.post(path, json={**filters, "count": 2, "pbx": "branch"}).json()["moved_from"] == {"hq": 2}
    assert {served.dialer.hopper.record(job_id)["state"] for job_id in ids} == {"waiting"}


def test_a_key_brings_back_jobs_of_its_own_pbxs_alone(served: Intake) -> None:
    narrow, job_id = served.client(pbxs=("branch",)), ended_job(served, extid="7712")
    assert narrow.post(f"{JOBS}/{job_id}:redial", json={}).status_code == 404
    assert narrow.post(f"{JOBS}:redial", json={"extid": ["7712"], "dry_run": True}).json()["count"] == 0
    assert narrow.post(f"{JOBS}:redial", json={"from_pbx": ["hq"], "dry_run": True}).status_code == 403
    own = ended_job(served, extid="7712", pbx="branch")
    assert narrow.post(f"{JOBS}/{own}:redial", json={"pbx": "hq"}).status_code == 403
    reader = served.client("read", "enqueue")
    assert reader.post(f"{JOBS}/{own}:redial", json={}).status_code == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "count"),
        ({"state": ["placed"]}, "state"),
        ({"extid": "7711"}, "extid"),
        ({"key": ""}, "key"),
        ({"since": "yesterday"}, "since"),
        ({"state": ["failed"], "count": -1}, "count"),
        ({"state": ["failed"], "dry_run": "yes"}, "dry_run"),
        ({"state": ["failed"], "expires_in_s": 0}, "expires_in_s"),
        ({"state": ["failed"], "pbx": "nope", "dry_run": True}, "pbx"),
        ({"state": ["failed"], "colour": "red"}, "colour"),
    ],
)
def test_a_wrong_field_of_a_redial_is_named(client: Client, body: dict[str, object], field: str) -> None:
    refused = client.post(f"{JOBS}:redial", json=body)
    assert refused.status_code == 422
    assert [error["pointer"] for error in problem_of(refused)["errors"]] == [f"/{field}"]


def test_jobs_are_listed_by_metadata_errno_and_end(served: Intake) -> None:
    client = served.client()
    job_id = ended_job(served, extid="7713", metadata={"lead": "L=7713"})
    for query in (
        "metadata=lead%3DL%3D7713",
        "extid=7713&errno=10006",
        "extid=7713&ended_since=2020-01-01T00:00:00Z",
    ):
        assert [job["job_id"] for job in client.get(f"{JOBS}?{query}").json()["jobs"]] == [job_id], query
    for query in ("metadata=lead%3Dother", "extid=7713&ended_before=2020-01-01T00:00:00Z"):
        assert client.get(f"{JOBS}?{query}").json()["jobs"] == [], query
    assert client.get(f"{JOBS}?metadata=lead").status_code == 422
