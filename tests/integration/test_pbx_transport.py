"""One POST to a PBX over real HTTP: which replies count, and what is reported where none comes."""

import threading
import time

import pytest

from ops.installation import eventually
from tests.conftest import pbx_settings
from tests.integration.interim_replies import (
    ENDLESS,
    FINAL,
    KEPT,
    SKIPPED,
    answering_once_per_connection,
    interim,
    replying,
)
from tests.integration.tls_servers import TlsServer
from worker.errors import (
    AttemptFailed,
    NeverTry,
    OutcomeUnknown,
    PbxDenies,
    PbxDown,
    PbxRefuses,
)
from worker.pbx.kept import KEEP_IDLE_S
from worker.pbx.transport import Begin, Transport

DIAL = "v1.0.0/extension/dial_outbound"


def dial(server: TlsServer) -> dict[str, object]:
    transport = Transport(pbx_settings(base_url=f"http://127.0.0.1:{server.port}"))
    return transport.post(DIAL, {"extid": "1002", "outto": "41000"}, token="t0ken")


@pytest.mark.parametrize("before", list(SKIPPED.values()), ids=list(SKIPPED))
def test_interim_replies_after_a_dial_are_no_outcome(before: bytes) -> None:
    with replying(before + FINAL) as server:
        assert dial(server) == {"status": "Success", "callid": "1795487410.5"}
    assert len(server.received) == 1


def test_the_final_reply_counts_even_if_it_is_a_refusal() -> None:
    refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    with replying(interim(103) + refusal) as server, pytest.raises(PbxRefuses, match="HTTP 404"):
        dial(server)


STATUSES = {
    PbxDenies: (401, 403, 407),
    PbxRefuses: (
        300,
        301,
        302,
        303,
        307,
        308,
        402,
        404,
        405,
        406,
        410,
        411,
        412,
        413,
        414,
        415,
        418,
        421,
        426,
        431,
    ),
    PbxDown: (429,),
    NeverTry: (400, 409, 422),
    OutcomeUnknown: (201, 204, 408, 500, 501, 502, 503, 504, 511, 599),
}


@pytest.mark.parametrize(("status", "kind"), [(each, kind) for kind, codes in STATUSES.items() for each in codes])
def test_a_status_blames_the_pbx_unless_it_is_about_the_call(status: int, kind: type[AttemptFailed]) -> None:
    assert type(_failure(status)) is kind
    assert _failure(status).errno == f"http_{status}"


@pytest.mark.parametrize(
    ("status", "header", "asked_rest_s"),
    [
        (429, b"", 1),
        (429, b"Retry-After: 0\r\n", 1),
        (429, b"Retry-After: soon\r\n", 1),
        (429, b"Retry-After: 60\r\n", 60),
        (429, b"Retry-After: 999999999\r\n", 600),
        (429, b"Retry-After: Thu, 31 Dec 2099 23:59:59 GMT\r\n", 600),
        (429, b"Retry-After: Thu, 01 Jan 2026 00:00:00 GMT\r\n", 1),
        (503, b"Retry-After: 60\r\n", 60),
        (503, b"", 0),
        (403, b"Retry-After: 60\r\n", 60),
        (404, b"", 0),
    ],
)
def test_the_rest_that_a_pbx_asks_for_is_bounded(status: int, header: bytes, asked_rest_s: float) -> None:
    assert _failure(status, header).asked_rest_s == asked_rest_s


def _failure(status: int, header: bytes = b"") -> AttemptFailed:
    reply = b"HTTP/1.1 %d Whatever\r\n%bContent-Length: 0\r\n\r\n" % (status, header)
    with replying(reply) as server, pytest.raises(AttemptFailed) as raised:
        dial(server)
    return raised.value


def test_a_tls_port_that_is_spoken_to_in_plain_http_is_named_and_rang_nobody() -> None:
    with replying(b"\x15\x03\x01\x00\x02\x02\x46") as server, pytest.raises(PbxDown) as failure:
        dial(server)
    assert failure.value.error == (
        "the PBX could not be reached: its port speaks TLS; begin base_url with https://"
    )


def test_a_plain_port_that_redirects_to_tls_is_named() -> None:
    location = b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:8088/x?token=t0ken\r\nContent-Length: 0\r\n"
    with replying(location + b"Connection: close\r\n\r\n") as server, pytest.raises(PbxRefuses) as failure:
        dial(server)
    assert failure.value.error == (
        "the PBX redirects plain HTTP to TLS (HTTP 302); set base_url to https:// and its TLS port"
    )


def test_a_connection_is_used_again_after_interim_replies() -> None:
    with replying(interim(100) + interim(103) + KEPT) as server:
        transport = Transport(pbx_settings(base_url=f"http://127.0.0.1:{server.port}"))
        replies = [transport.post(DIAL, {"extid": "1002"}) for _ in range(2)]
    assert [reply["callid"] for reply in replies] == ["1795487410.5"] * 2
    assert len(server.received) == 2


def test_a_request_waits_for_its_time_over_a_connection_that_stands() -> None:
    with replying(FINAL) as server:
        transport = Transport(pbx_settings(base_url=f"http://127.0.0.1:{server.port}"))
        send_at = time.monotonic() + 0.2
        sender = threading.Thread(
            target=transport.post, args=(DIAL, {"extid": "1002"}), kwargs={"begin": Begin(send_at)}
        )
        sender.start()
        eventually(lambda: server.live)
        received = list(server.received)
        assert received == [] or time.monotonic() >= send_at
        sender.join()
        assert time.monotonic() >= send_at
        assert len(server.received) == 1


def test_a_connection_that_was_idle_is_not_used_again() -> None:
    # However short the time after which the PBX closes it without a word.
    with answering_once_per_connection() as server:
        transport = Transport(pbx_settings(base_url=f"http://127.0.0.1:{server.port}"))
        for _ in range(5):
            assert transport.post(DIAL, {"extid": "1002"})["status"] == "Success"
            time.sleep(2 * KEEP_IDLE_S)  # the connection is idle for longer than it may be
    assert len(server.received) == 5


def test_a_connection_that_broke_between_two_requests_is_the_last_that_is_used_again() -> None:
    with answering_once_per_connection() as server:
        transport = Transport(pbx_settings(base_url=f"http://127.0.0.1:{server.port}"))
        outcomes = [_outcome(transport) for _ in range(50)]
    assert outcomes.count("reply_lost") <= 1
    assert outcomes[-1] == "Success"
    assert len(server.received) == outcomes.count("Success")


def _outcome(transport: Transport) -> str:
    try:
        return str(transport.post(DIAL, {"extid": "1002"})["status"])
    except OutcomeUnknown as failure:
        return failure.errno


@pytest.mark.parametrize("reply", list(ENDLESS.values()), ids=list(ENDLESS))
def test_interim_replies_without_end_are_not_read_for_ever(reply: bytes) -> None:
    text = r"interim replies \(HTTP 1xx\) without end"
    with replying(reply + FINAL) as server, pytest.raises(OutcomeUnknown, match=text):
        dial(server)


@pytest.mark.parametrize("before", [interim(103), interim(100), b"HTTP/1.1 103 Early"], ids=["103", "100", "half"])
def test_a_dial_whose_connection_breaks_after_an_interim_reply_may_have_rung(before: bytes) -> None:
    with replying(before) as server, pytest.raises(OutcomeUnknown, match="the connection broke before the PBX's"):
        dial(server)
