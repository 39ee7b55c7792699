"""What else runs where people dial: Flower, the HTTP intake, a CRM that is told of ends, a collector of traces."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import requests

from ops.chaos.leaks import secret_of
from ops.chaos.published import Published
from ops.chaos.receiver import Receiver
from ops.children import Ensemble, child
from ops.installation import GENEROUS_S, Installation
from ops.pbx_simulator.certificate import keep_certificate
from ops.ports import reserve_port
from producers import apikeys
from worker.errors import ServiceUnreachable

# Made up, and in no surface of any kind.
FLOWER_PASSWORD: Final = "fl0wer-of-chaos"  # noqa: S105
SIGNING_SECRET: Final = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105
ADDRESS_SECRET: Final = "t0ken-of-the-crm"  # noqa: S105
_LOGIN: Final = ("operator", FLOWER_PASSWORD)
# Not among what running alone needs, see pyproject.toml.
_CAN_TRACE: Final = importlib.util.find_spec("opentelemetry.exporter") is not None


class Receivers(Ensemble):
    """
    The CRM's end of webhooks, and the collector of traces; they are there before the settings name them.

    Args:
        folder: For the CRM's certificate.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def _start(self) -> None:
        self._certificate = keep_certificate(self._folder / "crm.tls", host="127.0.0.1")
        self.crm = self._stack.enter_context(Receiver(self._certificate.server_context()).running())
        self.collector = self._stack.enter_context(Receiver().running())

    @property
    def sections(self) -> Mapping[str, Mapping[str, object]]:
        """Settings that name them, each value as TOML."""
        crm = {
            "url": json.dumps(f"{self.crm.url}/hook?token={ADDRESS_SECRET}"),
            "secret": json.dumps(f"whsec_{SIGNING_SECRET}"),
            "ca_file": json.dumps(str(self._certificate.cert_file)),
            "allow_networks": '["127.0.0.0/8", "::1/128"]',
        }
        sections: dict[str, Mapping[str, object]] = {"webhook.crm": crm}
        if _CAN_TRACE:
            sections["tracing"] = {"endpoint": json.dumps(self.collector.url)}
        return sections

    def untold(self, job_ids: Iterable[str]) -> int:
        """Return of how many of these jobs the CRM has not been told."""
        told = {json.loads(body)["data"]["job_id"] for body in list(self.crm.bodies)}
        return sum(job_id not in told for job_id in job_ids)


class Bystanders(Ensemble):
    """
    Flower, the HTTP intake, and somebody who hears all that is published.

    Args:
        site: By whose settings they work; they have a way to Redis without a proxy.
    """

    def __init__(self, site: Installation) -> None:
        super().__init__()
        self._site = site

    def _start(self) -> None:
        site, port = self._site, reserve_port()
        self.published = self._stack.enter_context(Published(site.server.url).listening())
        self._start_flower()
        api = self._stack.enter_context(site.api("--metrics-port", str(port)))
        self.metrics_url = f"http://127.0.0.1:{port}/metrics"
        _, self.key = apikeys.create(site.hopper, site.settings, "crm", scopes=apikeys.SCOPES)
        self.intake = Intake(api.url, self.key)

    def _start_flower(self) -> None:
        command = [sys.executable, "-m", "ops.flower", "--config", str(self._site.config), "--port", "0"]
        environment = self._site.environment | {"OUTDIAL_FLOWER__PASSWORD": FLOWER_PASSWORD}
        log = self._stack.enter_context((self._site.folder / "flower.log").open("a"))
        started = child(command, stdout=subprocess.PIPE, stderr=log, env=environment)
        flower = self._stack.enter_context(started)
        assert flower.stdout is not None
        line = flower.stdout.readline()
        if not line:
            raise ServiceUnreachable(f"Flower did not start; see {self._site.folder / 'flower.log'}")
        self._flower_url = json.loads(line)["url"].rstrip("/")

    def flower(self, page: str) -> str:
        """Return a page of Flower's, with its status on top."""
        return get(f"{self._flower_url}/{page}", auth=_LOGIN)

    @property
    def secrets(self) -> Mapping[str, str]:
        """What only they know, {text: what it is}."""
        return {
            FLOWER_PASSWORD: "Flower's password",
            SIGNING_SECRET: "a signing key",
            ADDRESS_SECRET: "an endpoint's address",
            secret_of(self.key): "an API key",
        }


class Intake:
    """
    The HTTP intake as a CRM sees it.

    Args:
        url: Where it listens.
        key: The CRM's.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}

    def enqueue(self, **fields: Any) -> tuple[str, bool]:
        """
        Hand in a job with a key of its own, which makes it safe to repeat.

        Args:
            fields: As the intake takes them.

        Returns:
            The job's id, and whether it is new.

        Raises:
            ServiceUnreachable: If nobody answers, or says to come again.
            requests.HTTPError: If it is refused.
        """
        answer = self._ask("POST", "/v1/dial-jobs", json=fields)
        if answer.status_code >= requests.codes.server_error:
            raise ServiceUnreachable("the HTTP intake has no Redis just now")
        answer.raise_for_status()
        said = answer.json()
        return said["job_id"], said["is_new"]

    def get(self, path: str) -> str:
        """Return a page of it, with its status on top."""
        return get(self._url + path, headers=self._headers)

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            try:
                return session.request(method, self._url + path, headers=self._headers, timeout=10, **options)
            except requests.RequestException as error:
                raise ServiceUnreachable("the HTTP intake does not answer") from error


def get(url: str, **options: Any) -> str:
    """Return what an address shows, with its status on top."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(url, timeout=GENEROUS_S, **options)
        return f"{answer.status_code}\n{answer.text}"
