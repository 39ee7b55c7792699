"""Subcommands that hand in jobs, list their ends and withdraw them: enqueue, results, cancel."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from producers.commands.door import traced, with_dialer
from producers.commands.values import ENTRY, SECONDS, SINCE, Since
from producers.enqueue import Dialer, Ticket
from producers.ids import known_form, no_such_job
from producers.showing import result_csv, result_ndjson, result_table
from worker import tracing
from worker.errors import InputRefused
from worker.jobs import DialResult, JobState

_TABLES = {"table": result_table, "csv": result_csv, "ndjson": result_ndjson}
_FINAL_STATES = [str(state) for state in JobState if state.is_final]


@click.command("enqueue")
@click.argument("extid")
@click.argument("outto")
@click.option("--pbx", metavar="NAME", help="PBX to call on; else the settings say.")
@click.option("--autoanswer", is_flag=True, help="The extension's phone answers by itself.")
@click.option("--priority", help="urgent, normal (default) or bulk.")
@click.option("--key", help="The same key is the same job: handing it in again adds nothing.")
@click.option("--not-before", metavar="TIME", help="No call before this, such as 2026-11-23T09:00:00Z.")
@click.option("--expires-in", type=SECONDS, help="Give up if no call began so many seconds from now.")
@click.option("--on-unknown", help="hold (default) or redial, when nobody knows whether the phone rang.")
@click.option("--metadata", "entries", type=ENTRY, multiple=True, help="Comes back with the result; repeatable.")
@click.option("--wait", "wait_s", type=SECONDS, help="Wait for the end, so many seconds at most.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@with_dialer
def enqueue_command(
    dialer: Dialer,
    *,
    entries: tuple[tuple[str, str], ...],
    autoanswer: bool,
    expires_in: float | None,
    wait_s: float | None,
    as_json: bool,
    **fields: str | None,
) -> None:
    """
    Hand in one job: extension EXTID is to call OUTTO.

    Writes the job's id. With --wait it writes what came of the job, and exits with 1 if no call was placed, or if
    the job has not ended in time (it goes on).
    """
    given: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    given["autoanswer"] = autoanswer
    given["metadata"] = _metadata(entries)
    with traced(dialer.settings):
        with tracing.begin("enqueue", kind="producer"):
            ticket = dialer.enqueue(expires_in_s=expires_in, **given)
        if not ticket.is_new:
            click.echo(f"There was this job already, and it is {ticket.state}.", err=True)
        if wait_s is None:
            _show_ticket(ticket, as_json=as_json)
        else:
            _show_end(ticket, wait_s, as_json=as_json)


def _metadata(entries: tuple[tuple[str, str], ...]) -> dict[str, str]:
    metadata = dict(entries)
    if len(metadata) < len(entries):
        raise InputRefused(["metadata: a name is given twice"])
    return metadata


def _show_ticket(ticket: Ticket, *, as_json: bool) -> None:
    plain = {"job_id": ticket.id, "state": ticket.state, "is_new": ticket.is_new}
    click.echo(json.dumps(plain) if as_json else ticket.id)


def _show_end(ticket: Ticket, wait_s: float, *, as_json: bool) -> None:
    try:
        result = ticket.result(timeout_s=wait_s)
    except TimeoutError as late:
        _show_ticket(ticket, as_json=as_json)
        click.echo(f"outdial: {late}; it goes on, ask by `outdial status`.", err=True)
        sys.exit(1)
    click.echo(json.dumps(result.plain()) if as_json else f"{result.job_id} {result.sentence()}")
    sys.exit(0 if result.state is JobState.PLACED else 1)


@click.command("results")
@click.option(
    "--since", type=SINCE, default="24h", show_default=True, help="ISO time, or so long ago: 10m, 2h, 1d."
)
@click.option("--state", type=click.Choice(_FINAL_STATES), help="Those that ended so only.")
@click.option("--format", "form", type=click.Choice(list(_TABLES)), default="table", show_default=True)
@with_dialer
def results_command(dialer: Dialer, *, since: Since, state: str | None, form: str) -> None:
    """List what came of the jobs that ended, oldest first."""
    for line in _TABLES[form](_ended(dialer, since, state)):
        click.echo(line)


def _ended(dialer: Dialer, since: Since, state: str | None) -> Iterator[DialResult]:
    for result in dialer.hopper.ended_since(since(dialer.hopper.now())):
        if state is None or result.state == state:
            yield result


@click.command("cancel")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@with_dialer
def cancel_command(dialer: Dialer, *, job_ids: tuple[str, ...]) -> None:
    """
    Withdraw jobs for which no call was begun.

    Exits with 1 if a job was too far for that, and with 2 if there is no such job.
    """
    worst = 0
    for job_id in job_ids:
        code, line = _cancelled(dialer, job_id)
        worst = max(worst, code)
        click.echo(line, err=code == 2)
    sys.exit(worst)


def _cancelled(dialer: Dialer, job_id: str) -> tuple[int, str]:
    known = known_form(job_id)
    word, state = dialer.hopper.cancel(known) if known else ("gone", "")
    if word == "gone":
        return 2, f"outdial: {no_such_job(job_id)}"
    if word == "damaged":
        return 1, f"{known} is damaged: it was set aside, and nothing dials it any more"
    if word == "too_late":
        return 1, f"{known} too late: it is {state}"
    return 0, f"{known} cancelled"
