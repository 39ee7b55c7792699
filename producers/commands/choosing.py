"""Subcommands about jobs that a person chooses by id or by filter: jobs, cancel."""

import sys
from collections import Counter
from collections.abc import Sequence

import click

from producers.commands.consent import Consent, consent_options, jobs
from producers.commands.door import with_author, with_dialer
from producers.commands.filters import Chosen, filter_options
from producers.enqueue import Dialer
from producers.ids import known_form, no_such_job
from producers.showing import job_table
from worker.hopper import PUT_BATCH
from worker.jobs import JobState

_UNDIALED = (JobState.WAITING, JobState.RELEASED)
_WITHDRAWN = {
    "cancelled": "{id} cancelled",
    "too_late": "{id} too late: it is {state}",
    "damaged": "{id} is damaged: it was set aside, and nothing dials it any more",
}


@click.command("jobs")
@filter_options()
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@click.option("--count", is_flag=True, help="Write only how many there are.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per job and line.")
@with_dialer
def jobs_command(dialer: Dialer, *, chosen: Chosen, limit: int | None, count: bool, as_json: bool) -> None:
    """
    List jobs in any state, the one enqueued last first.

    A job must match every option; where one is given more than once, one of its values. --metadata NAME=VALUE
    compares exactly; names that the setting index_metadata lists are found fast. The JSON objects are those of
    `outdial results`, where a job that has not ended has no finished_at.

    A time is a date (2026-11-30), yesterday, today, a time of today (09:30), an ISO time, or a duration ago (10m,
    2h, 1d).
    """
    results = dialer.hopper.find_each(chosen.filter(dialer), page=min(limit or 200, 200))
    if limit is not None:
        results = (result for _, result in zip(range(limit), results, strict=False))
    if count:
        click.echo(sum(1 for _ in results))
        return
    for line in (result.model_dump_json() for result in results) if as_json else job_table(results):
        click.echo(line)


@click.command("cancel")
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@filter_options(states=_UNDIALED)
@consent_options
@with_author
@with_dialer
def cancel_command(
    dialer: Dialer, *, job_ids: tuple[str, ...], chosen: Chosen, consent: Consent, reason: str
) -> None:
    """
    Cancel jobs that have not been dialed yet: those of some IDs, or those that match the options.

    Options choose jobs as in `outdial jobs`, and the command asks before it cancels them. Who did so and why stays
    with each job.

    Exits with 1 if a job was too far for that, and with 2 if there is no such job.
    """
    if job_ids and not chosen and not consent.dry_run:
        _cancel_each(dialer, job_ids, reason)
    ids = selected(dialer, job_ids, chosen, _UNDIALED)
    consent.require(f"{jobs(len(ids))} would be cancelled", len(ids))
    parts = [ids[first : first + PUT_BATCH] for first in range(0, len(ids), PUT_BATCH)]
    words = Counter(word for part in parts for word, _ in dialer.hopper.cancel_many(part, reason=reason))
    click.echo(f"{jobs(words['cancelled'])} cancelled.")
    if late := len(ids) - words["cancelled"]:
        click.echo(f"outdial: {jobs(late)} had been dialed or had ended meanwhile.", err=True)
        sys.exit(1)


def _cancel_each(dialer: Dialer, job_ids: Sequence[str], reason: str) -> None:
    worst = 0
    for job_id in job_ids:
        code, line = _cancelled(dialer, job_id, reason)
        worst = max(worst, code)
        click.echo(line, err=code == 2)
    sys.exit(worst)


def _cancelled(dialer: Dialer, job_id: str, reason: str) -> tuple[int, str]:
    known = known_form(job_id)
    word, state = dialer.hopper.cancel(known, reason=reason) if known else ("gone", "")
    if word == "gone":
        return 2, f"outdial: {no_such_job(job_id)}"
    return int(word != "cancelled"), _WITHDRAWN[word].format(id=known, state=state)


def selected(dialer: Dialer, job_ids: Sequence[str], chosen: Chosen, states: Sequence[JobState]) -> list[str]:
    """
    Return the ids of the jobs that are meant: all that match, or of some ids those that match.

    Args:
        dialer: Where the jobs are.
        job_ids: As they were typed; empty for all jobs.
        chosen: What must match.
        states: Those that are meant where no state was typed.

    Raises:
        UsageError: If nothing was chosen at all.
        InputRefused: If an id is none.
    """
    if not job_ids and not chosen:
        raise click.UsageError("Give the ids of jobs, or at least one option that chooses jobs")
    ids = {job_id: known_form(job_id) for job_id in job_ids}
    for job_id, known in ids.items():
        if not known:
            raise no_such_job(job_id)
    known_ids = list(dict.fromkeys(ids.values()))
    if not chosen:
        return known_ids
    wanted = chosen.filter(dialer, states=states)
    if known_ids:
        return dialer.hopper.matching(wanted, known_ids)
    return [result.job_id for result in dialer.hopper.find_each(wanted)]
