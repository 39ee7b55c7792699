"""`outdial reload`: every process of the installation reads its settings again."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict

import click

from producers.commands.door import with_author, with_dialer
from producers.enqueue import Dialer
from producers.settings_versions import spread
from worker.hopper import SettingsReport

_LOOK_EVERY_S = 0.1
_FIELDS = """\b
Fields of the JSON, for each process:
  process        its name, with its host
  version        of the settings in force there
  asked, read_at how many reloads it has followed; when it read the
                 settings in force (unix seconds)
  refused        why it refused what it read last, or empty
  needs_restart  changed settings that take a restart
  differs        limits and PBXs that differ from those in force
"""


@click.command("reload", epilog=_FIELDS)
@click.option("--check", is_flag=True, help="Read the settings here, and ask no process for anything.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0, 600), default=15, show_default=True, help="Seconds to wait."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON, an object for each process.")
@with_author
@with_dialer
def reload_command(dialer: Dialer, *, check: bool, wait_s: float, as_json: bool, reason: str) -> None:
    """
    Let every process of every host read its settings file again; calls under way go on.

    A file that is wrong here ends the command, and nothing is asked for. Each process reads the file of its own
    host; one whose file is wrong keeps the settings of before, and is named. So are settings that take a restart.

    Exit codes: 0 every process has followed, 1 some did not in time, 2 settings are wrong.
    """
    if check:
        click.echo("The settings can be read.")
        return
    asked = dialer.hopper.ask_reload(reason=reason)
    # Those that start from now on read the file anyway.
    names = {report.process for report in dialer.hopper.settings_reports()}
    reports = _after(dialer, asked, names, time.monotonic() + wait_s)
    late = [report for report in reports if report.asked < asked]
    if as_json:
        click.echo(json.dumps([asdict(report) for report in reports]))
    else:
        _show(reports, asked)
    for report in reports:
        if report.refused and report.asked >= asked:
            click.echo(f"outdial: {report.process} keeps its settings: {report.refused}", err=True)
    for report in late:
        click.echo(f"outdial: {report.process} has not followed within {wait_s:g} s", err=True)
    sys.exit(2 if any(report.refused for report in reports) else 1 if late else 0)


def _after(dialer: Dialer, asked: int, names: set[str], until: float) -> list[SettingsReport]:
    """Return the reports of the named processes once all have followed, or when the time is over."""
    while True:
        reports = [report for report in dialer.hopper.settings_reports() if report.process in names]
        if all(report.asked >= asked for report in reports) or time.monotonic() > until:
            return reports
        time.sleep(_LOOK_EVERY_S)


def _show(reports: Sequence[SettingsReport], asked: int) -> None:
    if not reports:
        click.echo("No process runs; those that start read the settings.")
    for report in reports:
        if report.asked >= asked and not report.refused:
            click.echo(f"{report.process} has settings {report.version}.")
    for name in sorted({name for report in reports for name in report.needs_restart}):
        click.echo(f"{name} was changed, and takes a restart.")
    for line in spread(reports):
        click.echo(line)
