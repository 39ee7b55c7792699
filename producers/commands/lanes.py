"""Subcommands about PBXs and their lanes: pause, resume, lanes."""

import json
import sys
from dataclasses import asdict
from typing import Any

import click

from producers.commands.door import with_dialer
from producers.enqueue import Dialer
from producers.showing import lane_table
from producers.times import iso_or_none
from worker.errors import InputRefused
from worker.hopper import KILL_SWITCH, PbxView

_LANES_FIELDS = """\b
Fields of the JSON, for each PBX:
  name, waiting, later, released, open_calls
  in_doubt       claimed jobs of which nobody knows whether they rang
  paused, everything_paused
  breaker        closed (calls go), open, or half-open (one is tried)
  barred_s       how long it stays open
  barred_since   when it first opened, or null
  barred_reason  why
  lanes          list of extid, waiting, busy_s
"""

_everything = click.option("--all", "everything", is_flag=True, help="Everywhere: the kill switch.")


@click.command("pause")
@click.argument("pbx", required=False)
@_everything
@with_dialer
def pause_command(dialer: Dialer, *, pbx: str | None, everything: bool) -> None:
    """
    Stop dialing on a PBX, or everywhere with --all.

    No call begins from now on; calls under way are left alone. It holds, across restarts too, until
    `outdial resume`.
    """
    name = _named(dialer, pbx, everything=everything)
    was_new = dialer.hopper.pause(name)
    click.echo(f"{_title(name)} {'is paused' if was_new else 'was paused already'}.")


@click.command("resume")
@click.argument("pbx", required=False)
@_everything
@with_dialer
def resume_command(dialer: Dialer, *, pbx: str | None, everything: bool) -> None:
    """
    Go on dialing on a PBX, or with --all lift every pause there is.

    Exits with 1 if the PBX stays still because everything is paused.
    """
    name = _named(dialer, pbx, everything=everything)
    lifted = dialer.hopper.resume(name)
    if not lifted:
        click.echo(f"{_title(name)} was not paused.")
    for one in sorted(lifted):
        click.echo(f"{_title(one)} is no longer paused.")
    if name != KILL_SWITCH and KILL_SWITCH in dialer.hopper.paused():
        click.echo(
            f"outdial: {name} stays still, for everything is paused; `outdial resume --all` lifts that.",
            err=True,
        )
        sys.exit(1)


def _named(dialer: Dialer, pbx: str | None, *, everything: bool) -> str:
    if everything == (pbx is not None):
        raise click.UsageError("Give the name of a PBX, or --all.")
    if pbx is None:
        return KILL_SWITCH
    # A PBX that has left the settings may still have to be resumed.
    if pbx in dialer.settings.pbx or (pbx != KILL_SWITCH and pbx in dialer.hopper.paused()):
        return pbx
    raise InputRefused([f"there is no PBX {pbx!r} in the settings; choose one of {dialer.pbx_names()}"])


def _title(name: str) -> str:
    return "Everything" if name == KILL_SWITCH else f"PBX {name}"


@click.command("lanes", epilog=_LANES_FIELDS)
@click.option("-v", "--verbose", is_flag=True, help="Show each extension's lane.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, with the lanes.")
@with_dialer
def lanes_command(dialer: Dialer, *, verbose: bool, as_json: bool) -> None:
    """Show each PBX's jobs - waiting, later, released, in calls, in doubt - and whether it takes calls."""
    views = (dialer.hopper.view(name) for name in dialer.settings.pbx)
    paused = dialer.hopper.paused()
    if as_json:
        click.echo(json.dumps([_plain(view, paused) for view in views]))
        return
    for line in lane_table(views, paused, with_lanes=verbose):
        click.echo(line)


def _plain(view: PbxView, paused: set[str]) -> dict[str, Any]:
    return {
        **asdict(view),
        "barred_since": iso_or_none(view.barred_since),
        "everything_paused": KILL_SWITCH in paused,
    }
