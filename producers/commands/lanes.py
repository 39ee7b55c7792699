"""Subcommands about PBXs and their lanes: pause, resume, lanes."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from producers.commands.door import with_dialer
from producers.enqueue import Dialer
from producers.obstacles import of_all_pbxs
from producers.settings_versions import version_lines
from producers.showing import TAKES_CALLS, lane_table, pbx_state
from producers.times import iso_or_none
from worker.errors import InputRefused
from worker.hopper import KILL_SWITCH, LaneView, PbxGlance
from worker.settings import version_of

_LANES_FIELDS = """\b
Fields of the JSON, for each PBX:
  name, waiting, later, released, open_calls
  waiting_by_priority
                 the same by urgent, normal and bulk
  oldest_s, oldest_by_priority_s
                 for how long the oldest of them could have gone, 0 if
                 none waits
  max_open_calls, calls_per_second, burst
                 limits as the workers have them, 0 before one started
  known_to_workers, logged_in
  in_doubt       claimed jobs of which nobody knows whether they rang
  paused, everything_paused
  breaker        closed (calls go), open, or half-open (one is tried)
  barred_s       how long it stays open
  barred_since   when it first opened, or null
  barred_reason  why
  barred_by      down, dial (it loses dials), asked (it asked for a rest) or login; empty if it is closed
  lanes          list of extid, waiting, busy_s
  takes_calls    whether a call may begin as things stand
  why_not        the reasons in words, or null
  settings_versions
                 version of the settings by process, the same for all PBXs
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
    Go on dialing on a PBX, or with --all lift the kill switch.

    PBXs that were paused one by one stay paused, and --all lists them. Exits with 1 if the PBX stays still because
    everything is paused.
    """
    name = _named(dialer, pbx, everything=everything)
    was_paused = dialer.hopper.resume(name)
    click.echo(f"{_title(name)} {'is no longer' if was_paused else 'was not'} paused.")
    still = dialer.hopper.paused()
    if name == KILL_SWITCH:
        for one in sorted(still):
            click.echo(f"PBX {one} stays paused by itself; `outdial resume {one}` lifts that.")
    elif KILL_SWITCH in still:
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
    """
    Show each PBX's jobs - waiting, later, released, in calls, in doubt - and whether it takes calls.

    Below stands the version of the settings that the processes have, and which ones differ.
    """
    overview = dialer.hopper.overview(list(dialer.settings.pbx))

    def lanes(glance: PbxGlance) -> tuple[LaneView, ...]:
        # One without waiting jobs has no lanes, and need not be asked.
        return dialer.hopper.view(glance.name).lanes if glance.waiting_in_all else ()

    paused = overview.everything_paused
    stops = of_all_pbxs(overview.held_why, overview.refusal, len(overview.workers))
    stopped = [one.sentence for one in stops]
    if as_json:
        reports = dialer.hopper.settings_reports()
        common = {"settings_versions": {report.process: report.version for report in reports}}
        plain = [
            _plain(glance, lanes(glance), paused) | _takes_calls(pbx_state(glance, paused, stopped)) | common
            for glance in overview.pbxs
        ]
        click.echo(json.dumps(plain))
        return
    shown = lane_table(overview.pbxs, lanes if verbose else None, everything_paused=paused, stopped=stopped)
    for line in shown:
        click.echo(line)
    for line in version_lines(dialer.hopper.settings_reports(), version_of(dialer.settings)):
        click.echo(line)


def _takes_calls(state: str) -> dict[str, Any]:
    takes = state == TAKES_CALLS
    return {"takes_calls": takes, "why_not": None if takes else state}


def _plain(glance: PbxGlance, lanes: Sequence[LaneView], everything_paused: bool) -> dict[str, Any]:  # noqa: FBT001
    breaker = glance.breaker
    return {
        "name": glance.name,
        "waiting": glance.waiting_in_all,
        "waiting_by_priority": glance.waiting,
        "oldest_s": glance.oldest_in_all_s,
        "oldest_by_priority_s": glance.oldest_s,
        "later": glance.later,
        "released": glance.released,
        "open_calls": glance.open_calls,
        "max_open_calls": glance.max_open_calls,
        "calls_per_second": glance.calls_per_second,
        "burst": glance.burst,
        "known_to_workers": glance.is_known,
        "logged_in": glance.is_logged_in,
        "paused": glance.is_paused or everything_paused,
        "in_doubt": glance.in_doubt,
        "breaker": breaker.state,
        "barred_s": breaker.seconds,
        "barred_since": iso_or_none(breaker.since),
        "barred_reason": breaker.reason,
        "barred_by": glance.barred_by,
        "lanes": [asdict(lane) for lane in lanes],
        "everything_paused": everything_paused,
    }
