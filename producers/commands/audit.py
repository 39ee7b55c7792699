"""`outdial audit`: what operators did, when and why."""

import json
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

import click

from producers.commands.door import with_dialer
from producers.commands.times import FROM, UNTIL, GivenTime, timezone_option
from producers.commands.values import NAME
from producers.enqueue import Dialer
from producers.masking import masked
from producers.times import iso, told
from worker.errors import InputRefused
from worker.hopper import ACTS, AuditEntry, pause_of

_WIDTH, _INDENT, _ACT = 80, 22, 16
_FIELDS = f"""\b
Acts:
{chr(10).join("  " + ", ".join(ACTS[first : first + 5]) for first in range(0, len(ACTS), 5))}

\b
Fields of the JSON, an object a line:
  at, by, act
  subject  a job, a PBX, PBX/EXT for an extension, * for everything, an
           endpoint, or the id of an API key
  reason   null if none was given
  details  by name: jobs and deliveries (how many), verdict, name, scopes
"""


@click.command("audit", epilog=_FIELDS)
@click.option("--since", type=FROM, help="At or after: a date, 2h, …")
@click.option("--until", type=UNTIL, help="Before; a day means up to its end.")
@timezone_option
@click.option("--act", "given", multiple=True, metavar="ACT,...", help="These acts only.")
@click.option("--by", "author", type=NAME, help="Acts of this person or API key only, as listed.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, an object a line.")
@with_dialer
def audit_command(
    dialer: Dialer,
    *,
    since: GivenTime | None,
    until: GivenTime | None,
    given: tuple[str, ...],
    author: str | None,
    as_json: bool,
) -> None:
    """
    List what operators did, oldest first: who, when, what and why.

    Redis keeps about the last 10,000 acts. They hold no telephone numbers and no secrets.

    A time is a date (2026-11-30), yesterday, today, a time of today (09:30), an ISO time, or a duration ago (10m,
    2h, 1d).
    """
    acts, now = _acts(given), dialer.hopper.now()
    entries = dialer.hopper.audit(
        since=since(now) if since else 0.0, until=until(now) if until else None, acts=acts, by=author or ""
    )
    for line in map(_json_of, entries) if as_json else _table(entries):
        click.echo(line)


def _acts(given: tuple[str, ...]) -> list[str]:
    acts = [act for words in given for act in words.replace(",", " ").split()]
    if wrong := [act for act in acts if act not in ACTS]:
        raise InputRefused([masked(f"--act: {wrong[0]!r} is invalid; expected one or more of {', '.join(ACTS)}")])
    return acts


def _json_of(entry: AuditEntry) -> str:
    plain: dict[str, Any] = {"at": iso(entry.at), "by": masked(entry.by) or None, "act": entry.act}
    details = {name: int(text) if text.isdecimal() else text for name, text in entry.details.items()}
    plain |= {"subject": entry.subject, "reason": masked(entry.reason) or None, "details": details}
    return json.dumps(plain)


def _table(entries: Iterator[AuditEntry]) -> Iterator[str]:
    yield f"{'at':<{_INDENT}}{'act':<{_ACT}}  subject"
    for entry in entries:
        yield from _lines(f"{told(entry.at):<{_INDENT}}{entry.act:<{_ACT}}  ", _subject(entry))
        details = ", ".join(
            f"{name} {text}" for name, text in entry.details.items() if (name, text) != ("jobs", "1")
        )
        words = f"by {masked(entry.by) or 'somebody'}" + (f" ({details})" if details else "")
        yield from _lines(" " * _INDENT, words + (f": {masked(entry.reason)}" if entry.reason else ""))


def _subject(entry: AuditEntry) -> str:
    return pause_of(entry.subject, None).subject if entry.act in ("pause", "resume") else entry.subject


def _lines(head: str, text: str) -> Iterator[str]:
    # An id stays in one piece, to be copied.
    parts = wrap(text, _WIDTH - len(head), break_long_words=False, break_on_hyphens=False)
    for number, part in enumerate(parts):
        yield (" " * len(head) if number else head) + part
