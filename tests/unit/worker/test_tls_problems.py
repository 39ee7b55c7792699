"""From what OpenSSL reports to one sentence: real handshakes in memory, and the table itself."""

import re
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from tests.certificates import DAY, issue, server_context
from tests.tls_flaws import FLAWS, Flaw, authorities, chains
from worker.masking import safe
from worker.tls_peers import REDIS, Peer, endpoint, pbx
from worker.tls_problems import (
    Cause,
    cause_of,
    links,
    sentence,
    tls_problem,
)

PEERS = {
    "pbx": pbx(has_ca=False),
    "pbx with ca_file": pbx(has_ca=True),
    "endpoint": endpoint(has_ca=False),
    "endpoint with ca_file": endpoint(has_ca=True),
    "source": endpoint(has_ca=False, address="its address"),
    "redis": REDIS,
}


def report(server: ssl.SSLContext, client: ssl.SSLContext, *, host: str = "localhost") -> ssl.SSLError:
    """Return what the client's OpenSSL reports of a handshake in memory."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=host)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (ours, theirs) * 4:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLError as error:
            return error
    pytest.fail("the handshake succeeded")


def trusting(pem: bytes = b"", flags: int = 0) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags = ssl.VerifyFlags(flags)
    if pem:
        context.load_verify_locations(cadata=pem.decode())
    return context


@pytest.mark.parametrize("flaw", FLAWS, ids=str)
def test_every_flaw_of_a_certificate_has_a_cause_of_its_own(tmp_path: Path, flaw: Flaw) -> None:
    trusted = authorities()[flaw.trusted].pem if flaw.trusted else b""

    error = report(server_context(chains()[flaw.served], tmp_path), trusting(trusted), host=flaw.host)

    assert cause_of(error, in_handshake=True) is flaw.cause
    assert cause_of(error, in_handshake=False) is flaw.cause


def test_a_file_with_an_intermediate_ca_alone_lacks_its_root(tmp_path: Path) -> None:
    chain = chains()["with the intermediate"]
    error = report(server_context(chain[:1], tmp_path), trusting(chain[1].pem))
    assert cause_of(error, in_handshake=True) is Cause.NO_ROOT


def test_what_newer_pythons_check_besides_is_reported_in_the_words_of_openssl(tmp_path: Path) -> None:
    ours = authorities()["ours"]
    chain = (issue("leaf", ours, key_ids=False),)
    error = report(server_context(chain, tmp_path), trusting(ours.pem, ssl.VERIFY_X509_STRICT))
    text = tls_problem(error, PEERS["pbx with ca_file"], in_handshake=True)
    assert "breaks the rules for certificates (missing authority key identifier); issue it again" in text


def test_a_revoked_certificate_is_known_where_a_list_is_checked(tmp_path: Path) -> None:
    ours, now = authorities()["ours"], datetime.now(UTC)
    gone = issue("gone", ours)
    entry = x509.RevokedCertificateBuilder().serial_number(gone.cert.serial_number).revocation_date(now)
    made = x509.CertificateRevocationListBuilder().issuer_name(ours.cert.subject).last_update(now - DAY)
    made = made.next_update(now + DAY).add_revoked_certificate(entry.build())
    file = tmp_path / "ca.pem"
    file.write_bytes(ours.pem + made.sign(ours.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    client = ssl.create_default_context(cafile=file)
    client.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF

    assert cause_of(report(server_context((gone,), tmp_path), client), in_handshake=True) is Cause.REVOKED


def test_what_openssl_has_no_row_for_keeps_its_own_words() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = 28, "certificate rejected"
    other = ssl.SSLError(1, "[SSL: TLSV1_BAD_THING] tlsv1 bad thing (_ssl.c:1006)")
    other.reason = "TLSV1_BAD_THING"

    assert "is not accepted (certificate rejected); " in tls_problem(error, PEERS["pbx"], in_handshake=True)
    assert tls_problem(other, REDIS, in_handshake=True).startswith("TLS failed (tlsv1 bad thing); ")
    assert tls_problem(other, REDIS, in_handshake=False) == ""


@pytest.mark.parametrize(
    "text", ["[SSL] tlsv13 alert certificate required", "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert"]
)
def test_an_alert_is_known_by_its_text_where_python_has_no_word_for_it(text: str) -> None:
    assert cause_of(ssl.SSLError(1, f"{text} (_ssl.c:2580)"), in_handshake=False) is Cause.CLIENT_WANTED


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(104, "Connection reset by peer"),
        TimeoutError("_ssl.c:989: The handshake operation timed out"),
        ssl.SSLEOFError(8, "EOF occurred in violation of protocol (_ssl.c:2427)"),
        FileNotFoundError(2, "No such file or directory"),
    ],
)
def test_the_end_of_a_connection_is_a_problem_of_tls_in_the_handshake_alone(error: OSError) -> None:
    assert tls_problem(error, PEERS["pbx"], in_handshake=True)
    assert tls_problem(error, PEERS["pbx"], in_handshake=False) == ""


@pytest.mark.parametrize(
    "error", [ValueError("x"), ConnectionRefusedError(), TimeoutError("timed out"), OSError()]
)
def test_other_errors_are_none_of_tls(error: Exception) -> None:
    assert tls_problem(error, PEERS["pbx"], in_handshake=True) == ""


def test_errors_that_contain_each_other_are_looked_through_once() -> None:
    inner, outer = ValueError("inner"), ValueError("outer")
    inner.__cause__, outer.__cause__ = outer, inner

    assert list(links(outer)) == [outer, inner]


# Each side's own settings; advice names none of the others'.
SETTINGS = {
    "pbx": {"base_url", "tls_fingerprint", "ca_file"},
    "endpoint": {"url", "allow_http", "ca_file"},
    "source": {"allow_http", "ca_file"},
    "redis": {"redis_url", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"},
}
# Only one side has a client certificate, or a pinned one.
OF_ONE_SIDE = {Cause.CLIENT_PAIR, Cause.CLIENT_FILES, Cause.CLIENT_WEAK, Cause.FINGERPRINT}


@pytest.mark.parametrize("peer", list(PEERS))
def test_every_cause_has_a_sentence_fit_for_every_place(peer: str) -> None:
    for cause in Cause:
        text = sentence(cause, PEERS[peer], detail="dh key too small")
        problem, _, advice = text.partition("; ")
        assert (problem and advice, len(text) < 260) == (advice, True), text
        assert not re.search(r"[{}\n]|None", text)
        assert safe(text) == text  # nothing in it looks like a secret
        if cause not in OF_ONE_SIDE:
            named = set(re.findall(r"base_url|tls_fingerprint|\burl\b|allow_http|redis_url|ca_file|ssl_\w+", text))
            assert named <= SETTINGS[peer.partition(" ")[0]], text


# A file of trusted certificates is what these are about, or may be.
ABOUT_CA_FILE = {Cause.EXPIRED, Cause.PRIVATE_CA, Cause.SELF_SIGNED, Cause.NO_ISSUER, Cause.NO_ROOT}
ABOUT_CA_FILE |= {Cause.CA_MADE_ANEW, Cause.FILE_UNREADABLE, Cause.CA_FILE_EMPTY, Cause.CA_FILE_DAMAGED}


@pytest.mark.parametrize("peer", [pbx(has_ca=True), endpoint(has_ca=True)], ids=["pbx", "endpoint"])
def test_a_ca_file_that_is_right_is_not_blamed(peer: Peer) -> None:
    for cause in set(Cause) - ABOUT_CA_FILE:
        assert "ca_file" not in sentence(cause, peer, detail="x").replace("tls_fingerprint instead of ca_file", "")


@pytest.mark.parametrize("peer", [pbx(has_ca=True), endpoint(has_ca=True)], ids=["pbx", "endpoint"])
def test_advice_never_asks_for_a_ca_file_that_is_given(peer: Peer) -> None:
    text = [sentence(cause, peer, detail="x") for cause in Cause]
    assert [text for text in text if re.search(r"by ca_file", text)] == []


def test_no_setting_is_promised_to_allow_what_is_too_old() -> None:
    for peer in PEERS.values():
        text = sentence(Cause.TOO_OLD, peer)
        assert "update" in text
        assert ("no setting of outdial allows them" in text) is (peer is not REDIS)  # whose own setting may


def test_no_two_causes_have_the_same_sentence() -> None:
    text = [sentence(cause, REDIS, detail="x") for cause in Cause]
    assert len(set(text)) == len(text)
