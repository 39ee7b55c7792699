"""Redis by TLS alone, with client certificates: everything works, and who is wrong is told in a sentence."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import pytest
import redis

from ops.children import child
from ops.embedded_redis import EmbeddedRedis
from ops.installation import eventually
from ops.ports import reserve_port
from producers import Dialer
from tests.acceptance.guarded import PLACED, SCRIPTS, Guarded, asked_by_celery, guarded, running
from worker.app import build_app
from worker.errors import ConfigurationError, ServiceUnreachable
from worker.hopper import connect
from worker.settings import Settings

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
# The embedded server is built without TLS.
pytestmark = pytest.mark.skipif(
    not (PROGRAM and shutil.which("openssl")),
    reason="needs a server with TLS (apt install redis-server) and openssl",
)
Files = dict[str, Path]


def certificates(folder: Path, *hosts: str) -> Files:
    """Return certificates as an operator makes them."""
    subprocess.run(["sh", str(SCRIPTS / "certificates.sh"), str(folder), *hosts], check=True, capture_output=True)
    files = {"ca": "ca.pem", "cert": "server.pem", "key": "server.key"}
    files |= {"client_cert": "client.pem", "client_key": "client.key"}
    return {name: folder / file for name, file in files.items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return certificates(tmp_path_factory.mktemp("ours") / "tls", "127.0.0.1")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return certificates(tmp_path_factory.mktemp("theirs") / "tls", "127.0.0.1")


def is_old() -> bool:
    version = subprocess.run([str(PROGRAM), "--version"], capture_output=True, text=True, check=True).stdout
    return "v=7.0." in version


@pytest.fixture(scope="module")
def world(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    old = {"OLD_REDIS": "1"} if is_old() else {}
    with guarded(tmp_path_factory.mktemp("tls"), program=PROGRAM, tls=files, **old) as made:
        yield made


def test_workers_intake_flower_and_celery_need_no_plain_port(world: Guarded) -> None:
    with running(world):
        job = world.client.hand_in(extid="1000", outto=PLACED).json()["job_id"]
        assert str(world.site.end_of(job).state) == "placed"
        assert eventually(lambda: world.flower("api/tasks").json().get(job, {}).get("state") == "SUCCESS")
        assert "log-in in order" in world.doctor().stdout
        assert asked_by_celery(world, job)["state"] == "placed"
        talking = [client for client in world.admin.client_list() if client["user"] != "default"]
    assert {client["user"] for client in talking} >= {"outdial-worker", "outdial-intake", "outdial-flower"}
    # Of old Redis the address of the connection is all there is to tell by which port it came.
    assert {client["laddr"] for client in talking} == {f"127.0.0.1:{world.port}"}
    assert world.denied() == set()


def test_without_tls_there_is_nothing(world: Guarded) -> None:
    with pytest.raises(redis.ConnectionError), connect(f"redis://127.0.0.1:{world.server.port}/0") as client:
        client.ping()


@pytest.mark.parametrize(
    ("host", "changes", "told"),
    [
        ("127.0.0.1", {"ssl_ca_certs": ""}, "comes from a CA that is not in ssl_ca_certs in redis_url; add"),
        ("localhost", {}, "the TLS certificate of Redis is not for the host name in redis_url; use a name"),
        ("127.0.0.1", {"ssl_ca_certs": None}, "is not in ssl_ca_certs in redis_url"),
        # Redis says why, and then closes in a way by which that may get lost (TLS 1.3).
        (
            "127.0.0.1",
            {"ssl_certfile": None, "ssl_keyfile": None},
            "Redis wants a client certificate; set ssl_certfile and ssl_keyfile|does not answer",
        ),
        (
            "127.0.0.1",
            {"ssl_certfile": "", "ssl_keyfile": ""},
            "Redis does not trust ssl_certfile in redis_url|does not answer",
        ),
        ("127.0.0.1", {"ssl_keyfile": ""}, "do not belong together"),
    ],
)
def test_who_is_wrong_is_refused_in_one_sentence(
    world: Guarded, files: Files, stranger: Files, host: str, changes: dict[str, str | None], told: str
) -> None:
    names = {"ssl_ca_certs": "ca", "ssl_certfile": "client_cert", "ssl_keyfile": "client_key"}
    chosen = {
        option: (stranger if option in changes else files)[name]
        for option, name in names.items()
        if changes.get(option, "a stranger's") is not None
    }
    login = f"outdial-intake:{world.passwords['intake']}"
    url = f"rediss://{login}@{host}:{world.port}/0?{urlencode(chosen)}"
    settings = world.site.settings.model_copy(update={"redis_url": url})
    dialer = Dialer(settings, world.site.hopper.from_settings(settings))

    with pytest.raises(ServiceUnreachable) as refused:
        dialer.enqueue(extid="1000", outto=PLACED, key="never")

    sentence = str(refused.value)
    assert any(words in sentence for words in told.split("|")), sentence
    assert "\n" not in sentence
    assert world.passwords["intake"] not in sentence
    dialer.hopper.client.close()


def test_a_file_that_is_not_there_is_named_at_once(world: Guarded, tmp_path: Path) -> None:
    file = tmp_path / "outdial.toml"
    file.write_text(f'redis_url = "rediss://127.0.0.1:{world.port}/0?ssl_ca_certs=/no/such/ca.pem"\n')
    with pytest.raises(
        ConfigurationError, match=r"redis_url: ssl_ca_certs is /no/such/ca.pem, which is not a file"
    ):
        Settings.load(file, roles=frozenset())


def test_sentinels_and_the_primary_behind_them_speak_tls_alone(files: Files, tmp_path: Path) -> None:
    port, sentinel_port = reserve_port(), reserve_port()
    tls = [f"tls-cert-file {files['cert']}", f"tls-key-file {files['key']}", f"tls-ca-cert-file {files['ca']}"]
    tls += ["tls-replication yes", "tls-auth-clients yes"]
    lines = ["port 0", f"tls-port {sentinel_port}", "bind 127.0.0.1", f'dir "{tmp_path}"', *tls]
    lines += [f"sentinel monitor calls 127.0.0.1 {port} 1", "sentinel auth-pass calls s3cret", "requirepass own"]
    file = tmp_path / "sentinel.conf"
    file.write_text("\n".join(lines) + "\n")
    options = {"master": "calls", "sentinel_password": "own"}
    options |= {
        "ssl_ca_certs": files["ca"],
        "ssl_certfile": files["client_cert"],
        "ssl_keyfile": files["client_key"],
    }
    url = f"sentinel://:s3cret@127.0.0.1:{sentinel_port}/0?{urlencode(options)}"
    with ExitStack() as stack:
        more = [f"tls-port {port}", *tls]
        server = EmbeddedRedis(tmp_path / "redis", program=PROGRAM, password="s3cret", more=more)
        stack.enter_context(server)
        with redis.Redis(port=server.port, password="s3cret") as admin:
            admin.config_set("port", 0)
        log = stack.enter_context((tmp_path / "sentinel.log").open("w"))
        stack.enter_context(child([str(PROGRAM), str(file), "--sentinel"], stdout=log, stderr=log))

        client = stack.enter_context(connect(url))
        assert eventually(lambda: answers(client))
        app = build_app(Settings(redis_url=url))
        stack.callback(app.close)
        with app.connection_for_write() as connection, connection.channel() as channel:
            assert channel.client.ping()
        with app.backend.client as results:
            assert results.ping()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
