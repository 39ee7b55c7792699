"""The sentence for every TLS failure, on every side: real servers, real certificates, OpenSSL's own reports."""

import contextlib
import shutil
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
import redis
from structlog.testing import capture_logs

from ops.embedded_redis import EmbeddedRedis
from ops.ports import reserve_port
from tests.certificates import issue, server_context
from tests.conftest import pbx_settings
from tests.integration.endpoints import LOOPBACK
from tests.integration.tls_servers import (
    Serve,
    closing,
    in_plain,
    over_tls,
    resetting,
    serving,
    silent,
)
from tests.tls_flaws import FLAWS, Flaw, authorities, chains
from worker import tls_peers, tls_problems
from worker.app import build_app
from worker.broker import Consumer
from worker.errors import OutcomeUnknown, PbxDown
from worker.health import examine
from worker.hopper import connect
from worker.pbx.transport import Transport as PbxTransport
from worker.redis_address import RedisAddress
from worker.redis_away import hint_for, is_away
from worker.redis_tls import likely_problem
from worker.settings import Settings
from worker.tls_peers import Peer
from worker.tls_problems import Cause
from worker.webhooks import Call
from worker.webhooks.endpoints import Route
from worker.webhooks.transport import NoReply, Reply
from worker.webhooks.transport import Transport as EndpointTransport

TOKEN = "t0ken-of-a-test"


@dataclass(frozen=True)
class Side:
    """One of the three that TLS is spoken with: how to ask it, and what the sentences call it."""

    ask: Callable[..., str]
    peer: Callable[[bool], Peer]

    def sentence(self, cause: Cause, *, has_ca: bool, detail: str = "") -> str:
        return tls_problems.sentence(cause, self.peer(has_ca), detail=detail)


def ask_pbx(
    port: int, *, ca: Path | None = None, within_s: float = 10, host: str = "localhost", **changes: object
) -> str:
    url = f"https://{host}:{port}"
    settings = pbx_settings(base_url=url, ca_file=ca, connect_timeout_s=within_s, **changes)
    with pytest.raises(PbxDown) as down:
        PbxTransport(settings).post("v1.0.0/extension/dial_outbound", {"outto": "02079460018"}, token=TOKEN)
    assert down.value.errno == "unreachable"
    return down.value.error.removeprefix("the PBX could not be reached: ")


def ask_endpoint(port: int, *, ca: Path | None = None, within_s: float = 10, host: str = "localhost") -> str:
    route = Route.model_validate({"allow_networks": LOOPBACK, "ca_file": ca, "timeout_s": within_s})
    call = Call("POST", f"https://{host}:{port}/hook?token={TOKEN}", {}, b"{}")
    heard = EndpointTransport().send(call, route)
    assert isinstance(heard, NoReply)
    return heard.error


def ask_redis(
    port: int, *, ca: Path | None = None, within_s: float = 10, host: str = "localhost", **options: object
) -> str:
    error = failure_of(rediss(port, ca=ca, host=host, **options), within_s=within_s)
    assert is_away(error)
    return hint_for(error)


def rediss(port: int, *, ca: Path | None = None, host: str = "localhost", **options: object) -> str:
    given = options | ({"ssl_ca_certs": ca} if ca else {})
    return f"rediss://:{TOKEN}@{host}:{port}/0?{urlencode(given)}"


def failure_of(url: str, *, within_s: float = 10) -> redis.RedisError:
    with connect(url) as client:
        client.connection_pool.connection_kwargs["socket_timeout"] = within_s  # which holds for the handshake too
        with pytest.raises(redis.RedisError) as failed:
            client.ping()
    return failed.value


SIDES = {
    "pbx": Side(ask_pbx, lambda has_ca: tls_peers.pbx(has_ca=has_ca)),
    "endpoint": Side(ask_endpoint, lambda has_ca: tls_peers.endpoint(has_ca=has_ca, address="its address")),
    "redis": Side(ask_redis, lambda _has_ca: tls_peers.REDIS),
}
each_side = pytest.mark.parametrize("side", list(SIDES.values()), ids=list(SIDES))


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files that name what a client trusts."""
    folder = tmp_path_factory.mktemp("trusted")
    files = {name: folder / f"{name}.pem" for name in authorities()}
    for name, file in files.items():
        file.write_bytes(authorities()[name].pem)
    return files


@pytest.fixture(scope="module", autouse=True)
def few_public_authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Those of the system take longer to read than all else in here."""
    file = tmp_path_factory.mktemp("public") / "ca.pem"
    file.write_bytes(issue("a public CA", ca=True).pem)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@each_side
@pytest.mark.parametrize("flaw", FLAWS, ids=str)
def test_every_flaw_of_a_certificate_is_named_on_every_side(
    tmp_path: Path, trusted: dict[str, Path], side: Side, flaw: Flaw
) -> None:
    with serving(over_tls(server_context(chains()[flaw.served], tmp_path))) as server:
        text = side.ask(server.port, ca=trusted.get(flaw.trusted), host=flaw.host)

    if flaw.cause is not Cause.NOT_A_CA:  # which has OpenSSL's words in it
        assert text == side.sentence(flaw.cause, has_ca=bool(flaw.trusted))
    assert any(words in text for words in flaw.phrase.split("|"))
    assert TOKEN not in text
    assert server.received == []


# What else may answer on a port, alerts (RFC 8446, section 6), and the hellos of old servers.
ALERT = "150301000202{:02x}"
HELLO = "16{0}004a02000046{0}" + "11" * 32 + "20" + "22" * 32 + "{1}00"
PORTS = {
    "HTTP": (Cause.NOT_TLS, in_plain(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
    "SSH": (Cause.NOT_TLS, in_plain(b"SSH-2.0-OpenSSH_9.2\r\n")),
    "SIP": (Cause.NOT_TLS, in_plain(b"SIP/2.0 400 Bad Request\r\n\r\n")),
    "Redis": (Cause.NOT_TLS, in_plain(b"-ERR Protocol error: unbalanced quotes in request\r\n")),
    "silent": (Cause.TIMED_OUT, silent),
    "closing": (Cause.CUT, closing),
    "resetting": (Cause.CUT, resetting),
    "SSL 3": (Cause.TOO_OLD, in_plain(bytes.fromhex(HELLO.format("0300", "002f")))),
    "TLS 1.0": (Cause.TOO_OLD, in_plain(bytes.fromhex(HELLO.format("0301", "002f")))),
    "TLS 1.1": (Cause.TOO_OLD, in_plain(bytes.fromhex(HELLO.format("0302", "002f")))),
    "no secure renegotiation": (Cause.OUTDATED, in_plain(bytes.fromhex(HELLO.format("0303", "c02f")))),
    "alert 40": (Cause.NO_CIPHER, in_plain(bytes.fromhex(ALERT.format(40)))),
    "alert 70": (Cause.TOO_OLD, in_plain(bytes.fromhex(ALERT.format(70)))),
    "alert 71": (Cause.NO_CIPHER, in_plain(bytes.fromhex(ALERT.format(71)))),
    "alert 80": (Cause.PEER_FAILED, in_plain(bytes.fromhex(ALERT.format(80)))),
    "alert 112": (Cause.UNKNOWN_NAME, in_plain(bytes.fromhex(ALERT.format(112)))),
}


@each_side
@pytest.mark.parametrize(("cause", "serve"), list(PORTS.values()), ids=list(PORTS))
def test_every_port_that_is_the_wrong_one_is_named_on_every_side(
    trusted: dict[str, Path], side: Side, cause: Cause, serve: Serve
) -> None:
    with serving(serve) as server:
        text = side.ask(server.port, ca=trusted["ours"], within_s=0.2 if cause is Cause.TIMED_OUT else 10)

    assert text == side.sentence(cause, has_ca=True, detail="unsafe legacy renegotiation disabled")


def unknown_name(_socket: object, _name: object, _context: object) -> int:
    return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME


V10, V11, V12 = (ssl.TLSVersion[name] for name in ("TLSv1", "TLSv1_1", "TLSv1_2"))
HANDSHAKES: dict[str, tuple[Cause, dict[str, object]]] = {
    "TLS 1.0 alone": (Cause.TOO_OLD, {"minimum_version": V10, "maximum_version": V10}),
    "TLS 1.1 at most": (Cause.TOO_OLD, {"minimum_version": V10, "maximum_version": V11}),
    "no cipher": (Cause.NO_CIPHER, {"maximum_version": V12, "ciphers": "AES128-SHA:@SECLEVEL=0"}),
    "weak key exchange": (
        Cause.OUTDATED,
        {"maximum_version": V12, "ciphers": "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0", "dh": True},
    ),
    "client certificate by TLS 1.2": (Cause.NO_CIPHER, {"maximum_version": V12, "verify_mode": ssl.CERT_REQUIRED}),
    "client certificate by TLS 1.3": (Cause.CLIENT_WANTED, {"verify_mode": ssl.CERT_REQUIRED}),
    "unknown host name": (Cause.UNKNOWN_NAME, {"sni_callback": unknown_name}),
}


@each_side
@pytest.mark.parametrize(("cause", "changes"), list(HANDSHAKES.values()), ids=list(HANDSHAKES))
def test_every_handshake_that_fails_is_named_on_every_side(
    tmp_path: Path, trusted: dict[str, Path], side: Side, cause: Cause, changes: dict[str, object]
) -> None:
    with serving(over_tls(server_context(chains()["good RSA"], tmp_path, **changes))) as server:
        text = side.ask(server.port, ca=trusted["RSA CA"])

    assert text == side.sentence(cause, has_ca=True, detail="dh key too small")
    assert server.received == []


FILES = {
    "empty": (Cause.CA_FILE_EMPTY, b""),
    "text": (Cause.CA_FILE_EMPTY, b"certificate\n"),
    "the key alone": (Cause.CA_FILE_EMPTY, b"key"),
    "DER": (Cause.CA_FILE_EMPTY, b"der"),
    "UTF-16": (Cause.CA_FILE_EMPTY, b"utf-16"),
    "damaged": (Cause.CA_FILE_DAMAGED, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    "gone": (Cause.FILE_UNREADABLE, None),
}


@each_side
@pytest.mark.parametrize(("cause", "content"), list(FILES.values()), ids=list(FILES))
def test_a_ca_file_that_is_none_is_named_on_every_side(
    tmp_path: Path, side: Side, cause: Cause, content: bytes | None
) -> None:
    ours = authorities()["ours"]
    made = {
        b"key": ours.key_pem,
        b"der": ssl.PEM_cert_to_DER_cert(ours.pem.decode()),
        b"utf-16": ours.pem.decode().encode("utf-16"),
    }
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(made.get(content, content))
    with serving(over_tls(server_context(chains()["good"], tmp_path))) as server:
        text = side.ask(server.port, ca=file)

    assert text == side.sentence(cause, has_ca=True)
    assert server.received == []


def test_what_is_trusted_is_let_through_on_every_side(tmp_path: Path, trusted: dict[str, Path]) -> None:
    route = Route.model_validate({"allow_networks": LOOPBACK, "ca_file": trusted["ours"]})
    with serving(over_tls(server_context(chains()["with the intermediate"], tmp_path))) as server:
        pbx = PbxTransport(pbx_settings(base_url=f"https://localhost:{server.port}", ca_file=trusted["ours"]))
        assert pbx.post("v1.0.0/login", {}) == {"status": "Success"}
        call = Call("POST", f"https://localhost:{server.port}/", {}, b"{}")
        assert EndpointTransport().send(call, route) == Reply(200)
        # It speaks no RESP, but TLS is no reason any more.
        assert hint_for(failure_of(rediss(server.port, ca=trusted["ours"]))) == ""


@pytest.mark.parametrize("served", ["expired", "another name", "short key", "SHA-1", "for clients", "self-signed"])
def test_a_pinned_certificate_may_have_any_flaw_that_the_advice_to_pin_it_is_given_for(
    tmp_path: Path, served: str
) -> None:
    chain = chains()[served]
    with serving(over_tls(server_context(chain, tmp_path))) as server:
        settings = pbx_settings(base_url=f"https://localhost:{server.port}", tls_fingerprint=chain[0].fingerprint)
        assert PbxTransport(settings).post("v1.0.0/login", {}) == {"status": "Success"}


def test_another_certificate_than_the_pinned_one_is_named(tmp_path: Path) -> None:
    pinned = issue("before").fingerprint
    with serving(over_tls(server_context(chains()["good"], tmp_path))) as server:
        text = ask_pbx(server.port, tls_fingerprint=pinned)
    assert text == tls_problems.sentence(Cause.FINGERPRINT, tls_peers.pbx(has_ca=False))
    assert server.received == []


def test_what_else_fails_at_a_pinned_pbx_is_not_its_fingerprint(tmp_path: Path) -> None:
    old = server_context(chains()["good"], tmp_path, minimum_version=V10, maximum_version=V10)
    with serving(over_tls(old)) as server:
        text = ask_pbx(server.port, tls_fingerprint=issue("before").fingerprint)
    assert text == tls_problems.sentence(Cause.TOO_OLD, tls_peers.pbx(has_ca=False))


def test_the_log_of_a_worker_names_what_keeps_its_consumer_from_redis(
    tmp_path: Path, trusted: dict[str, Path]
) -> None:
    with serving(over_tls(server_context(chains()["expired"], tmp_path))) as server:
        app = build_app(Settings(redis_url=rediss(server.port, ca=trusted["ours"])))
        with contextlib.closing(app), app.connection_for_read() as link, pytest.raises(redis.RedisError) as failed:
            link.ensure_connection(max_retries=1, interval_start=0, reraise_as_library_errors=False)
    with capture_logs() as lines:
        Consumer.__new__(Consumer)._say_away(failed.value)
    assert [(line["event"], line["hint"]) for line in lines] == [
        ("redis_away", tls_problems.sentence(Cause.EXPIRED, tls_peers.REDIS))
    ]


def test_what_keeps_sentinels_from_naming_a_primary_is_named_by_the_doctor(
    tmp_path: Path, trusted: dict[str, Path]
) -> None:
    with serving(over_tls(server_context(chains()["expired"], tmp_path))) as server:
        hosts = f"localhost:{reserve_port()},localhost:{server.port}"
        url = f"sentinel://:{TOKEN}@{hosts}/0?master=calls&ssl_ca_certs={trusted['ours']}"
        found = list(examine(Settings(redis_url=url), pbxs=False))[-1]
    problem, advice = tls_problems.sentence(Cause.EXPIRED, tls_peers.REDIS).split("; ")
    assert (found.level, found.subject, found.advice) == ("bad", "redis", advice)
    assert found.text == f"sentinel://{hosts} does not answer (MasterNotFoundError): {problem}"


# --- TLS on a port that is spoken to without


def test_a_pbx_that_speaks_tls_where_we_do_not_is_suspected_at_the_login(tmp_path: Path) -> None:
    with serving(over_tls(server_context(chains()["good"], tmp_path))) as server:
        pbx = PbxTransport(pbx_settings(base_url=f"http://localhost:{server.port}"))
        with pytest.raises(OutcomeUnknown, match=r"if its port speaks TLS, begin base_url with https://$"):
            pbx.post("v1.0.0/login", {})
        # Where there is a token, the port was right when it was given.
        with pytest.raises(OutcomeUnknown, match=r"before the PBX's reply came$"):
            pbx.post("v1.0.0/extension/dial_outbound", {}, token=TOKEN)


def test_an_endpoint_that_speaks_tls_where_we_do_not_is_suspected(tmp_path: Path) -> None:
    route = Route.model_validate({"allow_networks": LOOPBACK, "allow_http": True})
    with serving(over_tls(server_context(chains()["good"], tmp_path))) as server:
        heard = EndpointTransport().send(Call("POST", f"http://localhost:{server.port}/", {}, b"{}"), route)
    assert isinstance(heard, NoReply)
    assert heard.error.endswith("; if its port speaks TLS, begin its address with https://")


# --- a real Redis

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
needs_redis = pytest.mark.skipif(
    PROGRAM is None, reason="needs a Redis with TLS (apt install redis-server); the embedded one has none"
)
UNSAFE = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n"
UNSAFE += "MinProtocol = TLSv1\nCipherString = ALL:@SECLEVEL=0\n"


@dataclass(frozen=True)
class RealRedis:
    """A server by TLS and in plain, whose certificate and rules a test may change."""

    admin: redis.Redis
    tls_port: int
    folder: Path

    def serves(self, chain: str, **rules: str) -> None:
        file = self.folder / "server.pem"
        file.write_bytes(b"".join(each.pem for each in chains()[chain]) + chains()[chain][0].key_pem)
        usual = {"tls_protocols": "", "tls_ciphers": "DEFAULT:@SECLEVEL=0", "tls_auth_clients": "no"}
        values = {name.replace("_", "-"): value for name, value in (usual | rules).items()}
        pairs = [word for pair in values.items() for word in pair]
        self.admin.config_set(*("tls-cert-file", str(file), "tls-key-file", str(file)), *pairs)


@pytest.fixture(scope="module")
def real_redis(tmp_path_factory: pytest.TempPathFactory, trusted: dict[str, Path]) -> Iterator[RealRedis]:
    folder, port = tmp_path_factory.mktemp("redis-tls"), reserve_port()
    (folder / "openssl.cnf").write_text(UNSAFE)
    first = folder / "first.pem"
    first.write_bytes(chains()["good"][0].pem + chains()["good"][0].key_pem)
    more = [f"tls-port {port}", f"tls-cert-file {first}", f"tls-key-file {first}"]
    more += [f"tls-ca-cert-file {trusted['ours']}", "tls-auth-clients no"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENSSL_CONF", str(folder / "openssl.cnf"))  # it must serve what is not safe
        server = EmbeddedRedis(folder / "data", program=PROGRAM, append_only=False, password=TOKEN, more=more)
        server.start()
    try:
        with redis.Redis(port=server.port, password=TOKEN) as admin:
            yield RealRedis(admin, port, folder)
    finally:
        server.stop()


# One of each kind; redis-py reports the rest in the same way, and the servers above cover it.
OF_A_REAL_ONE = ("expired", "another name", "self-signed", "without the intermediate", "short key", "SHA-1")


@needs_redis
@pytest.mark.parametrize("flaw", [flaw for flaw in FLAWS if flaw.served in OF_A_REAL_ONE], ids=str)
def test_every_flaw_of_a_certificate_of_a_real_redis_is_named(
    real_redis: RealRedis, trusted: dict[str, Path], flaw: Flaw
) -> None:
    real_redis.serves(flaw.served)
    text = ask_redis(real_redis.tls_port, ca=trusted.get(flaw.trusted), host=flaw.host)
    assert any(words in text for words in flaw.phrase.split("|"))


@needs_redis
@pytest.mark.parametrize(
    ("cause", "rules"),
    [
        (Cause.TOO_OLD, {"tls_protocols": "TLSv1 TLSv1.1"}),
        (Cause.NO_CIPHER, {"tls_protocols": "TLSv1.2", "tls_ciphers": "AES128-SHA"}),
        (Cause.NO_CIPHER, {"tls_protocols": "TLSv1.2", "tls_auth_clients": "yes"}),
    ],
    ids=["old", "cipher", "client certificate"],
)
def test_every_rule_of_a_real_redis_is_named(
    real_redis: RealRedis, trusted: dict[str, Path], cause: Cause, rules: dict[str, str]
) -> None:
    real_redis.serves("good RSA", **rules)
    assert ask_redis(real_redis.tls_port, ca=trusted["RSA CA"]) == tls_problems.sentence(cause, tls_peers.REDIS)


@needs_redis
@pytest.mark.parametrize(
    ("cause", "cert", "key"),
    [
        (Cause.CLIENT_PAIR, "good", "self-signed"),
        (Cause.CLIENT_WEAK, "short key", "short key"),
        (Cause.CLIENT_FILES, "good", ""),
        (Cause.CLIENT_FILES, "", "good"),
    ],
)
def test_what_is_wrong_with_our_own_certificate_is_named(
    real_redis: RealRedis, trusted: dict[str, Path], tmp_path: Path, cause: Cause, cert: str, key: str
) -> None:
    real_redis.serves("good")
    files = {"ssl_certfile": tmp_path / "cert.pem", "ssl_keyfile": tmp_path / "key.pem"}
    files["ssl_certfile"].write_bytes(chains()[cert][0].pem if cert else b"x")
    files["ssl_keyfile"].write_bytes(chains()[key][0].key_pem if key else b"x")
    text = ask_redis(real_redis.tls_port, ca=trusted["ours"], **files)
    assert text == tls_problems.sentence(cause, tls_peers.REDIS)


@needs_redis
def test_the_plain_port_of_a_real_redis_keeps_silent_to_tls_and_its_tls_port_closes_plain_connections(
    real_redis: RealRedis, trusted: dict[str, Path]
) -> None:
    plain_port = real_redis.admin.connection_pool.connection_kwargs["port"]
    text = ask_redis(plain_port, ca=trusted["ours"], within_s=0.2)
    assert text == tls_problems.sentence(Cause.TIMED_OUT, tls_peers.REDIS)

    url = f"redis://:{TOKEN}@127.0.0.1:{real_redis.tls_port}/0"
    text = likely_problem(failure_of(url), RedisAddress.parse(url))
    assert text.endswith("; if the port speaks TLS, begin redis_url with rediss://")


@needs_redis
def test_a_real_redis_that_wants_a_client_certificate_leads_to_it_although_its_alert_may_get_lost(
    real_redis: RealRedis, trusted: dict[str, Path]
) -> None:
    real_redis.serves("good", tls_auth_clients="yes")
    url = rediss(real_redis.tls_port, ca=trusted["ours"])
    error = failure_of(url)
    text = hint_for(error) or likely_problem(error, RedisAddress.parse(url))
    assert text.endswith("set ssl_certfile and ssl_keyfile in redis_url")
