"""
A whole installation on one machine, for acceptance tests and the chaos suite: simulated PBXs over HTTPS, settings
in a file, real worker processes.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any, Final, TypeVar

import requests
from celery import Celery
from celery.backends.redis import RedisBackend

from ops.children import child
from ops.embedded_redis import EmbeddedRedis
from ops.pbx_simulator import Hit, Ring, read_hits, read_journal
from ops.redis_group import RedisGroup
from worker.errors import ServiceUnreachable
from worker.hopper import Hopper
from worker.jobs import DialResult
from worker.settings import Settings

PASSWORD = "s1mulator-secret"  # noqa: S105  of simulated PBXs alone
# Only what has gone wrong takes so long, on a busy machine too.
GENEROUS_S: Final = 120.0
# Limits for a PBX whose every answer is waited for; they need the deadlines that the settings have by themselves.
PATIENT: Final[Mapping[str, float]] = {"read_timeout_s": 15, "connect_timeout_s": 10}

T = TypeVar("T")


def eventually(look: Callable[[], T], *, within_s: float = GENEROUS_S) -> T:
    """
    Return the first true answer of *look*.

    Raises:
        TimeoutError: With the last answer, if none was true *within_s*.
    """
    deadline = time.monotonic() + within_s
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"still {answer!r} after {within_s} s")
        time.sleep(0.02)


class SimulatedPbx:
    """
    One simulator process.

    Args:
        name: Of the PBX in the settings, and of its files.
        folder: Where journal, log and certificate lie.
        options: For `python -m ops.pbx_simulator`.
    """

    def __init__(self, name: str, folder: Path, *options: str) -> None:
        self.name = name
        self.journal = folder / f"{name}.journal"
        self.hits_file = folder / f"{name}.hits"
        self.log = folder / f"{name}.log"
        self._command = [sys.executable, "-m", "ops.pbx_simulator", "--port", "0", "--password", PASSWORD]
        self._command += ["--cert-dir", str(folder / f"{name}.tls"), "--journal", str(self.journal)]
        self._command += ["--hits", str(self.hits_file), *options]

    @contextmanager
    def running(self) -> Iterator["SimulatedPbx"]:
        """Run it for the length of the block; address and certificate are known from then on."""
        with self.log.open("a") as log, child(self._command, stdout=subprocess.PIPE, stderr=log) as process:
            assert process.stdout is not None
            listening = json.loads(process.stdout.readline())
            self.base_url: str = listening["base_url"]
            self.ca_file: str = listening["ca_file"]
            self.fingerprint: str = listening["tls_fingerprint"]
            yield self

    def rings(self, extid: str | None = None) -> list[Ring]:
        """Return what rang, on one extension or on all."""
        return [ring for ring in read_journal(self.journal) if extid in (None, ring.extid)]

    def hits(self) -> list[Hit]:
        """Return the requests that faults acted on."""
        return read_hits(self.hits_file)

    def control(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Ask the control endpoint, by POST if there is a *body* (see `ops.pbx_simulator.control`).

        Raises:
            requests.RequestException: If the simulator does not answer, or refuses.
        """
        return self._request("POST" if body is not None else "GET", f"_control/{path}", body)

    def heal(self) -> None:
        """Drop all fault rules."""
        self._request("DELETE", "_control/faults", None)

    def dial_by_hand(self, extid: str, outto: str) -> None:
        """Begin a call that is none of ours, as somebody at that phone would."""
        password = md5(PASSWORD.encode(), usedforsecurity=False).hexdigest()
        login = self._request(
            "POST", "api/v1.0.0/login", {"username": "api", "password": password, "port": "8260"}
        )
        path = f"api/v1.0.0/extension/dial_outbound?token={login['token']}"
        assert self._request("POST", path, {"extid": extid, "outto": outto})["status"] == "Success"

    def fault(self, **rule: Any) -> None:
        """Let something go wrong, with the next dial unless *rule* says otherwise (see its `faults`)."""
        self.control("faults", {"times": 1, "resource": "dial_outbound"} | rule)

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        with requests.Session() as session:
            session.trust_env = False
            url = f"{self.base_url}/{path}"
            reply = session.request(method, url, json=body, verify=self.ca_file, timeout=GENEROUS_S)
        if not reply.ok:
            raise requests.HTTPError(reply.text)
        answer: dict[str, Any] = reply.json()
        return answer


class Installation:
    """
    Settings in a file, and everything that runs by them.

    Args:
        folder: Where the settings file and the workers' log lie.
        server: Holds the jobs in its database 0 and the results in its database 1.
        namespace: Key prefix on that server.
        pbxs: Running ones.
    """

    def __init__(
        self, folder: Path, server: EmbeddedRedis | RedisGroup, namespace: str, pbxs: Iterable[SimulatedPbx]
    ) -> None:
        self.folder = folder
        self.server = server
        self.namespace = namespace
        self.pbxs = {pbx.name: pbx for pbx in pbxs}
        self.config = folder / "outdial.toml"
        self.worker_log = folder / "workers.log"
        self.result_backend = server.url_of_database(1)
        self.environment = os.environ | {"TEST_PBX_PASSWORD": PASSWORD}
        self._celery: Celery | None = None
        self._hoppers: list[Hopper] = []

    def write_settings(
        self,
        *more: str,
        tls: str = "ca_file",
        sections: Mapping[str, Mapping[str, object]] | None = None,
        of_pbx: Mapping[str, Mapping[str, object]] | None = None,
        apis: Mapping[str, str] | None = None,
        **pbx_limits: object,
    ) -> Settings:
        """
        Write the settings file, read it, and point `settings` and `hopper` at what it says.

        Args:
            more: Lines for the top of the file, ahead of the first section.
            tls: How the PBXs' certificates are trusted: `ca_file` or `pin`.
            sections: {section: {name: number}}; for `retry` on top of short waits.
            of_pbx: {name of a PBX: {name: number}}, on top of *pbx_limits*.
            apis: {name of a PBX: name of its API}; version 1.0 for all others.
            pbx_limits: Numbers for every PBX, on top of limits that hold nothing up.
        """
        limits: dict[str, object] = {"calls_per_second": 200, "burst": 20, "max_open_calls": 50}
        limits |= {"open_call_s": 0.25, "extension_rest_s": 0, "read_timeout_s": 1.5, "connect_timeout_s": 1}
        limits |= pbx_limits
        lines = [
            f'redis_url = "{self.server.url}"',
            f'result_backend = "{self.result_backend}"',
            f'namespace = "{self.namespace}"',
            *more,
        ]
        for pbx in self.pbxs.values():
            own = limits | dict((of_pbx or {}).get(pbx.name, {}))
            trust = {"ca_file": f'ca_file = "{pbx.ca_file}"', "pin": f'tls_fingerprint = "{pbx.fingerprint}"'}[tls]
            lines += [
                f"[pbx.{pbx.name}]",
                f'api = "{(apis or {}).get(pbx.name, "yeastar-s-v1.0")}"',
                f'base_url = "{pbx.base_url}"',
                'username = "api"',
                'password_env = "TEST_PBX_PASSWORD"',
                trust,
                *(f"{name} = {value}" for name, value in own.items()),
            ]
        quick: dict[str, dict[str, object]] = {
            "retry": {"base_s": 0.05, "cap_s": 0.4, "busy_cap_s": 0.2},
            "look": {"every_s": 0.1, "quiet_s": 0.3, "within_s": 0.5, "at_most_s": 3},
        }
        given = dict(sections or {})
        for section in quick | given:
            values = quick.get(section, {}) | dict(given.get(section, {}))
            lines += [f"[{section}]", *(f"{name} = {value}" for name, value in values.items())]
        self.config.write_text("\n".join(lines))
        os.environ["TEST_PBX_PASSWORD"] = PASSWORD
        self.settings = Settings.load(self.config)
        self.hopper = Hopper.from_settings(self.settings)
        self._hoppers.append(self.hopper)
        return self.settings

    @contextmanager
    def workers(
        self, *, processes: int = 1, concurrency: int = 8, **environment: str
    ) -> Iterator["subprocess.Popen[str]"]:
        """Run `outdial worker` for the length of the block, which begins when all processes are ready."""
        with self.supervisor(
            self.worker_log, processes=processes, concurrency=concurrency, **environment
        ) as started:
            # By name, for others may be running: each process is called after its supervisor.
            mine = f".{started.pid}@"
            eventually(lambda: sum(mine in name for name in self.hopper.workers_alive()) == processes)
            yield started

    @contextmanager
    def api(self, *options: str) -> Iterator["ServedApi"]:
        """Run `outdial api` on a free port for the length of the block, which begins when it listens."""
        with served_api(self.config, self.folder / "api.log", *options, environment=self.environment) as api:
            yield api

    @contextmanager
    def supervisor(
        self, log_file: Path, *, processes: int, concurrency: int, **environment: str
    ) -> Iterator["subprocess.Popen[str]"]:
        """Run `outdial worker` with a log of its own, ready or not; several may run at once."""
        command = [sys.executable, "-m", "worker", "--config", str(self.config), "worker"]
        command += ["--processes", str(processes), "--concurrency", str(concurrency)]
        with (
            log_file.open("a") as log,
            child(command, stdout=log, stderr=log, env=self.environment | environment) as supervisor,
        ):
            yield supervisor

    def outdial_command(self) -> list[str]:
        """Return how the `outdial` command is called with these settings."""
        return [sys.executable, "-m", "producers.cli", "--config", str(self.config)]

    def outdial(self, *arguments: str, text: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run the `outdial` command, with *text* as its input; its output and exit code are the caller's."""
        command = [*self.outdial_command(), *arguments]
        return subprocess.run(
            command, input=text, capture_output=True, text=True, env=self.environment, check=False
        )

    def plain_celery(self) -> Celery:
        """Return a client that knows nothing of outdial; the same one each time, closed with the installation."""
        if self._celery is None:
            self._celery = Celery(broker=self.server.url, backend=self.result_backend, set_as_current=False)
        return self._celery

    def close(self) -> None:
        """Close the connections of this process; neither Celery nor redis-py does it by itself."""
        for hopper in self._hoppers:
            hopper.client.close()
        if self._celery is not None:
            if isinstance(self._celery.backend, RedisBackend):
                self._celery.backend.result_consumer.stop()
                self._celery.backend.client.close()
            self._celery.close()

    def let_expire(self, job_id: str) -> None:
        """Make a job that has an expiry expire now."""
        client, keys = self.hopper.client, self.hopper.keys
        client.hset(keys.job(job_id), "expires_at", "1")
        client.zadd(f"{keys.namespace}:expiry", {job_id: 1})

    def end_of(self, job_id: str, *, within_s: float = GENEROUS_S) -> DialResult:
        """
        Return what came of a job.

        Raises:
            TimeoutError: If it has not ended *within_s*, or there is no such job.
        """
        result = self.hopper.wait_for_end(job_id, within_s)
        if result is None or not result.state.is_final:
            raise TimeoutError(f"{result.state if result else 'gone'} after {within_s} s")
        return result


def log_lines(log: Path) -> list[dict[str, Any]]:
    """Return what a log in JSON says, a dict for each line; half a line at its end is left out."""
    whole, _, _ = log.read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]


@dataclass(frozen=True, slots=True)
class ServedApi:
    """A process of `outdial api`, and where it listens."""

    url: str
    process: "subprocess.Popen[str]"


@contextmanager
def served_api(
    config: Path, log_file: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[ServedApi]:
    """
    Run `outdial api` on a free port for the length of the block, which begins when it listens.

    Args:
        config: The settings file.
        log_file: Its stderr is added to this file.
        options: For the command.
        environment: None is that of this process.

    Raises:
        ServiceUnreachable: If it does not start.
    """
    command = [sys.executable, "-m", "producers.cli", "--config", str(config), "api", "--port", "0", *options]
    with (
        log_file.open("a") as log,
        child(command, stdout=subprocess.PIPE, stderr=log, env=environment) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise ServiceUnreachable(f"the HTTP intake did not start; see {log_file}")
        yield ServedApi(json.loads(line)["url"], process)


@contextmanager
def installation(
    folder: Path, server: EmbeddedRedis | RedisGroup, namespace: str, **pbxs: tuple[str, ...]
) -> Iterator[Installation]:
    """Start the named simulators, with options for each, and give an installation on them."""
    with ExitStack() as stack:
        started = [
            stack.enter_context(SimulatedPbx(name, folder, *options).running()) for name, options in pbxs.items()
        ]
        site = Installation(folder, server, namespace, started)
        stack.callback(site.close)
        yield site
