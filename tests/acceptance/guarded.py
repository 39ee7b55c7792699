"""The whole product on a Redis with the users of `ops/redis`: each kind of process as a user of its own."""

import hashlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
import requests
from celery import Celery

from ops.children import child
from ops.embedded_redis import EmbeddedRedis
from ops.installation import GENEROUS_S, PASSWORD, PATIENT, Installation, eventually, installation
from ops.pbx_simulator.certificate import keep_certificate
from ops.ports import reserve_port
from producers import Dialer, apikeys
from tests.acceptance.intake import Client
from tests.integration.endpoints import Endpoint, always, endpoint
from worker.hopper import connect
from worker.redis_address import RedisAddress
from worker.settings import Settings

USERS = ("worker", "intake", "flower", "results")
# Of a range that belongs to nobody (Ofcom: 020 7946 0xxx is for fiction).
PLACED, FAILED, LOST, WITHDRAWN, BATCH = NUMBERS = tuple(f"44207946010{n}" for n in range(5))
SCRIPTS = Path(__file__).parents[2] / "ops" / "redis"
_PBX = ("--extensions", "1000-1099", "--ring-s", "0.02", "--talk-s", "0.05", "--log-level", "info")
_WEBHOOK = """
[webhook.crm]
url = "{url}"
secret_file = "webhook-secret"
ca_file = "{ca_file}"
allow_networks = ["127.0.0.0/8", "::1/128"]
"""


@dataclass
class Guarded:
    """A server with those users, and everything that runs by them."""

    folder: Path
    server: EmbeddedRedis
    admin: redis.Redis
    admin_password: str
    site: Installation
    crm: Endpoint
    scheme: str = "redis"
    port: int = 0
    query: str = ""
    flower_url: str = ""
    metrics_urls: list[str] = field(default_factory=list)
    client: Client = field(default_factory=lambda: Client("", ""))
    passwords: dict[str, str] = field(default_factory=dict)

    def url(self, user: str, database: int = 0, *, password: bool = False) -> str:
        login = f"outdial-{user}:{self.passwords[user]}" if password else f"outdial-{user}"
        return f"{self.scheme}://{login}@127.0.0.1:{self.port}/{database}{self.query}"

    def environment(self, user: str) -> dict[str, str]:
        """Return what makes a process that user: addresses without passwords, and the files that have those."""
        file = str(self.folder / "users" / user)
        return {
            "OUTDIAL_REDIS_URL": self.url(user),
            "OUTDIAL_REDIS_PASSWORD_FILE": file,
            "OUTDIAL_RESULT_BACKEND": self.url(user, 1),
            "OUTDIAL_RESULT_BACKEND_PASSWORD_FILE": file,
        }

    def as_user(self, user: str) -> redis.Redis:
        """Return a client of that user's, as the product makes it."""
        return connect(self.url(user, password=True))

    def flower(self, page: str) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            login = ("operator", self.passwords["looking at Flower"])
            return session.get(f"{self.flower_url}/{page}", auth=login, timeout=GENEROUS_S)

    def metrics(self) -> str:
        """Return what a Prometheus would read of the workers' host and of the intake."""
        with requests.Session() as session:
            session.trust_env = False
            return "".join(session.get(url, timeout=GENEROUS_S).text for url in self.metrics_urls)

    def doctor(self) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "worker", "--config", str(self.site.config), "doctor"]
        environment = self.site.environment | self.environment("worker")
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def denied(self) -> set[str]:
        """Return what the server has refused to anybody since it was last told to forget."""
        log = self.admin.acl_log()
        return {f"{entry['username']}: {entry['reason']} {entry['object']} ({entry['context']})" for entry in log}


def write_secret(file: Path, text: str) -> None:
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(f"{text}\n")


def users_file(folder: Path, passwords: Mapping[str, str], admin: str, **environment: str) -> Path:
    """Write the ACL file as an operator would, with an administrator for the test."""
    for user in USERS:
        write_secret(folder / "users" / user, passwords[user])
    command = ["sh", str(SCRIPTS / "users.sh"), str(folder / "users"), "outdial"]
    made = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    digest = hashlib.sha256(admin.encode()).hexdigest()
    file = folder / "users.acl"
    file.write_text(made.stdout.replace("user default off", f"user default on #{digest}"))
    return file


@contextmanager
def guarded(
    folder: Path, *, program: str | None = None, tls: Mapping[str, Path] | None = None, **environment: str
) -> Iterator[Guarded]:
    """Start the server, a PBX and a CRM; with *tls* (ca, cert, key, client_cert, client_key) by TLS alone."""
    names = (*USERS, "looking at Flower")
    passwords = {name: secrets.token_hex(16) for name in names}
    admin, tls_port = secrets.token_hex(16), reserve_port()
    # What is refused by this setting would otherwise be refused before anybody asks who is asking.
    more = ["enable-debug-command yes", f"aclfile {users_file(folder, passwords, admin, **environment)}"]
    if tls:
        more += [f"tls-port {tls_port}", "tls-auth-clients yes", f"tls-cert-file {tls['cert']}"]
        more += [f"tls-key-file {tls['key']}", f"tls-ca-cert-file {tls['ca']}"]
    with ExitStack() as stack:
        server = stack.enter_context(
            EmbeddedRedis(folder / "redis", program=program, password=admin, more=more, append_only=True)
        )
        client = redis.Redis(
            port=server.port, password=admin, decode_responses=True, single_connection_client=True
        )
        stack.enter_context(client)
        site = stack.enter_context(installation(folder, server, "outdial", hq=_PBX))
        certificate = keep_certificate(folder / "crm.tls", host="127.0.0.1")
        crm = stack.enter_context(endpoint(certificate, always(200)))
        made = Guarded(folder, server, client, admin, site, crm, port=server.port, passwords=passwords)
        if tls:
            files = {"ssl_ca_certs": "ca", "ssl_certfile": "client_cert", "ssl_keyfile": "client_key"}
            made.query = "?" + "&".join(f"{option}={tls[name]}" for option, name in files.items())
            made.scheme, made.port = "rediss", tls_port
            client.config_set("port", 0)  # nobody else gets in without TLS
        _write_settings(made)
        stack.callback(site.hopper.client.close)
        yield made


def _write_settings(made: Guarded) -> None:
    """Settings that everybody may read, and the test's own door: that of the intake."""
    site = made.site
    site.write_settings(**PATIENT)
    site.hopper.client.close()
    write_secret(made.folder / "pbx-password", PASSWORD)
    write_secret(made.folder / "webhook-secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    write_secret(made.folder / "flower-password", made.passwords["looking at Flower"])
    lines = [
        line for line in site.config.read_text().splitlines() if not line.startswith(("redis_url", "result_b"))
    ]
    text = "\n".join(lines).replace('password_env = "TEST_PBX_PASSWORD"', 'password_file = "pbx-password"')
    text += '\n[flower]\npassword_file = "flower-password"\n'
    text += _WEBHOOK.format(url=made.crm.url, ca_file=made.crm.ca_file)
    top = [f'redis_url = "{made.url("intake")}"', 'redis_password_file = "users/intake"', 'default_pbx = "hq"']
    site.config.write_text("\n".join([*top, text]))
    site.settings = Settings.load(site.config, roles=frozenset())
    site.hopper = Dialer.from_config(site.config).hopper


@contextmanager
def running(made: Guarded) -> Iterator[None]:
    """Run workers, the intake and Flower for the length of the block, each as the user it has."""
    site = made.site
    site.environment.pop("TEST_PBX_PASSWORD", None)
    ports = [reserve_port(), reserve_port()]
    made.metrics_urls = [f"http://127.0.0.1:{port}/metrics" for port in ports]
    command = [sys.executable, "-m", "ops.flower", "--config", str(site.config), "--port", "0"]
    environment = site.environment | made.environment("flower")
    with (
        (made.folder / "flower.log").open("a") as log,
        child(command, stdout=subprocess.PIPE, stderr=log, env=environment) as flower,
        site.workers(
            processes=1, concurrency=8, OUTDIAL_METRICS__PORT=str(ports[0]), **made.environment("worker")
        ),
        site.api("--metrics-port", str(ports[1])) as api,
    ):
        assert flower.stdout is not None
        made.flower_url = json.loads(flower.stdout.readline())["url"].rstrip("/")
        _, text = apikeys.create(site.hopper, site.settings, "crm", scopes=apikeys.SCOPES)
        made.client = Client(api.url, text)
        yield


@dataclass
class Done:
    """What was done, by the number that was dialed, and what came of it."""

    jobs: dict[str, str]
    states: dict[str, str]
    by_celery: Any
    in_flower: dict[str, Any]
    doctor: str
    tokens: set[str]
    texts: dict[str, str] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)


def do_everything(world: Guarded) -> Done:
    """Use every door once, as a CRM, an operator and a program would, and wait for all there is to come of it."""
    site = world.site
    jobs = _hand_in(world)
    states = {number: str(site.end_of(job).state) for number, job in jobs.items()}
    eventually(lambda: _told(world) == set(jobs.values()))
    in_flower = eventually(lambda: len(tasks := world.flower("api/tasks").json()) == len(jobs) and tasks)
    assert "dialer1" in world.flower("api/workers?refresh=1").text
    token = world.admin.hget("outdial:token:hq", "token")
    by_celery = asked_by_celery(world, jobs[PLACED])
    return Done(jobs, states, by_celery, in_flower, world.doctor().stdout, {token} if token else set())


def _hand_in(world: Guarded) -> dict[str, str]:
    dialer, pbx, client = Dialer(world.site.settings, world.site.hopper), world.site.pbxs["hq"], world.client
    pbx.fault(kind="errno", errno="10006", extid="1001")
    pbx.fault(kind="drop_after_ring", extid="1002")
    jobs = {PLACED: client.hand_in({"Idempotency-Key": "a"}, extid="1000", outto=PLACED).json()["job_id"]}
    jobs[FAILED] = client.hand_in(extid="1001", outto=FAILED).json()["job_id"]
    jobs[LOST] = dialer.enqueue(extid="1002", outto=LOST, key="lost").id
    row = json.dumps({"extid": "1004", "outto": BATCH})
    told = client.post("/v1/dial-jobs:batch", data=row, headers={"Content-Type": "application/x-ndjson"}).text
    jobs[BATCH] = json.loads(told.splitlines()[0])["job_id"]
    assert client.post("/v1/pbxs/hq:pause").ok
    jobs[WITHDRAWN] = dialer.enqueue(extid="1003", outto=WITHDRAWN).id
    assert dialer.hopper.why(jobs[WITHDRAWN])["paused"]
    assert client.post(f"/v1/dial-jobs/{jobs[WITHDRAWN]}:cancel").ok
    dialer.hopper.resume("hq")
    return jobs


def _told(world: Guarded) -> set[str]:
    return {json.loads(request.body)["data"]["job_id"] for request in world.crm.requests}


def asked_by_celery(world: Guarded, job_id: str) -> Any:
    """Return a result as a program gets it that knows nothing but Celery."""
    address = RedisAddress.parse(world.url("results", 1, password=True))
    app = Celery(backend=address.celery_url, set_as_current=False)
    app.conf.redis_backend_use_ssl = address.tls_options or None
    try:
        return app.AsyncResult(job_id).get(timeout=GENEROUS_S)
    finally:
        app.backend.result_consumer.stop()
        app.backend.client.close()
        app.close()
