"""The subcommand that brings ended jobs back: redial."""

import json
import sys
from collections.abc import Iterable, Sequence
from functools import wraps
from typing import Any

import click

from producers.commands.choosing import selected
from producers.commands.consent import Consent, consent_options, jobs
from producers.commands.door import with_author, with_dialer
from producers.commands.filters import Chosen, filter_options
from producers.commands.values import SECONDS
from producers.enqueue import LONGEST_LIFE_S, Dialer
from producers.redialing import Plan, RedialCount, Redialing
from worker.errors import InputRefused
from worker.jobs import JobState

_MOST_SHOWN = 20
_STATES = [state for state in JobState if state.is_final and state is not JobState.PLACED]
_STAY = {
    "not_ended": "have not ended",
    "placed": "were placed",
    "may_have_rung": "may have rung; --even-if-rung dials them all the same",
    "number": "have a number that the PBX cannot or must not dial",
    "no_number": "were refused before they had a number",
    "gone": "have no record any more",
    "damaged": "have a damaged record",
}


def _redialing_options(command: Any) -> Any:
    """Give a subcommand the options of a redial, and what was typed as a function that makes a `Redialing`."""

    @wraps(command)
    def with_redialing(dialer: Dialer, **given: Any) -> None:
        names = ("to_pbx", "even_if_rung", "expires_in_s", "reason")
        typed = {name: given.pop(name) for name in names}
        command(_redialing(dialer, **typed), **given)

    for option in (
        click.option(
            "--expires-in", "expires_in_s", type=SECONDS, help="Expire each job this many seconds from now."
        ),
        click.option("--even-if-rung", is_flag=True, help="Also jobs in state unknown: a phone may ring twice."),
        click.option("--pbx", "to_pbx", metavar="NAME", help="Move the jobs to this PBX."),
    ):
        with_redialing = option(with_redialing)
    return with_redialing


def _redialing(
    dialer: Dialer, *, to_pbx: str | None, even_if_rung: bool, expires_in_s: float | None, reason: str
) -> Redialing:
    if expires_in_s is not None and not 0 < expires_in_s <= LONGEST_LIFE_S:
        right = "seconds above 0, a year at most"
        raise InputRefused([f"--expires-in: {expires_in_s:g} is invalid; expected {right}"])
    return Redialing(
        dialer,
        dialer.hopper,
        to_pbx=dialer.pbx_for(to_pbx) if to_pbx is not None else None,
        even_if_rung=even_if_rung,
        expires_in_s=expires_in_s,
        why=reason,
    )


@click.command("redial")
@click.argument("job_ids", metavar="[ID]...", nargs=-1)
@filter_options(pbx="--from-pbx", states=_STATES)
@with_author
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per job and line.")
@consent_options
@with_dialer
@_redialing_options
def redial_command(
    redialing: Redialing, *, job_ids: tuple[str, ...], chosen: Chosen, as_json: bool, consent: Consent
) -> None:
    """
    Bring back jobs that ended without a call, under their ids: those of some IDs, or those that match the options.

    Options choose jobs as in `outdial jobs`, and the command asks before it acts; without --state they choose
    failed and expired ones. A job comes back with all its attempts. One whose time is over gets as much time again
    as it had, or --expires-in. Who brought it back, when and why stay with the job; `outdial status` shows them.

    Jobs in state unknown may have rung, and come back only with --even-if-rung. Placed jobs never come back. With
    --pbx each job moves there, if it is certain how that PBX dials its number.

    Exits with 1 if a job among the IDs stays as it is, and with 2 if there is no such job.
    """
    ids = selected(redialing.dialer, job_ids, chosen, redialing.default_states)
    plans = list(redialing.plans(ids))
    counted = RedialCount.of(plans)
    is_each_named = bool(job_ids) and not chosen
    if as_json and consent.dry_run:
        _write_json(plans)
        return
    if not is_each_named or consent.dry_run:
        _describe(counted, redialing.to_pbx)
        consent.require(f"{jobs(counted.total)} would be brought back", counted.total)
    done = list(redialing.carry_out(plans))
    if as_json:
        _write_json(done)
    else:
        click.echo(f"{jobs(RedialCount.of(done).total)} brought back.")
    _conclude(plans, done, is_each_named=is_each_named)


def _describe(counted: RedialCount, to_pbx: str | None) -> None:
    """Write to stderr how many jobs come back, from where, and why others stay."""
    lines = [(number, f"{state}") for state, number in counted.states.most_common()]
    lines += [(number, f"of them move from {pbx} to {to_pbx}") for pbx, number in counted.moves.most_common()]
    lines += [(number, f"stay as they are: they {_STAY[word]}") for word, number in counted.stay.most_common()]
    for number, text in lines:
        click.echo(f"{number:>9,}  {text}", err=True)


def _conclude(plans: Sequence[Plan], done: Sequence[Plan], *, is_each_named: bool) -> None:
    """Write to stderr which jobs stay, as far as the count has not shown it; exit with 1 or 2 if there are any."""
    stay = [
        plan
        for before, plan in zip(plans, done, strict=True)
        if plan.problem and (is_each_named or not before.problem)
    ]
    for plan in stay[:_MOST_SHOWN]:
        click.echo(f"outdial: job {plan.job_id} {plan.problem}", err=True)
    if len(stay) > _MOST_SHOWN:
        click.echo(f"outdial: {len(stay) - _MOST_SHOWN:,} more stay as they are; --json lists all.", err=True)
    if stay:
        sys.exit(2 if is_each_named and any(plan.word == "gone" for plan in stay) else 1)


def _write_json(plans: Iterable[Plan]) -> None:
    for plan in plans:
        click.echo(json.dumps(plan.plain()))
