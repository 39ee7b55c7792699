"""The whole of outdial on one machine, with nothing installed: `outdial up` and `outdial demo`."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path

import click
import redis
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ops.children import Ensemble, child
from ops.embedded_redis import EmbeddedRedis
from ops.pbx_simulator import read_journal, rung_twice
from ops.ports import reserve_port
from producers import Dialer, apikeys
from worker.errors import DialerError, ServiceUnreachable
from worker.hopper import Hopper
from worker.jobs import DialResult, JobState
from worker.settings import Settings

# The two PBXs of the stack: their extensions, and what goes wrong on them in the demo.
PBXS = {"hq": "1001-1004", "branch": "2001-2002"}
_FAULTS = {
    "hq": [
        {"resource": "dial_outbound", "kind": "errno", "errno": "30001", "extid": "1001", "times": 2},
        {"resource": "dial_outbound", "kind": "drop_after_ring", "extid": "1003", "after": 2, "times": 1},
        {"resource": "dial_outbound", "kind": "token_loss", "extid": "1004", "after": 5, "times": 1},
    ],
    "branch": [
        {"resource": "dial_outbound", "kind": "errno", "errno": "10008", "extid": "2001", "after": 3, "times": 1},
        {"resource": "dial_outbound", "kind": "drop_before_ring", "extid": "2002", "after": 4, "times": 1},
    ],
}
_START_S = 20.0
_KEY_NAME = "up"
_DEMO_S = 50.0


class Stack(Ensemble):
    """
    Server, two simulated PBXs, two worker processes and Flower, stopped together.

    Args:
        folder: Data, logs and the settings file `outdial.toml`; kept between runs of `outdial up`.
        faults: Let a few calls go wrong, as in the demo.
        intake: Serve the HTTP intake too, with an API key made for this run.
        redis_url: A server of the user's; None starts the embedded one.
        namespace: Key prefix on that server.
    """

    def __init__(
        self, folder: Path, *, faults: bool, redis_url: str | None, namespace: str, intake: bool = False
    ) -> None:
        super().__init__()
        self.folder = folder
        self.config = folder / "outdial.toml"
        self.flower_url = ""
        self.flower_login = ("operator", secrets.token_urlsafe(9))
        self.intake_url = ""
        self.api_key = ""
        self._faults = faults
        self._intake = intake
        self._redis_url = redis_url
        self._namespace = namespace

    def journal(self, pbx: str) -> Path:
        """Where a simulated PBX writes what rang."""
        return self.folder / f"{pbx}.journal"

    def _start(self) -> None:
        (self.folder / "logs").mkdir(mode=0o700, parents=True, exist_ok=True)
        url = self._redis_url
        if url is None:
            url = self._stack.enter_context(EmbeddedRedis(self.folder / "redis")).url
        bases = {name: self._start_pbx(name) for name in PBXS}
        self._write_settings(url, bases)
        self._run([sys.executable, "-m", "worker", "--config", str(self.config), "worker"], "workers")
        self._start_flower()
        if self._intake:
            self._start_intake()

    def _start_pbx(self, name: str) -> dict[str, str]:
        command = [sys.executable, "-m", "ops.pbx_simulator", "--port", "0", "--extensions", PBXS[name]]
        command += ["--cert-dir", str(self.folder / f"{name}.tls"), "--journal", str(self.journal(name))]
        command += ["--ring-s", "0.15", "--talk-s", "0.4"]
        if self._faults:
            rules = self.folder / f"{name}.faults.json"
            rules.write_text(json.dumps(_FAULTS[name]))
            command += ["--faults", str(rules)]
        return self._listening(command, f"pbx-{name}", f"the simulated PBX {name}")

    def _start_intake(self) -> None:
        command = [sys.executable, "-m", "producers.cli", "--config", str(self.config), "api", "--port", "0"]
        self.intake_url = self._listening(command, "api", "the HTTP intake")["url"]
        dialer = Dialer.from_config(self.config)
        for key in dialer.hopper.api_keys():  # of the runs before
            if key.name == _KEY_NAME and not key.revoked_at:
                dialer.hopper.revoke_key(key.id)
        _, self.api_key = apikeys.create(dialer.hopper, dialer.settings, _KEY_NAME, scopes=apikeys.SCOPES)

    def _listening(self, command: list[str], name: str, what: str) -> dict[str, str]:
        """Start a part that says on stdout, in a line of JSON, where it listens."""
        process = self._run(command, name, stdout=subprocess.PIPE)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise ServiceUnreachable(f"{what} did not start; see {self._log(name)}")
        listening: dict[str, str] = json.loads(line)
        return listening

    def _write_settings(self, redis_url: str, pbxs: dict[str, dict[str, str]]) -> None:
        _write_secret(self.folder / "redis-url", redis_url)
        _write_secret(self.folder / "pbx-password", "simulator")
        _write_secret(self.folder / "flower-password", self.flower_login[1])
        lines = [
            "# Written by `outdial up` and `outdial demo` at each start.",
            'redis_url_file = "redis-url"',
            f'namespace = "{self._namespace}"',
            'default_pbx = "hq"',
            "[flower]",
            f'username = "{self.flower_login[0]}"',
            'password_file = "flower-password"',
        ]
        for name, listening in pbxs.items():
            lines += [
                f"[pbx.{name}]",
                'api = "yeastar-s-v1.0"',
                f'base_url = "{listening["base_url"]}"',
                'username = "api"',
                'password_file = "pbx-password"',
                f'ca_file = "{name}.tls/cert.pem"',
                "calls_per_second = 8",
                "max_open_calls = 8",
                "open_call_s = 0.7",
                "extension_rest_s = 0.1",
            ]
        # Calls are over in half a second here, so they are looked for at once.
        lines += ["[look]", "every_s = 0.2", "quiet_s = 1", "within_s = 3"]
        self.config.write_text("\n".join(lines) + "\n")

    def _start_flower(self) -> None:
        port = reserve_port()
        self.flower_url = f"http://127.0.0.1:{port}"
        self._run(
            [sys.executable, "-m", "ops.flower", "--config", str(self.config), "--port", str(port)], "flower"
        )

    def wait_for_flower(self) -> None:
        """Return when Flower answers."""
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.flower_url}/healthcheck", timeout=2):  # noqa: S310  loopback
                    return
            except OSError:
                time.sleep(0.1)
        raise ServiceUnreachable(f"Flower did not start; see {self._log('flower')}")

    def _run(self, command: list[str], name: str, **options: int) -> "subprocess.Popen[str]":
        log = self._stack.enter_context(self._log(name).open("a"))
        return self._stack.enter_context(child(command, **{"stdout": log, "stderr": log, **options}))

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"


def _write_secret(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)


class Demo:
    """Imports the sample leads into a fresh stack and shows what comes of them."""

    def __init__(self, stack: Stack, console: Console) -> None:
        self._stack = stack
        self._console = console
        self._hopper = Hopper.from_settings(Settings.load(stack.config))

    def run(self) -> bool:
        """Return whether every job ended and the PBXs' journals confirm the results."""
        jobs = self._import()
        results = self._watch(jobs)
        self._console.print(_table(results))
        return self._confirm(results, jobs)

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)

    def _import(self) -> int:
        with as_file(files("ops") / "sample_leads.csv") as leads:
            command = [sys.executable, "-m", "producers.cli", "--config", str(self._stack.config)]
            command += ["import", "--json", str(leads)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        added = int(json.loads(done.stdout)["added"])
        self._say(f"Imported {added} leads from the sample file.")
        return added

    def _watch(self, jobs: int) -> list[DialResult]:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        deadline = time.monotonic() + _DEMO_S
        results: list[DialResult] = []
        with Progress(*columns, console=self._console, disable=not self._console.is_terminal) as progress:
            bar = progress.add_task("Dialing", total=jobs)
            while len(results) < jobs and time.monotonic() < deadline:
                time.sleep(0.2)
                results = list(self._hopper.ended_since(0))
                progress.update(bar, completed=len(results), description=_counted(results) or "Dialing")
        return results

    def _confirm(self, results: Sequence[DialResult], jobs: int) -> bool:
        rings = [ring for name in PBXS for ring in read_journal(self._stack.journal(name))]
        rang = {ring.callid for ring in rings}
        twice = rung_twice(rings)
        placed = [result for result in results if result.state is JobState.PLACED]
        confirmed = sum(result.callid in rang for result in placed)
        adopted = sum(result.callid is None for result in placed)
        unseen = len(rings) - confirmed - adopted
        if len(results) < jobs:
            self._say(f"[red]{jobs - len(results)} jobs have not ended; see {self._stack.folder / 'logs'}[/red]")
        self._say(
            f"\n[bold]{len(placed)} placed, {len(twice)} rung twice[/bold]: the PBXs' journals have {len(rings)} "
            f"rings, {confirmed} of them under the callids above"
            + (f", {adopted} whose reply was lost and whose call was found running" if adopted else "")
            + (f", {unseen} whose call was over before anybody looked" if unseen else "")
            + "."
        )
        return len(results) == jobs and confirmed + adopted == len(placed) and not twice


def _counted(results: Sequence[DialResult]) -> str:
    counts = Counter(str(result.state) for result in results)
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))


def _table(results: Sequence[DialResult]) -> Table:
    table = Table(
        title="What came of the leads",
        caption=_causes(results),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        caption_justify="left",
    )
    for name in ("lead", "pbx", "extid", "state", "callid", "attempts", "errno"):
        table.add_column(name, no_wrap=True)
    for result in sorted(results, key=lambda result: result.metadata.get("lead", "")):
        table.add_row(
            result.metadata.get("lead", result.job_id),
            result.pbx,
            result.extid,
            str(result.state),
            result.callid or (f"out:{result.outboundid}" if result.outboundid else ""),
            str(result.attempts),
            result.errno or "",
        )
    return table


def _causes(results: Sequence[DialResult]) -> str:
    return "\n".join(sorted({f"{result.errno}: {result.error}" for result in results if result.errno}))


def _named_redis() -> str | None:
    return os.environ.get("OUTDIAL_REDIS_URL") or os.environ.get("REDIS_URL")


def _leave_no_keys(url: str, namespace: str) -> None:
    """On a server of the user's, take the demo's own keys away again, and no others."""
    with redis.Redis.from_url(url) as client:
        for key in client.scan_iter(match=f"{namespace}*"):
            client.delete(key)


def command_as_typed() -> str:
    """Return how a shell finds the command: by its name, or by its path where `make` ran it from a `.venv`."""
    return "outdial" if shutil.which("outdial") else str(Path(sys.executable).with_name("outdial"))


@click.group()
def main() -> None:
    """Run the whole of outdial on this machine."""


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path(".outdial"), show_default=True)
@click.option("--faults", is_flag=True, help="Let a few calls go wrong.")
def up(folder: Path, faults: bool) -> None:  # noqa: FBT001  a flag
    """Keep a stack running to play with, until Ctrl-C; its jobs and settings survive."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    console = Console()
    try:
        named = _named_redis()
        with Stack(folder.resolve(), faults=faults, redis_url=named, namespace="outdial", intake=True) as stack:
            stack.wait_for_flower()
            user, password = stack.flower_login
            console.print(
                f"Dial from the browser: {stack.intake_url} with the API key {stack.api_key}", soft_wrap=True
            )
            console.print(f"Running. Flower: {stack.flower_url} (log in as {user} with {password})")
            console.print(f"In another terminal:\n  export OUTDIAL_CONFIG={stack.config}", soft_wrap=True)
            outdial = command_as_typed()
            enqueue = f"{outdial} enqueue 1001 912025550143 --pbx hq --wait 10"
            console.print(f"  {enqueue}\n  {outdial} lanes\nCtrl-C stops it.", soft_wrap=True)
            stopped.wait()
            console.print("Stopping.")
    except DialerError as wrong:
        click.echo(str(wrong), err=True)
        raise SystemExit(3) from None


@main.command()
def demo() -> None:
    """Dial the sample leads on a fresh stack, show the results, stop everything."""
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="outdial-demo-"))
    namespace, named = f"demo-{secrets.token_hex(4)}", _named_redis()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    good = False
    try:
        with Stack(folder, faults=True, redis_url=named, namespace=namespace) as stack:
            user, password = stack.flower_login
            login = f"log in as {user} with {password}"
            console.print(
                f"Two simulated PBXs, two worker processes; Flower: {stack.flower_url} ({login})", soft_wrap=True
            )
            good = Demo(stack, console).run()
            stack.wait_for_flower()
            up = f"{command_as_typed()} up"
            console.print(
                f"Flower was at {stack.flower_url}; `{up}` keeps a stack running to look around.", soft_wrap=True
            )
    except (DialerError, redis.RedisError, subprocess.CalledProcessError) as wrong:
        click.echo(f"The demo could not run: {wrong}", err=True)
    finally:
        if named:
            _leave_no_keys(named, namespace)
    if good:
        shutil.rmtree(folder)
    else:
        click.echo(f"Its logs are in {folder / 'logs'}.", err=True)
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main(prog_name="outdial")
