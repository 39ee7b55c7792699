"""The parts of one run: server, PBXs, proxies between them and the workers, the crews, and who looks on."""

import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import redis

import worker
from ops.chaos.bystanders import Bystanders, Receivers
from ops.chaos.clock import Clock
from ops.chaos.crew import Crew
from ops.chaos.gate import Gate
from ops.chaos.orders import EXTENSIONS
from ops.children import Ensemble
from ops.embedded_redis import EmbeddedRedis
from ops.installation import PASSWORD, Installation, installation
from ops.ports import reserve_port
from ops.tcp_proxy import TcpProxy
from producers import Dialer
from worker.app import build_app, dial_message
from worker.hopper import Hopper, connect
from worker.settings import Settings

NAMESPACE: Final = "chaos"
CREWS: Final = ("a", "b")
PBXS: Final = tuple(EXTENSIONS)
PRODUCER: Final = "producer"
RING_S, TALK_S = 1.0, 7.0
CALL_S: Final = RING_S + TALK_S
# A real PBX takes its time to answer a dial; so that deaths meet calls under way, this one does too.
_ANSWER_S = 1.0
# Short, so that five minutes hold many deaths, and in the order that keeps a call from ringing twice. A call
# outlives a dead claim by some seconds, as real ones do: else nothing would be left to find.
LIMITS: Final = {"attempt_deadline_s": 3.5, "claim_lease_s": 4.2, "claim_dead_s": 5, "release_ttl_s": 4.5}
CLAIM_DEAD_S: Final = float(LIMITS["claim_dead_s"])
_PBX_LIMITS: Final[dict[str, Any]] = {
    "calls_per_second": 15,
    "burst": 2,
    "max_open_calls": 200,
    "open_call_s": CALL_S + 0.5,
    "extension_rest_s": 0.2,
    "connect_timeout_s": 1,
    "read_timeout_s": 2,
}
_SECTIONS: Final[Mapping[str, Mapping[str, object]]] = {
    "limits": LIMITS,
    "worker": {"stop_grace_s": 8},
    "retry": {"max_attempts": 8, "base_s": 0.2, "cap_s": 2},
    "look": {"every_s": 0.5, "quiet_s": 1.5, "within_s": 3, "at_most_s": 12},
}


class Site(Ensemble):
    """
    Everything that runs, started by `with` and stopped in order at its end.

    Between each crew, the producer and Redis, and in front of each PBX, stands a proxy of its own.

    Args:
        folder: For data, logs and journals.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        # Set when the run is given up: whatever rests wakes.
        self.over = threading.Event()
        # Closed while what is handed in would be lost by definition.
        self.gate = Gate()

    def _start(self) -> None:
        self.clock = Clock(self.folder)
        server = EmbeddedRedis(self.folder / "redis", environment=self.clock.environment)
        self.server = self._stack.enter_context(server)
        options = {name: _simulator_options(name) for name in PBXS}
        self.installation: Installation = self._stack.enter_context(
            installation(self.folder, self.server, NAMESPACE, **options)
        )
        self.receivers = self._stack.enter_context(Receivers(self.folder))
        sections = {**_SECTIONS, **self.receivers.sections}
        self.settings = self.installation.write_settings(sections=sections, **_PBX_LIMITS)
        self.hopper = self.installation.hopper
        self.client: redis.Redis = self._stack.enter_context(connect(self.server.url))
        # A dial message with @ID@ and @TAG@ left open, as the pacer pushes it.
        self.message = dial_message(build_app(self.settings))
        self._start_proxies()
        self.bystanders = self._stack.enter_context(Bystanders(self.installation))
        self.metrics_ports = {name: reserve_port() for name in CREWS}
        self.crews = {name: Crew(name, self.installation, self._environment(name)) for name in CREWS}
        for crew in self.crews.values():
            crew.start()
            self._stack.callback(crew.stop)
        self._stack.callback(self.over.set)  # put on last, so it is the first to happen

    def _start_proxies(self) -> None:
        address = urlsplit(self.server.url)
        self.redis_paths = {
            name: self._stack.enter_context(TcpProxy("127.0.0.1", address.port or 0))
            for name in (*CREWS, PRODUCER)
        }
        self.pbx_paths = {
            name: self._stack.enter_context(TcpProxy("127.0.0.1", urlsplit(pbx.base_url).port or 0))
            for name, pbx in self.installation.pbxs.items()
        }

    def scripts_of(self, crew: str) -> Path:
        """Return the folder from which a crew reads its Redis scripts: each has a copy of the product."""
        return self.folder / f"product-{crew}" / "worker" / "hopper" / "scripts"

    def _copy_product(self, crew: str) -> str:
        """Copy what a worker runs, so that a fault can spoil its files; returns the folder."""
        folder = self.folder / f"product-{crew}"
        shutil.copytree(
            Path(worker.__file__).parent, folder / "worker", ignore=shutil.ignore_patterns("__pycache__")
        )
        return str(folder)

    def _environment(self, crew: str) -> dict[str, str]:
        """
        Return what sends one crew through the proxies, with its own copy of the product.

        Settings from the environment win over the file.
        """
        pbxs = {
            f"OUTDIAL_PBX__{name.upper()}__BASE_URL": f"https://127.0.0.1:{path.port}"
            for name, path in self.pbx_paths.items()
        }
        redis_url = self._through(crew, self.server.url)
        results = self._through(crew, self.installation.result_backend)
        port = str(self.metrics_ports[crew])
        services = {"OUTDIAL_REDIS_URL": redis_url, "OUTDIAL_RESULT_BACKEND": results}
        return pbxs | services | {"OUTDIAL_METRICS__PORT": port, "PYTHONPATH": self._copy_product(crew)}

    def _through(self, path: str, url: str) -> str:
        """Return *url* with the proxy's port."""
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{login}@127.0.0.1:{self.redis_paths[path].port}").geturl()

    def dialer(self) -> Dialer:
        """Return a producer's door, through the producer's own proxy."""
        settings: Settings = self.settings.model_copy(
            update={"redis_url": self._through(PRODUCER, self.server.url)}
        )
        hopper = Hopper.from_settings(settings)
        self._stack.callback(hopper.client.close)
        return Dialer(settings, hopper)

    def rest(self, seconds: float) -> None:
        """Wait, but not beyond the end of the run."""
        self.over.wait(seconds)

    def heal(self) -> None:
        """Undo whatever a fault may have left behind; connections that lost something stay deaf."""
        for path in (*self.redis_paths.values(), *self.pbx_paths.values()):
            path.pass_on()
        for pbx in self.installation.pbxs.values():
            pbx.heal()

    def secrets(self) -> dict[str, str]:
        """Return {text: what it is} of what no surface may show, but for numbers and tokens."""
        known = {PASSWORD: "the PBXs' password", urlsplit(self.server.url).password or "": "Redis's password"}
        return {text: what for text, what in {**known, **self.bystanders.secrets}.items() if text}

    def tokens(self) -> set[str]:
        """Return the PBX tokens in use."""
        found = (self.client.hget(self.hopper.keys.token(pbx), "token") for pbx in PBXS)
        return {str(token) for token in found if token}

    def logs(self) -> list[Path]:
        """Return every log that any part writes."""
        return sorted([*self.folder.glob("*.log"), *self.folder.glob("redis/*.log")])


def _simulator_options(pbx: str) -> tuple[str, ...]:
    extensions = EXTENSIONS[pbx]
    options = ["--extensions", f"{extensions[0]}-{extensions[-1]}", "--log-level", "warning"]
    return (*options, "--ring-s", str(RING_S), "--talk-s", str(TALK_S), "--answer-s", str(_ANSWER_S))
