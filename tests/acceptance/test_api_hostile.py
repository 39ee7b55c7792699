"""What strangers send to the intake: it answers with a 4xx, stays small, and serves everybody else."""

import gzip
import json
import socket
from collections.abc import Callable, Iterator

import pytest

from ops.embedded_redis import EmbeddedRedis
from tests.acceptance.intake import JOB, PIPEDRIVE, SOURCES, Client, Intake, intake, problem_of

JSON = {"Content-Type": "application/json"}
BATCH = "/v1/dial-jobs:batch"
MOST_KIB = 50 * 1024


@pytest.fixture(scope="module")
def served(redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intake]:
    with intake(tmp_path_factory.mktemp("hostile"), redis_server.url, "hostile", settings=(SOURCES,)) as running:
        yield running


@pytest.fixture(scope="module")
def client(served: Intake) -> Client:
    client = served.client()
    # What every request needs is loaded by the first ones.
    assert client.hand_in().status_code == 202
    assert client.post(BATCH, data="extid,outto\n1,2\n", headers={"Content-Type": "text/csv"}).status_code == 200
    assert client.get("/openapi.json").status_code == 200
    return client


@pytest.fixture(autouse=True)
def costs_little_and_harms_nobody(served: Intake, client: Client) -> Iterator[None]:
    """Each of these tests."""
    before = served.peak_kib()
    yield

    assert served.peak_kib() - before < MOST_KIB
    assert client.hand_in().status_code == 202


def head(client: Client, *lines: str, method: str = "POST", path: str = "/v1/dial-jobs") -> bytes:
    start = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {client.key}", *lines]
    return "\r\n".join([*start, "", ""]).encode("latin-1")


def of_json(text: str | bytes, **headers: str) -> dict[str, object]:
    return {"data": text, "headers": JSON | headers}


DEEP = '{"extid":' + "[" * 400_000 + "]" * 400_000 + "}"
BODIES: dict[str, tuple[dict[str, object], int]] = {
    "gzip bomb": (of_json(gzip.compress(bytes(200 * 2**20), 1), **{"Content-Encoding": "gzip"}), 415),
    "gzip that says nothing of it": (of_json(gzip.compress(bytes(2**20))), 400),
    "deep nesting": (of_json(DEEP), 400),
    "deep nesting in metadata": (of_json('{"metadata":' + '{"a":' * 90_000 + "1" + "}" * 90_001), 400),
    "a number of a million digits": (of_json('{"extid":' + "9" * 1_000_000 + "}"), 400),
    "a number beyond all floats": (of_json('{"extid":1e999999,"outto":"2"}'), 400),
    "not a number": (of_json('{"extid":NaN,"outto":"2"}'), 400),
    "UTF-16": (of_json(json.dumps(JOB).encode("utf-16")), 400),
    "Latin-1, and says so": (
        of_json(b'{"extid":"\xe9"}', **{"Content-Type": "application/json; charset=latin-1"}),
        415,
    ),
    "Latin-1 that says it is UTF-8": (of_json(b'{"extid":"\xe9"}'), 400),
    "half a surrogate pair": (of_json(r'{"extid":"1","outto":"2","metadata":{"a":"\ud800"}}'), 400),
    "a name twice": (of_json('{"extid":"1","extid":"2","outto":"3"}'), 400),
    "a name twice within metadata": (of_json('{"extid":"1","outto":"3","metadata":{"a":"1","a":"2"}}'), 400),
    "entities": (
        of_json('<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;">]><a>&d;</a>', **{"Content-Type": "text/xml"}),
        415,
    ),
    "a name of a million characters": (of_json('{"' + "a" * 1_000_000 + '":1,"extid":"1","outto":"2"}'), 422),
    "80,000 names": (of_json("{" + ",".join(f'"{n}":0' for n in range(80_000)) + "}"), 422),
    "80,000 entries of metadata": (
        of_json(json.dumps(JOB | {"metadata": dict.fromkeys(map(str, range(80_000)), 0)})),
        422,
    ),
    "a key of 10 KB": (of_json(json.dumps(JOB | {"key": "k" * 10_000})), 422),
    "NUL bytes": (of_json(bytes(1000)), 400),
    "nothing": (of_json(""), 400),
    "too much": (of_json(bytes(5 * 2**20)), 413),
    "a form": ({"data": JOB}, 415),
}  # fmt: skip


@pytest.mark.parametrize("what", BODIES)
def test_a_body_that_cannot_be_right_is_a_problem(client: Client, what: str) -> None:
    options, status = BODIES[what]
    answer = client.post("/v1/dial-jobs", **options)
    problem = problem_of(answer)
    assert (answer.status_code, len(answer.content) < 5000) == (status, True), problem


BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
XML = {
    "entities": f'<!DOCTYPE a [<!ENTITY a0 "a">{BOMB}]><a>&a9;</a>',
    "an entity of a file": '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "deep nesting": "<a>" * 250_000 + "</a>" * 50_000,
    "nothing": "",
    "JSON": "{}",
}


@pytest.mark.parametrize("what", XML)
def test_xml_that_cannot_be_right_is_a_problem(client: Client, what: str) -> None:
    answer = client.post("/hooks/sf/0123456789abcdef0123456789abcdef", data=XML[what])
    assert (answer.status_code, problem_of(answer)["instance"]) == (400, "/hooks/sf")


def test_what_stands_where_a_source_is_named_is_told_to_nobody(client: Client) -> None:
    answer = client.post("/hooks/a-secret-that-lost-its-source", data="{}")
    assert (answer.status_code, problem_of(answer)["instance"]) == (404, "/hooks/...")
    assert "a-secret-that-lost-its-source" not in answer.text


def test_json_that_cannot_be_right_is_a_problem_to_hooks_too(client: Client) -> None:
    headers = JSON | {"Authorization": "Basic b3V0ZGlhbDptYWRlLXVwLXBpcGVkcml2ZS1wYXNzd29yZA=="}
    for body in (DEEP, "9" * 1_000_000, json.dumps(PIPEDRIVE).encode("utf-16"), '{"a":1,"a":2}', b"\xff"):
        answer = client.post("/hooks/pd", data=body, headers=headers)
        assert 400 <= answer.status_code < 500, body[:100]
        problem_of(answer)


HEADERS: dict[str, tuple[Callable[[Client], bytes], int]] = {
    "a line that folds": (lambda c: head(c, "X-A: b", " c", "Content-Length: 0"), 400),
    "a bare CR in a value": (lambda c: head(c, "Idempotency-Key: a\rSet-Cookie: b", "Content-Length: 0"), 400),
    "a NUL in a value": (lambda c: head(c, "Idempotency-Key: a\0b", "Content-Length: 0"), 400),
    "a name with a space": (lambda c: head(c, "Content-Length : 0"), 400),
    "an idempotency key of 10 KB": (
        lambda c: head(c, "Idempotency-Key: " + "k" * 10_000, "Content-Length: 0"),
        400,
    ),
    "an idempotency key beyond ASCII": (lambda c: head(c, "Idempotency-Key: \xe9", "Content-Length: 0"), 400),
    "two idempotency keys": (
        lambda c: head(c, "Idempotency-Key: a", "Idempotency-Key: b", "Content-Length: 0"),
        400,
    ),
    "an empty idempotency key": (lambda c: head(c, 'Idempotency-Key: ""', "Content-Length: 0"), 400),
    "a URL of 100 KB": (lambda c: head(c, method="GET", path="/v1/dial-jobs?key=" + "k" * 100_000), 414),
    "10,000 header fields": (lambda c: head(c, *(f"X-{n}: 1" for n in range(10_000))), 431),
    "a header field of 100 KB": (lambda c: head(c, "X-A: " + "b" * 100_000), 431),
    "a header field without end": (lambda c: head(c)[:-2] + b"X-A: " + b"b" * 5_000_000, 431),
    "a URL without end": (lambda _: b"GET /" + b"a" * 5_000_000, 414),
    "two lengths": (lambda c: head(c, "Content-Length: 1", "Content-Length: 2") + b"{}", 400),
    "length and chunks": (lambda c: head(c, "Content-Length: 2", "Transfer-Encoding: chunked") + b"{}", 400),
    "a negative length": (lambda c: head(c, "Content-Length: -1"), 400),
    "a length that is none": (lambda c: head(c, "Content-Length: 0x10") + b"{}", 400),
    "a length beyond all": (lambda c: head(c, "Content-Type: application/json", f"Content-Length: {2**63}"), 413),
    "a length of too many digits": (lambda c: head(c, "Content-Length: " + "9" * 40), 400),
    "an unknown transfer coding": (lambda c: head(c, "Transfer-Encoding: gzip") + b"{}", 400),
    "no HTTP": (lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 400),
    "another HTTP": (lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a URL that is none": (lambda c: head(c, path="http://[::1"), 400),
    "a URL beyond ASCII": (lambda c: head(c, path="/\xff\xfe"), 400),
}


@pytest.mark.parametrize("what", HEADERS)
def test_a_head_that_cannot_be_right_is_a_problem(served: Intake, client: Client, what: str) -> None:
    make, status = HEADERS[what]
    answer = served.raw(make(client))
    assert (answer.status, problem_of(answer)["status"]) == (status, status), answer.text


CHUNKS: dict[str, bytes] = {
    "a size that is none": b"zz\r\n{}\r\n0\r\n\r\n",
    "a negative size": b"-2\r\n{}\r\n0\r\n\r\n",
    "a size beyond all": b"f" * 40 + b"\r\n{}\r\n",
    "more than it says": b"1\r\n{}\r\n0\r\n\r\n",
    "no end of a line": b"2\r\n{}XX0\r\n\r\n",
}


@pytest.mark.parametrize("what", CHUNKS)
def test_chunks_that_cannot_be_right_are_a_problem(served: Intake, client: Client, what: str) -> None:
    chunked = head(client, "Content-Type: application/json", "Transfer-Encoding: chunked")
    answer = served.raw(chunked, CHUNKS[what])
    assert (answer.status, problem_of(answer)["status"]) == (400, 400)


def test_trailers_are_no_headers(served: Intake, client: Client) -> None:
    chunked = head(client, "Content-Type: application/json", "Transfer-Encoding: chunked")
    trailers = b"Idempotency-Key: from-a-trailer\r\nContent-Encoding: gzip\r\n\r\n"
    body = json.dumps(JOB).encode()
    answers = [served.raw(chunked, b"%x\r\n%s\r\n0\r\n" % (len(body), body), trailers) for _ in range(2)]
    assert [json.loads(answer.text)["is_new"] for answer in answers] == [True, True]
    endless = served.raw(chunked, b"%x\r\n%s\r\n0\r\n" % (len(body), body), b"X-A: b\r\n" * 10_000)
    assert endless.status == 431


def test_a_body_that_ends_early_was_no_request(served: Intake, client: Client) -> None:
    with served.connection() as connection:
        connection.sendall(head(client, "Content-Type: application/json", "Content-Length: 100") + b'{"extid":')
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def test_the_answer_to_a_body_too_long_reaches_those_who_send_it_all(client: Client, served: Intake) -> None:
    for key in (client.key, "outdial_" + "0" * 12 + "_" + "a" * 43):  # 413, and 401 before anything was read
        stranger = Client(client.url, key)
        answer = stranger.post("/v1/dial-jobs", data=bytes(5 * 2**20), headers=JSON)
        assert answer.status_code == (413 if key == client.key else 401)
    expecting = head(client, "Content-Type: application/json", "Content-Length: 5000000", "Expect: 100-continue")
    assert served.raw(expecting).status == 413


def test_a_flood_of_requests_on_one_connection_is_ended(served: Intake, client: Client) -> None:
    wait = head(client, method="GET", path="/v1/pbxs")
    with served.connection() as connection:
        connection.sendall(wait + b"GET / HTTP/1.1\r\n\r\n" * 100_000)
        received = b"".join(iter(lambda: _received(connection), b""))
    assert received.count(b"HTTP/1.1 ") <= 25


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""


WORKBOOK = b"PK\x03\x04" + bytes(26) + b"[Content_Types].xml" + bytes(2000) + b"xl/workbook.xml" + bytes(10**6)


def _nested(depth: int) -> bytes:
    row = "{}"
    for _ in range(depth):
        row = json.dumps({"outdial_row": row})
    return row.encode()


ROWS: dict[str, tuple[str, Callable[[], bytes], int, int]] = {
    # media type, body, status, rejected rows
    "a CSV of one endless line": ("text/csv", lambda: b"extid,outto\n" + b"1" * (5 * 2**20), 200, 1),
    "a header of one endless line": ("text/csv", lambda: b"extid,outto," * 2**20, 400, 0),
    "an NDJSON of one endless line": ("application/x-ndjson", lambda: b'{"extid":' + b"1" * (5 * 2**20), 200, 1),
    "rows of NUL bytes": ("text/csv", lambda: b"extid,outto\n" + b"\0,\0\n" * 1000, 200, 1000),
    "a million empty lines": ("text/csv", lambda: b"extid,outto\n" + b"\n" * 10**6, 200, 0),
    "200,000 empty lines of NDJSON": ("application/x-ndjson", lambda: b"\n" * 200_000, 200, 0),
    "rows that are not UTF-8": ("text/csv", lambda: b"extid,outto\n1001,2025550143\n\xff,\xfe\n", 200, 1),
    "a quote never closed": ("text/csv", lambda: b'extid,outto\n"1,2\n' + b"x,3\n" * 5_000, 200, 5_001),
    "nothing": ("text/csv", lambda: b"", 400, 0),
    "a workbook as CSV": ("text/csv", lambda: WORKBOOK, 400, 0),
    "a workbook as NDJSON": ("application/x-ndjson", lambda: WORKBOOK, 400, 0),
    "UTF-16 without BOM": ("text/csv", lambda: "extid,outto\n1,2\n".encode("utf-16-le"), 400, 0),
    "a header of 60,000 columns": ("text/csv", lambda: b"a," * 30_000 + b"\n1\n", 400, 0),
    "rejected rows nested in rejected rows": ("application/x-ndjson", lambda: _nested(12) + b"\n", 200, 1),
    "many names in many rows": (
        "application/x-ndjson",
        lambda: (json.dumps(dict.fromkeys(map(str, range(5_000)), 0)).encode() + b"\n") * 100,
        200,
        100,
    ),
    "deep nesting": ("application/x-ndjson", lambda: (b"[" * 60_000 + b"\n") * 20, 200, 20),
    "another kind": ("application/json", lambda: b"[]", 415, 0),
    "too much": ("text/csv", lambda: bytes(65 * 2**20), 413, 0),
}


@pytest.mark.parametrize("what", ROWS)
def test_a_hostile_batch_has_its_rows_refused(client: Client, what: str) -> None:
    media_type, make, status, rejected = ROWS[what]
    answer = client.post(BATCH, data=make(), headers={"Content-Type": media_type})
    assert answer.status_code == status
    if status == 200:
        assert len(answer.content) < 5 * 2**20
        assert json.loads(answer.text.splitlines()[-1])["summary"]["rejected"] == rejected
    else:
        problem_of(answer)
