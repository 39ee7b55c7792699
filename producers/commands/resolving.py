"""The subcommand by which a person says what became of an unknown job."""

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

import click

from producers.commands.door import with_dialer
from producers.commands.values import CALLID, NAME
from producers.enqueue import Dialer
from producers.ids import known_form, no_such_job
from producers.masking import masked
from producers.timeline import resolution_of, resolution_words
from producers.times import told
from worker.errors import InputRefused
from worker.jobs import JobState

# So many digits in common are no chance.
_NO_CHANCE = 5
_NOW = {
    "placed": "is placed now",
    "failed": "is failed now",
    "redial": "waits again, and is dialed anew when its turn comes",
}
_RESOLVE_FIELDS = """\b
Fields of the JSON:
  job_id
  outcome     resolved, again (it was resolved so before), not_unknown,
              expired or damaged
  state       of the job now
  resolution  null, or verdict, by, at and reason
"""


@click.command("resolve", epilog=_RESOLVE_FIELDS)
@click.argument("job_id", metavar="ID")
@click.option("--placed", "callid", type=CALLID, help="It rang: the PBX's id of the call.")
@click.option("--redial", is_flag=True, help="Dial it anew, whether it rang or not.")
@click.option("--failed", is_flag=True, help="It did not ring, and is not to be dialed any more.")
@click.option("--by", type=NAME, help="Who says so; else the login user and host.")
@click.option("--reason", default="", metavar="TEXT", help="How one knows; kept with the job.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@with_dialer
def resolve_command(
    dialer: Dialer, *, job_id: str, callid: str | None, redial: bool, failed: bool, reason: str, as_json: bool
) -> None:
    """
    Say what became of a job whose state is unknown: --placed CALLID, --redial or --failed.

    Who said so, when, what and why stay with the job; `outdial status` shows them. To say the same again changes
    nothing.

    Exits with 1 if the job is not unknown, is still being looked after, or has no time left for a redial; with 2
    if there is no such job.
    """
    verdict = _verdict(callid, redial=redial, failed=failed)
    known = known_form(job_id)
    before = dialer.hopper.record(known) if known else {}
    if callid is not None and is_the_number(callid, before.get("outto", "")):
        raise InputRefused(["--placed: this is the number the job dials; give the PBX's id of the call"])
    word, state = (
        dialer.hopper.resolve(known, verdict, callid=callid or "", why=masked(reason)) if known else ("gone", "")
    )
    if word == "gone":
        raise no_such_job(job_id)
    after = dialer.hopper.record(known)
    done = word in ("resolved", "again")
    if as_json:
        click.echo(json.dumps(_plain(known, word, state, after)))
    elif done:
        click.echo(f"{known} {_done(word, verdict, state, after)}")
    if not done:
        click.echo(f"outdial: job {known} {_not_done(word, state, after)}", err=True)
        sys.exit(1)


def _verdict(callid: str | None, *, redial: bool, failed: bool) -> str:
    said = {"placed": callid is not None, "redial": redial, "failed": failed}
    if sum(said.values()) != 1:
        raise click.UsageError("Say what became of the job by one of --placed CALLID, --redial and --failed.")
    return next(verdict for verdict, is_said in said.items() if is_said)


def is_the_number(callid: str, outto: str) -> bool:
    """Whether *callid* is the number *outto* by mistake, also with separators or another prefix."""
    if callid == outto:
        return True
    if re.fullmatch(r"[0-9]+\.[0-9]+", callid) or not re.fullmatch(r"[0-9*#+./()-]+", callid):
        return False
    # A country's prefix takes the place of leading zeros.
    bare = (re.sub(r"[^0-9*#]", "", text).lstrip("0") for text in (callid, outto))
    shorter, longer = sorted(bare, key=len)
    return len(shorter) >= _NO_CHANCE and longer.endswith(shorter)


def _plain(job_id: str, word: str, state: str, record: Mapping[str, str]) -> dict[str, Any]:
    now = record.get("state") if word == "expired" else state
    return {"job_id": job_id, "outcome": word, "state": now or None, "resolution": resolution_of(record)}


def _done(word: str, verdict: str, state: str, record: Mapping[str, str]) -> str:
    if word == "resolved":
        return _NOW[verdict]
    resolution = resolution_of(record)
    before = f" ({resolution_words(resolution)})" if resolution else ""
    return f"was resolved so already{before}; it is {state}"


def _not_done(word: str, state: str, record: Mapping[str, str]) -> str:
    match word, state:
        case "damaged", _:
            return "has a damaged record, and nothing dials it any more; hand it in again under another key"
        case "expired", _:
            when = told(float(record["expires_at"])) if "expires_at" in record else "some time ago"
            return f"ran out of time at {when}, so it cannot be redialed; say --failed, or hand in a new job"
        case _, JobState.CLAIMED if record.get("doubt"):
            return "is still being looked after; wait until it has ended, `outdial why` says when"
        case _, JobState.CLAIMED:
            return "is being placed at this moment; wait until it has ended"
        case _, JobState.WAITING | JobState.RELEASED:
            return f"is {state}, not unknown; `outdial cancel` withdraws it, `outdial why` says what holds it"
    resolution = resolution_of(record)
    by = f" ({resolution_words(resolution)})" if resolution else ""
    return f"is {state} already{by}; only a job that is unknown can be resolved"
