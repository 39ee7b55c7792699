"""A process of the intake, an API key for it, and clients that do as they are told."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from ops.installation import GENEROUS_S, ServedApi, served_api
from producers import Dialer, apikeys

JOB = {"extid": "1002", "outto": "2025550143"}
# A source that takes JSON behind a password, and one that takes XML behind a secret in its URL.
SOURCES = """
[source.pd]
kind = "generic"
preset = "pipedrive"
extension = "1001"
auth = { username = "outdial", password = "made-up-pipedrive-password" }
[source.sf]
kind = "salesforce"
token = "0123456789abcdef0123456789abcdef"
organizations = ["00D5e000000KQ2e"]
extension = "1000"
"""
PIPEDRIVE = {
    "meta": {"action": "change", "entity": "person", "entity_id": "1", "id": "1", "change_source": "app"},
    "data": {"id": 1, "phones": [{"value": "020 7946 0018", "primary": True}]},
}
_PBX = 'api = "yeastar-s-v1.0"\nbase_url = "https://127.0.0.1:9"\nusername = "api"\npassword = "x"\n'


def settings_file(folder: Path, redis_url: str, namespace: str, *more: str) -> Path:
    """Write settings of two PBXs, of which hq is the default, and more sections behind them."""
    file = folder / "outdial.toml"
    top = [f'redis_url = "{redis_url}"', f'namespace = "{namespace}"', "retain_s = 600", 'default_pbx = "hq"']
    file.write_text("\n".join([*top, f"[pbx.hq]\n{_PBX}[pbx.branch]\n{_PBX}", *more]))
    return file


@dataclass(frozen=True, slots=True)
class Client:
    """Sends requests with one API key."""

    url: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = self.headers | options.pop("headers", {})
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, self.url + path, headers=headers, timeout=GENEROUS_S, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.send("GET", path, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.send("POST", path, **options)

    def hook(self, body: Any) -> requests.Response:
        """Deliver what Pipedrive would, with its password."""
        with requests.Session() as session:
            session.trust_env = False
            login = ("outdial", "made-up-pipedrive-password")
            return session.post(f"{self.url}/hooks/pd", json=body, auth=login, timeout=GENEROUS_S)

    def hand_in(self, headers: Mapping[str, str] | None = None, **fields: Any) -> requests.Response:
        return self.post("/v1/dial-jobs", json=JOB | fields, headers=dict(headers or {}))


@dataclass(frozen=True, slots=True)
class Intake:
    """A running intake, and the door that its jobs go through."""

    served: ServedApi
    dialer: Dialer
    log: Path

    def client(self, *scopes: str, pbxs: tuple[str, ...] = (), **quota: int) -> Client:
        """Return a client with an API key of its own; for all scopes if none is given."""
        hopper, settings = self.dialer.hopper, self.dialer.settings
        chosen = scopes or apikeys.SCOPES
        _, text = apikeys.create(
            hopper, settings, f"crm{len(hopper.api_keys())}", scopes=chosen, pbxs=pbxs, **quota
        )
        return Client(self.served.url, text)

    def raw(self, *pieces: bytes) -> HTTPResponse:
        """Send bytes as they are on a connection of their own, and return what came back with its body read."""
        with self.connection() as connection:
            for piece in pieces:
                with suppress(ConnectionError):  # it answers before it has seen everything
                    connection.sendall(piece)
            return answer_on(connection)

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        address = urlsplit(self.served.url)
        with socket.create_connection((address.hostname, address.port), timeout=GENEROUS_S) as connection:
            yield connection

    def peak_kib(self) -> int:
        """Return the most memory its process ever had resident, in KiB."""
        status = Path(f"/proc/{self.served.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0])


def answer_on(connection: socket.socket, method: str = "GET") -> HTTPResponse:
    """Read one response; its body is kept as `.text`."""
    response = HTTPResponse(connection, method=method)
    response.begin()
    response.text = response.read().decode()  # type: ignore[attr-defined]
    return response


@contextmanager
def intake(
    folder: Path, redis_url: str, namespace: str, *options: str, settings: tuple[str, ...] = ()
) -> Iterator[Intake]:
    """Run an intake on a settings file of its own."""
    config, log = settings_file(folder, redis_url, namespace, *settings), folder / "api.log"
    dialer = Dialer.from_config(config, actor="tests")
    with served_api(config, log, *options) as served:
        yield Intake(served, dialer, log)
    dialer.hopper.client.close()


def problem_of(response: Any) -> dict[str, Any]:
    """Return the problem that an answer tells, and make sure that it is one."""
    media_type = response.headers["content-type"]
    body: dict[str, Any] = json.loads(response.text)
    status = getattr(response, "status_code", None) or response.status
    assert (media_type, body["status"]) == ("application/problem+json", status)
    assert body["detail"]
    return body
