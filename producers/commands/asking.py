"""Subcommands that ask about one job: status, why."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import click

from producers.commands.door import with_dialer
from producers.enqueue import Dialer
from producers.facts import Facts, facts_of, readable_result
from producers.ids import known_form, no_such_job
from producers.masking import masked
from producers.showing import fields_of
from producers.timeline import (
    left_out,
    plain_timeline,
    redial_of,
    redial_words,
    resolution_of,
    resolution_words,
    timeline_lines,
)
from producers.times import iso, iso_or_none
from producers.waits import Explanation

_STATUS_FIELDS = """\b
Fields of the JSON besides those of a result:
  waits_for          a sentence, null for a job that ended
  doubt              null, or why, since and until when nobody knows
                     whether the phone rang
  resolution         null, or verdict, by, at and reason of the person
                     who said what became of an unknown job
  redial             null, or times, by, at and reason of the last redial
  timeline           list of at, state, by, reason; oldest first
  timeline_left_out  of a long life, how many moments behind the
                     fifth are no longer kept
"""
_WHY_FIELDS = """\b
Fields of the JSON; times are ISO 8601 in UTC:
  job_id, state, pbx, extid, as_of
  summary        a sentence: the main obstacle, or what came of the job
  obstacles      list, the main one first, of
    kind         everything_paused, pbx_paused, extension_paused, held,
                 redis_full, redis_refuses, no_worker,
                 pbx_not_in_settings, pbx_unknown, due, breaker, login,
                 slot, placing, doubt, extension, lane, lines,
                 workers_full, permit or round
    sentence, advice
    until        it holds at least so long; null: may pass at any moment
    at_most      it holds no longer; null: not known
    job_id       the other job it is about, or null
    needs_person whether it passes only by what a person does
  advice         list of what a person can do
  needs_person   whether the job goes only after that
  earliest, earliest_in_s
                 a lower bound; null once a call was begun
  expires_at, expires_first
                 when its time runs out; whether that comes earlier
  place, lane_length, behind
                 1 is the next of its lane; behind names a job
  lanes_ahead    of the next of its lane: extensions served before
  result         of a job that ended: as `outdial results` has it
"""


@click.command("status", epilog=_STATUS_FIELDS)
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@with_dialer
def status_command(dialer: Dialer, *, job_id: str, as_json: bool) -> None:
    """Show one job without its telephone number, what it waits for, and its life so far."""
    explained, record = _explained(dialer, job_id)
    plain = _status(dialer, explained, record)
    click.echo(json.dumps(plain) if as_json else "\n".join(_lines(plain, record)))


@click.command("why", epilog=_WHY_FIELDS)
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@with_dialer
def why_command(dialer: Dialer, *, job_id: str, as_json: bool) -> None:
    """
    Say what holds a job back now, what one can do about it, and when it may go at the earliest.

    The main obstacle comes first: what a person has to end, then times, then room. The earliest time is a lower
    bound as things stand: the job does not go before it, and may go later.
    """
    explained, _ = _explained(dialer, job_id)
    click.echo(json.dumps(explained.plain()) if as_json else "\n".join(explained.lines()))


def _explained(dialer: Dialer, job_id: str) -> tuple[Explanation, dict[str, str]]:
    known = known_form(job_id)
    facts = facts_of(dialer.hopper, known) if known else None
    if facts is None:
        raise no_such_job(job_id)
    record = dialer.hopper.record(known)
    result = readable_result(known, record)
    if result is None and not facts.is_damaged:
        if not record:  # its time ran out between the two looks
            raise no_such_job(job_id)
        facts = replace(facts, state="damaged", damage="its result is not readable")
    # What is dialed now is what was asked first; a job that ended meanwhile has a result nobody should miss.
    if result is not None and result.state.is_final and not facts.is_damaged:
        facts = replace(facts, state=str(result.state), errno=result.errno or "", error=result.error or "")
    return Explanation.of(known, facts, dialer.settings, None if facts.is_damaged else result), record


def _status(dialer: Dialer, explained: Explanation, record: Mapping[str, str]) -> dict[str, Any]:
    facts, result = explained.facts, explained.result
    plain: dict[str, Any] = {"job_id": explained.job_id, "state": "damaged", "error": explained.summary}
    if result is not None:
        plain = result.plain()
    plain["waits_for"] = explained.waits_for
    plain["doubt"] = _doubt(facts, dialer.settings.look.at_most_s) if facts.is_doubted else None
    plain["resolution"] = resolution_of(record)
    plain["redial"] = redial_of(record)
    plain["timeline"] = plain_timeline(record)
    plain["timeline_left_out"] = left_out(record)
    return plain


def _doubt(facts: Facts, at_most_s: float) -> dict[str, Any]:
    return {
        "why": masked(facts.doubt),
        "since": iso_or_none(facts.doubted_at),
        "until": iso(facts.doubted_at + at_most_s),
    }


def _lines(plain: dict[str, Any], record: Mapping[str, str]) -> Iterator[str]:
    apart = ("doubt", "resolution", "redial", "timeline", "timeline_left_out")
    shown = {name: value for name, value in plain.items() if name not in apart}
    if plain["doubt"]:
        shown["state"] = f"{plain['state']}, in doubt: it is being looked after"
    if plain["resolution"]:
        shown["resolved"] = resolution_words(plain["resolution"])
    if plain["redial"]:
        shown["redialed"] = redial_words(plain["redial"])
    yield from fields_of(shown)
    if plain["timeline"]:
        yield "timeline"
        yield from timeline_lines(record)
