"""One POST to a PBX over real HTTP: which replies count, and what is reported where none comes."""

import pytest

from tests.conftest import pbx_settings
from tests.integration.interim_replies import ENDLESS, FINAL, SKIPPED, interim, replying
from tests.integration.tls_servers import TlsServer
from worker.errors import NeverTry, OutcomeUnknown
from worker.pbx.transport import Transport

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
    with replying(interim(103) + refusal) as server, pytest.raises(NeverTry, match="HTTP 404"):
        dial(server)


def test_a_connection_is_used_again_after_interim_replies() -> None:
    kept = FINAL.replace(b"Connection: close\r\n", b"")
    with replying(interim(100) + interim(103) + kept) as server:
        transport = Transport(pbx_settings(base_url=f"http://127.0.0.1:{server.port}"))
        replies = [transport.post(DIAL, {"extid": "1002"}) for _ in range(2)]
    assert [reply["callid"] for reply in replies] == ["1795487410.5"] * 2
    assert len(server.received) == 2


@pytest.mark.parametrize("reply", list(ENDLESS.values()), ids=list(ENDLESS))
def test_interim_replies_without_end_are_not_read_for_ever(reply: bytes) -> None:
    text = r"interim replies \(HTTP 1xx\) without end"
    with replying(reply + FINAL) as server, pytest.raises(OutcomeUnknown, match=text):
        dial(server)


@pytest.mark.parametrize("before", [interim(103), interim(100), b"HTTP/1.1 103 Early"], ids=["103", "100", "half"])
def test_a_dial_whose_connection_breaks_after_an_interim_reply_may_have_rung(before: bytes) -> None:
    with replying(before) as server, pytest.raises(OutcomeUnknown, match="the connection broke before the PBX's"):
        dial(server)
