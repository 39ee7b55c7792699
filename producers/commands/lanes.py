"""Subcommands about PBXs and their lanes: pause, resume, lanes."""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from producers.commands.door import with_author, with_dialer
from producers.enqueue import Dialer
from producers.masking import masked
from producers.obstacles import of_all_pbxs
from producers.pauses import author_words, plain_pause
from producers.settings_versions import version_lines
from producers.showing import lane_table, reasons_against
from producers.times import iso_or_none, told
from worker.errors import InputRefused
from worker.hopper import KILL_SWITCH, LaneView, Overview, Pause, PbxGlance
from worker.jobs import EXTID
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
  pause, everything_pause
                 null, or at, by and reason of the one who paused the PBX,
                 and everything; each null where an older version did
  paused_extensions
                 list of extid; waiting and oldest leave their jobs out
  breaker        closed (calls go), open, or half-open (one is tried)
  barred_s       how long it stays open
  barred_since   when it first opened, or null
  barred_reason  why
  barred_by      down, dial (it loses dials), asked (it asked for a rest) or login; empty if it is closed
  lanes          list of extid, waiting, busy_s, and pause (the same of
                 the extension)
  takes_calls    whether a call may begin as things stand
  why_not        the reasons in words, or null
  settings_versions
                 version of the settings by process, the same for all PBXs
"""

_everything = click.option("--all", "everything", is_flag=True, help="Everywhere: the kill switch.")
_extension = click.option("--extension", "extid", metavar="EXT", help="This extension of the PBX alone.")


@click.command("pause")
@click.argument("pbx", required=False)
@_everything
@_extension
@with_author
@with_dialer
def pause_command(dialer: Dialer, *, pbx: str | None, everything: bool, extid: str | None, reason: str) -> None:
    """
    Stop dialing on a PBX, for one of its extensions, or everywhere with --all.

    No call begins from now on; calls under way are left alone. It holds, across restarts too, until
    `outdial resume`. Who paused it, when and why is shown by `lanes`, `watch`, `why` and `doctor`.
    """
    name = _named(dialer, pbx, extid, everything=everything)
    was_new = dialer.hopper.pause(name, extid or "", reason=reason)
    pause = _found(dialer.hopper.pauses(), name, extid)
    if was_new:
        click.echo(f"{_title(pause)} is paused.")
    else:
        click.echo(f"{_title(pause)} was paused already{author_words(pause)}.")


@click.command("resume")
@click.argument("pbx", required=False)
@_everything
@_extension
@with_author
@with_dialer
def resume_command(dialer: Dialer, *, pbx: str | None, everything: bool, extid: str | None, reason: str) -> None:
    """
    Go on dialing on a PBX, for one of its extensions, or with --all lift the kill switch.

    PBXs and extensions that were paused by themselves stay paused, and are listed. Exits with 1 if the PBX or the
    extension stays still because of another pause.
    """
    name = _named(dialer, pbx, extid, everything=everything)
    lifted = dialer.hopper.resume(name, extid or "", reason=reason)
    if lifted:
        click.echo(f"{_title(lifted)} is no longer paused.{_who_had(lifted)}")
    else:
        click.echo(f"{_title(Pause(name, extid or ''))} was not paused.")
    still = dialer.hopper.pauses()
    for pause in still:
        if name == KILL_SWITCH or (pause.pbx == name and pause.extid and not extid):
            words = f"stays paused by itself{author_words(pause)}"
            click.echo(f"{_title(pause)} {words}; `{pause.lifted_by}` lifts that.")
    over = [one for one in still if one.pbx == KILL_SWITCH or (extid and one.pbx == name and not one.extid)]
    for pause in over:
        what = "everything" if pause.pbx == KILL_SWITCH else f"PBX {name}"
        whose = f"extension {extid}" if extid else name
        line = f"outdial: {whose} stays still, for {what} is paused{author_words(pause)}"
        click.echo(f"{line}; `{pause.lifted_by}` lifts that.", err=True)
    if over:
        sys.exit(1)


def _title(pause: Pause) -> str:
    return pause.subject[0].upper() + pause.subject[1:]


def _who_had(pause: Pause) -> str:
    """Return a sentence about who had set a pause, empty if that is not known."""
    if not pause.at:
        return ""
    reason = f": {masked(pause.reason)}" if pause.reason else ""
    return f" {masked(pause.by) or 'Somebody'} had paused it at {told(pause.at)}{reason}."


def _named(dialer: Dialer, pbx: str | None, extid: str | None, *, everything: bool) -> str:
    if extid is not None and pbx is None:
        raise click.UsageError("--extension is one of a PBX: give the name of the PBX, and no --all.")
    if everything == (pbx is not None):
        raise click.UsageError("Give the name of a PBX, or --all.")
    if extid is not None and not re.fullmatch(EXTID, extid):
        raise InputRefused([masked(f"--extension: {extid!r} is invalid; expected 1 to 10 digits")])
    if pbx is None:
        return KILL_SWITCH
    if pbx in dialer.settings.pbx:
        return pbx
    # A PBX that has left the settings may still have to be resumed.
    pauses = dialer.hopper.pauses() if pbx != KILL_SWITCH else ()
    if any((pause.pbx, pause.extid) == (pbx, extid or "") for pause in pauses):
        return pbx
    raise InputRefused([masked(f"there is no PBX {pbx!r} in the settings; choose one of {dialer.pbx_names()}")])


def _found(pauses: Sequence[Pause], pbx: str, extid: str | None) -> Pause:
    own = Pause(pbx, extid or "")
    return next((one for one in pauses if (one.pbx, one.extid) == (own.pbx, own.extid)), own)


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
        # One without waiting jobs has no lanes but the paused ones, and need not be asked.
        return dialer.hopper.view(glance.name).lanes if glance.waiting_in_all else glance.paused_lanes

    stops = of_all_pbxs(overview.held_why, overview.refusal, len(overview.workers))
    stopped = [one.sentence for one in stops]
    if as_json:
        reports = dialer.hopper.settings_reports()
        common = {"settings_versions": {report.process: report.version for report in reports}}
        plain = [
            _plain(glance, lanes(glance), overview)
            | _takes_calls(reasons_against(glance, overview.everything_paused, overview.everything_pause, stopped))
            | common
            for glance in overview.pbxs
        ]
        click.echo(json.dumps(plain))
        return
    shown = lane_table(
        overview.pbxs,
        lanes if verbose else None,
        everything_paused=overview.everything_paused,
        everything_pause=overview.everything_pause,
        stopped=stopped,
    )
    for line in shown:
        click.echo(line)
    for line in version_lines(dialer.hopper.settings_reports(), version_of(dialer.settings)):
        click.echo(line)


def _takes_calls(reasons: Sequence[str]) -> dict[str, Any]:
    return {"takes_calls": not reasons, "why_not": "; ".join(reasons) or None}


def _plain(glance: PbxGlance, lanes: Sequence[LaneView], overview: Overview) -> dict[str, Any]:
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
        "paused": glance.is_paused or overview.everything_paused,
        "pause": plain_pause(glance.pause),
        "in_doubt": glance.in_doubt,
        "breaker": breaker.state,
        "barred_s": breaker.seconds,
        "barred_since": iso_or_none(breaker.since),
        "barred_reason": breaker.reason,
        "barred_by": glance.barred_by,
        "lanes": [asdict(lane) | {"pause": plain_pause(lane.pause)} for lane in lanes],
        "paused_extensions": [lane.extid for lane in glance.paused_lanes],
        "everything_paused": overview.everything_paused,
        "everything_pause": plain_pause(overview.everything_pause),
    }
