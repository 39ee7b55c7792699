"""Subcommands that enqueue one job and list results: enqueue, results."""

import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import click

from producers.commands.door import traced, with_dialer
from producers.commands.times import FROM, UNTIL, GivenTime, timezone_option
from producers.commands.values import ENTRY, EXTID, SECONDS
from producers.enqueue import Dialer, Ticket
from producers.showing import result_csv, result_ndjson, result_table
from worker import tracing
from worker.errors import InputRefused
from worker.jobs import DialResult, JobState, id_of_key

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
@click.option("--since", type=FROM, default="24h", show_default=True, help="Ended at or after: a date, 2h, …")
@click.option("--until", type=UNTIL, help="Ended before; a day means up to its end.")
@timezone_option
@click.option("--state", type=click.Choice(_FINAL_STATES), help="Only jobs that ended in this state.")
@click.option("--pbx", metavar="NAME", help="Only jobs of this PBX.")
@click.option("--extid", "--extension", "extid", type=EXTID, help="Only jobs of this extension.")
@click.option("--key", metavar="KEY", help="Only the job of this key.")
@click.option("--format", "form", type=click.Choice(list(_TABLES)), default="table", show_default=True)
@with_dialer
def results_command(
    dialer: Dialer, *, since: GivenTime, until: GivenTime | None, key: str | None, form: str, **fields: str | None
) -> None:
    """
    List the results of jobs that ended, oldest first.

    A time is a date (2026-11-30), yesterday, today, a time of today (09:30), an ISO time, or a duration ago (10m,
    2h, 1d).
    """
    now = dialer.hopper.now()
    begin, end = since(now), math.inf if until is None else until(now)
    wanted = {name: value for name, value in fields.items() if value is not None}
    results = dialer.hopper.ended_since(begin, end) if key is None else _of_key(dialer, key, begin, end)
    chosen = (one for one in results if all(getattr(one, name) == value for name, value in wanted.items()))
    for line in _TABLES[form](chosen):
        click.echo(line)


def _of_key(dialer: Dialer, key: str, begin: float, end: float) -> Iterator[DialResult]:
    for result in dialer.hopper.results([id_of_key(key)]):
        if result.finished_at is not None and begin <= result.finished_at.timestamp() < end:
            yield result
