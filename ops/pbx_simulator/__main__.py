"""The command: reads options, runs one simulator until a signal, says in one JSON line when it listens."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from ops.pbx_simulator.faults import FaultRule, FaultRuleError, read_fault_file
from ops.pbx_simulator.options import SimulatorOptions, parse_extensions
from ops.pbx_simulator.server import ListenError, Simulator
from worker.logs import set_up


class ExtensionsParameter(click.ParamType[tuple[str, ...]]):
    """Ranges and lists of extensions."""

    name = "EXT,.."

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the extensions that the text names."""
        if isinstance(value, tuple):
            return value
        try:
            return parse_extensions(str(value))
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


EXTENSIONS = ExtensionsParameter()
SECONDS = click.FloatRange(min=0)


@click.command(name="simulator")
@click.option("--port", type=click.IntRange(0, 65535), required=True, help="Port; 0 picks a free one.")
@click.option("--cert-dir", type=click.Path(path_type=Path, file_okay=False), help="Keeps the certificate.")
@click.option("--journal", type=click.Path(path_type=Path, dir_okay=False), required=True, help="What rang.")
@click.option("--hits", type=click.Path(path_type=Path, dir_okay=False), help="Requests faults acted on.")
@click.option("--events-to", metavar="URL", help="Push events here; default: the url a login gives, if any.")
@click.option("--faults", "faults_file", type=click.Path(path_type=Path), help="JSON list of fault rules.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--username", default="api", show_default=True, help="API user.")
@click.option("--password", default="simulator", show_default=True, help="API password, in clear.")
@click.option("--password-env", metavar="NAME", help="Environment variable that holds the password.")
@click.option("--password-file", type=click.Path(path_type=Path, dir_okay=False), help="File that holds it.")
@click.option("--extensions", type=EXTENSIONS, default="1000-1049", show_default=True, help="Known ones.")
@click.option("--busy", type=EXTENSIONS, default="", help="Extensions that are always busy.")
@click.option("--offline", type=EXTENSIONS, default="", help="Extensions whose phone is not registered.")
@click.option("--no-outbound", type=EXTENSIONS, default="", help="Extensions that answer 100024.")
@click.option("--ring-s", type=SECONDS, default=0.3, show_default=True, help="From ringing to answered.")
@click.option("--talk-s", type=SECONDS, default=1.0, show_default=True, help="From answered to ended.")
@click.option("--answer-s", type=SECONDS, default=0.0, show_default=True, help="Longest time to reply to a dial.")
@click.option("--busy-errno", default="", help="Code for dialing a busy extension; default: Success, no ring.")
@click.option("--token-life-s", type=SECONDS, default=1800.0, show_default=True, help="Unused token's life.")
@click.option("--login-lock-s", type=SECONDS, default=600.0, show_default=True, help="Lock after 5 wrong.")
@click.option("--single-session", is_flag=True, help="A login kills the tokens before it.")
@click.option("--no-keep-alive", is_flag=True, help="Close each connection after its reply.")
@click.option("--utc-offset-h", type=click.FloatRange(-12, 14), default=0.0, help="The PBX's time zone.")
@click.option("--seed", type=int, help="Makes faults with a probability repeatable.")
@click.option("--plain-http", is_flag=True, help="No TLS, for benchmarks; needs no --cert-dir.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning"]), default="info", show_default=True)
def command(
    *,
    port: int,
    cert_dir: Path | None,
    journal: Path,
    hits: Path | None,
    events_to: str | None,
    faults_file: Path | None,
    host: str,
    username: str,
    password: str,
    password_env: str | None,
    password_file: Path | None,
    extensions: tuple[str, ...],
    busy: tuple[str, ...],
    offline: tuple[str, ...],
    no_outbound: tuple[str, ...],
    ring_s: float,
    talk_s: float,
    answer_s: float,
    busy_errno: str,
    token_life_s: float,
    login_lock_s: float,
    single_session: bool,
    no_keep_alive: bool,
    utc_offset_h: float,
    seed: int | None,
    plain_http: bool,
    log_level: str,
) -> None:
    """Run a PBX that speaks the Yeastar S-Series API, until SIGTERM or Ctrl-C."""
    if not plain_http and cert_dir is None:
        raise click.UsageError("--cert-dir: name a folder to keep the certificate in, or give --plain-http")
    if busy_errno and not busy_errno.isdecimal():
        raise click.UsageError(f"--busy-errno: {busy_errno!r} must be digits such as 10008, or empty")
    if events_to is not None and not events_to.startswith(("http://", "https://")):
        raise click.UsageError("--events-to: the address must begin with http:// or https://")
    for option, named in (("--busy", busy), ("--offline", offline), ("--no-outbound", no_outbound)):
        _check_known(option, named, extensions)
    options = SimulatorOptions(
        journal=journal,
        hits=hits,
        cert_dir=None if plain_http else cert_dir,
        host=host,
        port=port,
        username=username,
        password=_password(password, password_env, password_file),
        extensions=extensions,
        busy=busy,
        offline=offline,
        no_outbound=no_outbound,
        ring_s=ring_s,
        talk_s=talk_s,
        answer_s=answer_s,
        busy_errno=busy_errno,
        token_life_s=token_life_s,
        login_lock_s=login_lock_s,
        single_session=single_session,
        keep_alive=not no_keep_alive,
        utc_offset_h=utc_offset_h,
        events_to=events_to,
        faults=_faults(faults_file),
        seed=seed,
    )
    _log_to_stderr(log_level)
    asyncio.run(_run(options))


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command and return its exit code: 0 stopped by a signal, 2 for anything wrong at start.

    Args:
        arguments: Without the program's name; those of the process if None.
    """
    try:
        command.main(args=arguments, prog_name="python -m ops.pbx_simulator", standalone_mode=False)
    except click.ClickException as exc:
        # Click's own display takes three lines; one sentence is asked for.
        click.echo(f"simulator: {exc.format_message()}", err=True)
        return 2
    except click.Abort:
        return 2
    return 0


async def _run(options: SimulatorOptions) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        simulator = Simulator(options)
    except OSError as exc:
        files = {str(options.journal): "--journal", str(options.hits): "--hits"}
        what = files.get(str(exc.filename), "--cert-dir")
        raise click.UsageError(f"{what}: {exc.filename} cannot be written ({exc.strerror})") from exc
    try:
        simulator.open()
        _announce(simulator)
        await stop.wait()
    except ListenError as exc:
        raise click.UsageError(str(exc)) from exc
    finally:
        simulator.close()


def _announce(simulator: Simulator) -> None:
    certificate = simulator.certificate
    line = {
        "event": "listening",
        "port": simulator.port,
        "base_url": simulator.base_url(),
        "ca_file": str(certificate.cert_file) if certificate else None,
        "tls_fingerprint": certificate.fingerprint if certificate else None,
    }
    print(json.dumps(line, separators=(",", ":")), flush=True)


def _check_known(option: str, named: tuple[str, ...], extensions: tuple[str, ...]) -> None:
    strangers = [extid for extid in named if extid not in set(extensions)]
    if strangers:
        raise click.UsageError(f"{option}: {strangers[0]} is not one of --extensions; add it there too")


def _password(password: str, password_env: str | None, password_file: Path | None) -> str:
    if password_file is not None:
        return _password_in(password_file)
    if password_env is None:
        return password
    if not os.environ.get(password_env):
        raise click.UsageError(f"--password-env: the variable {password_env} is not set or is empty")
    return os.environ[password_env]


def _password_in(file: Path) -> str:
    try:
        password = file.read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise click.UsageError(f"--password-file: {file} cannot be read ({exc.strerror})") from exc
    if not password:
        raise click.UsageError(f"--password-file: {file} is empty; give a file that holds the password")
    return password


def _faults(path: Path | None) -> tuple[FaultRule, ...]:
    if path is None:
        return ()
    try:
        return tuple(read_fault_file(path))
    except FaultRuleError as exc:
        raise click.UsageError(f"--faults: {exc}") from exc


def _log_to_stderr(level: str) -> None:
    set_up(level, process="simulator", libraries=level)
    # Tornado writes request lines, which carry tokens, into warnings; its errors do not.
    logging.getLogger("tornado").setLevel(logging.ERROR)


if __name__ == "__main__":
    sys.exit(main())
