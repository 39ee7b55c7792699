"""Subcommands about the endpoints that are told of results: list, failed, replay, enable, disable, test."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

import click

from producers.commands.door import with_author, with_dialer, with_dialer_for
from producers.enqueue import Dialer
from producers.masking import masked
from producers.times import duration, iso, iso_or_none, told
from worker.errors import InputRefused
from worker.hopper import DeadLetter, EndpointView
from worker.secret_reader import Role
from worker.webhooks.targets import target_names
from worker.webhooks.trial import try_endpoint

# Letters per step: a longer one would keep others from Redis.
_BATCH = 100
_LIST_FIELDS = """\b
Fields of the JSON, for each endpoint (source:NAME is the CRM of a source):
  name, in_settings
  state          ok, failing, or disabled
  waiting, in_flight, dead
  dropped        dead letters there was no room for
  next_at        when the first of the waiting is due, or null
  failing_since, failures, last_error, last_error_at, last_success
  rest_until     nothing is tried before, or null
  disabled_at, disabled_why
"""
_REPLAY_WORDS = {
    "replayed": "is tried again",
    "not_dead": "is no dead letter: it waits or is under way",
    "gone": "is not there: it has arrived, or its time is over",
    "disabled": "stays: its endpoint is disabled; `outdial webhooks enable` comes first",
}


@click.group("webhooks")
def webhooks_command() -> None:
    """Look after the endpoints that are told of results."""


@webhooks_command.command("list", epilog=_LIST_FIELDS)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@with_dialer
def list_command(dialer: Dialer, *, as_json: bool) -> None:
    """Show each endpoint: how it fares, what waits for it, what was given up."""
    views = [dialer.hopper.endpoint(name) for name in _known(dialer)]
    configured = target_names(dialer.settings)
    if as_json:
        click.echo(json.dumps([_plain(view, configured) for view in views]))
        return
    for view in views:
        click.echo("\n".join(_lines(view, configured, dialer.hopper.now())))
    if configured and not dialer.hopper.couriers_alive():
        click.echo("outdial: no webhook process is running; start `outdial worker`.", err=True)


@webhooks_command.command("failed")
@click.option("--endpoint", "name", help="Of this endpoint only.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, an object a line.")
@with_dialer
def failed_command(dialer: Dialer, *, name: str | None, as_json: bool) -> None:
    """List what was given up (the dead letters), oldest first of each endpoint."""
    names = _known(dialer) if name is None else [_checked(dialer, name)]
    for letter in _letters(dialer, names):
        if as_json:
            click.echo(json.dumps(asdict(letter) | {"given_up_at": iso(letter.given_up_at)}))
        else:
            click.echo(f"{told(letter.given_up_at)}  {letter.id}  {letter.attempts} attempts  {letter.error}")


@webhooks_command.command("replay")
@click.argument("ids", metavar="ID...", nargs=-1)
@click.option("--endpoint", "name", help="All that was given up for this endpoint.")
@with_author
@with_dialer
def replay_command(dialer: Dialer, *, ids: tuple[str, ...], name: str | None, reason: str) -> None:
    """
    Try dead letters again, from the first attempt on.

    Exits with 1 if one could not be.
    """
    if bool(ids) == (name is not None):
        raise click.UsageError("Give ids as `outdial webhooks failed` lists them, or --endpoint NAME.")
    if name is not None:
        ids = tuple(letter.id for letter in dialer.hopper.dead_letters(_checked(dialer, name)))
    words = [
        pair
        for batch in _batches(ids)
        for pair in zip(batch, dialer.hopper.replay(batch, reason=reason), strict=True)
    ]
    for letter, word in words:
        if word != "replayed":
            click.echo(masked(f"outdial: {letter[:120]} {_REPLAY_WORDS[word]}."), err=True)
    replayed = sum(word == "replayed" for _, word in words)
    click.echo(f"{replayed} of {len(words)} are tried again.")
    sys.exit(0 if replayed == len(words) else 1)


@webhooks_command.command("enable")
@click.argument("name")
@with_author
@with_dialer
def enable_command(dialer: Dialer, *, name: str, reason: str) -> None:
    """Let results go to an endpoint again; what was given up meanwhile needs a replay."""
    checked = _checked(dialer, name)
    was = dialer.hopper.enable_endpoint(checked, reason=reason)
    click.echo(f"Endpoint {checked} {'is enabled' if was else 'was not disabled'}.")
    if dead := dialer.hopper.endpoint(checked).dead:
        click.echo(f"{dead:,} dead letters wait for `outdial webhooks replay --endpoint {checked}`.")


@webhooks_command.command("disable")
@click.argument("name")
@with_author
@with_dialer
def disable_command(dialer: Dialer, *, name: str, reason: str) -> None:
    """Let nothing go to an endpoint until it is enabled; its results become dead letters."""
    checked = _checked(dialer, name)
    why = "an operator disabled it" + (f": {masked(reason)}" if reason else "")
    was_new = dialer.hopper.disable_endpoint(checked, why=why, reason=reason)
    click.echo(f"Endpoint {checked} {'is disabled' if was_new else 'was disabled already'}.")


@webhooks_command.command("test")
@click.argument("name")
@with_dialer_for(Role.TELLING)
def test_command(dialer: Dialer, *, name: str) -> None:
    """
    Send an endpoint a signed `webhook.test` event now, from here, and say what came back.

    Exits with 1 if it did not take it.
    """
    if name not in dialer.settings.webhook:
        known = ", ".join(dialer.settings.webhook) or "none"
        raise InputRefused([f"there is no [webhook.{name}] in the settings; choose one of: {known}"])
    taken, sentence = try_endpoint(dialer.settings, name)
    click.echo(f"Endpoint {name}: {sentence}.")
    sys.exit(0 if taken else 1)


def _known(dialer: Dialer) -> list[str]:
    """Return the targets in the settings, and those that were, while something is left of them."""
    configured = target_names(dialer.settings)
    views = (dialer.hopper.endpoint(name) for name in dialer.hopper.endpoint_names() if name not in configured)
    return [*configured, *(view.name for view in views if view.waiting or view.in_flight or view.dead)]


def _checked(dialer: Dialer, name: str) -> str:
    known = _known(dialer)
    if name not in known:
        raise InputRefused(
            [masked(f"there is no endpoint {name[:60]!r}; choose one of: {', '.join(known) or 'none'}")]
        )
    return name


def _letters(dialer: Dialer, names: Iterable[str]) -> Iterator[DeadLetter]:
    for name in names:
        yield from dialer.hopper.dead_letters(name)


def _batches(ids: Iterable[str]) -> Iterator[Sequence[str]]:
    source = iter(ids)
    while batch := list(islice(source, _BATCH)):
        yield batch


def _plain(view: EndpointView, configured: Sequence[str]) -> dict[str, Any]:
    times = ("next_at", "failing_since", "rest_until", "last_error_at", "last_success", "disabled_at")
    written = {name: iso_or_none(getattr(view, name)) for name in times}
    return {**asdict(view), **written, "state": view.state, "in_settings": view.name in configured}


def _lines(view: EndpointView, configured: Sequence[str], now: float) -> Iterator[str]:
    left = "" if view.name in configured else " (not in the settings any more)"
    counts = f"{view.waiting:,} waiting, {view.in_flight:,} in flight, {view.dead:,} given up"
    dropped = f" ({view.dropped:,} more were dropped)" if view.dropped else ""
    yield f"{view.name}{left}: {view.state}; {counts}{dropped}"
    if view.disabled_at:
        yield f"  disabled since {told(view.disabled_at)}: {view.disabled_why}"
    elif view.failures:
        yield f"  failing since {told(view.failing_since)}, {view.failures:,} attempts in a row"
    if view.next_at > now and not view.disabled_at:
        yield f"  next attempt in {duration(max(view.next_at, view.rest_until) - now)}"
    if view.last_error:
        yield f"  last error {told(view.last_error_at)}: {view.last_error}"
    yield f"  last success {told(view.last_success) if view.last_success else 'never'}"
