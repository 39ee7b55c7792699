"""
Subcommands that are programs of their own: worker, flower, simulator, up, demo, doctor.

`producers` knows nothing of what they run. They take this process over (`exec`), so that a signal sent to
`outdial worker` reaches the worker; what they do not take from us goes on to them, `--help` too.
"""

import os
import sys
from typing import NoReturn

import click

from producers.commands import chosen_config, config_option
from worker import signals
from worker.extras import require_extra

_PASS_ON = {"ignore_unknown_options": True, "help_option_names": []}
_rest = click.argument("rest", nargs=-1, type=click.UNPROCESSED)


def _become(module: str, *args: str) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    # -P: a `worker.py` in the folder one happens to be in is not ours.
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *args])  # noqa: S606 - no shell is the point


def _config_args(config: str | None) -> list[str]:
    chosen = chosen_config(config)
    return ["--config", chosen] if chosen else []


@click.command("worker", context_settings=_PASS_ON)
@config_option
@_rest
def worker_command(config: str | None, rest: tuple[str, ...]) -> None:
    """Run worker processes until SIGTERM or Ctrl-C."""
    signals.block()  # a SIGHUP that comes before the worker can take it waits for it
    _become("worker", *_config_args(config), "worker", *rest)


@click.command("doctor", context_settings=_PASS_ON)
@config_option
@_rest
def doctor_command(config: str | None, rest: tuple[str, ...]) -> None:
    """Check settings, Redis and PBXs."""
    _become("worker", *_config_args(config), "doctor", *rest)


@click.command("flower", context_settings=_PASS_ON)
@config_option
@_rest
def flower_command(config: str | None, rest: tuple[str, ...]) -> None:
    """Run Flower."""
    require_extra("flower", "outdial flower")
    _become("ops.flower", *_config_args(config), *rest)


@click.command("simulator", context_settings=_PASS_ON)
@_rest
def simulator_command(rest: tuple[str, ...]) -> None:
    """Run a simulated PBX."""
    certificate = any(word.startswith("--cert-dir") for word in rest)
    modules = ("tornado", "cryptography") if certificate else ("tornado",)
    require_extra("local", "outdial simulator", modules=modules)
    _become("ops.pbx_simulator", *rest)


@click.command("up", context_settings=_PASS_ON)
@config_option
@_rest
def up_command(config: str | None, rest: tuple[str, ...]) -> None:
    """Run everything on this machine."""
    _become_local("up", config, rest)


@click.command("demo", context_settings=_PASS_ON)
@config_option
@_rest
def demo_command(config: str | None, rest: tuple[str, ...]) -> None:
    """Show everything at work."""
    _become_local("demo", config, rest)


def _become_local(what: str, config: str | None, rest: tuple[str, ...]) -> NoReturn:
    # With a Redis of the user's, the embedded server is not needed.
    named = os.environ.get("OUTDIAL_REDIS_URL") or os.environ.get("REDIS_URL")
    require_extra("local", f"outdial {what}", modules=("cryptography", "flower", "tornado"))
    if not named:
        require_extra("local", f"outdial {what}", otherwise="name a Redis by OUTDIAL_REDIS_URL")
    # The stack passes its settings on to many processes, so they go by the environment.
    if chosen := chosen_config(config):
        os.environ["OUTDIAL_CONFIG"] = chosen
    _become("ops.local", what, *rest)
