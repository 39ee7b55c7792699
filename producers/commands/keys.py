"""`outdial keys`: who may use the HTTP intake."""

import json
from dataclasses import asdict
from typing import Any

import click

from producers import apikeys
from producers.commands.door import with_author, with_dialer
from producers.commands.values import NAME
from producers.enqueue import Dialer
from producers.masking import masked
from producers.times import iso_or_none
from worker.errors import InputRefused
from worker.hopper import ApiKey

_json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON.")


@click.group("keys")
def keys_command() -> None:
    """Make, list and revoke the API keys of the HTTP intake."""


@keys_command.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="enqueue, read or operate (cancel, resolve, pause); give it again for several. Else enqueue and read.",
)
@click.option("--pbx", "pbxs", multiple=True, metavar="NAME", help="A PBX it may use; give it again. Else all.")
@click.option("--requests", type=int, default=apikeys.REQUESTS, show_default=True, help="So many ...")
@click.option("--per", "window_s", type=int, default=apikeys.WINDOW_S, show_default=True, help="... in S seconds.")
@click.option("--by", type=NAME, help="Who makes it; else the login user and host.")
@_json_option
@with_dialer
def create_command(dialer: Dialer, *, name: str, scopes: tuple[str, ...], as_json: bool, **more: Any) -> None:
    """
    Make an API key for the integration NAME, and show it: this once.

    It is sent as `Authorization: Bearer KEY`. Only its hash is stored; a key that is lost is revoked and replaced.
    """
    asked = tuple(word for given in scopes for word in given.replace(",", " ").split())
    key, text = apikeys.create(dialer.hopper, dialer.settings, name, scopes=asked or ("enqueue", "read"), **more)
    if as_json:
        click.echo(json.dumps({"key": text} | _plain(key)))
        return
    click.echo(text)
    click.echo(
        f"{key.name} ({key.id}) may {', '.join(key.scopes)} on {_pbxs(key)}. Keep it: it is not shown again.",
        err=True,
    )


@keys_command.command("list")
@_json_option
@with_dialer
def list_command(dialer: Dialer, *, as_json: bool) -> None:
    """List all API keys, revoked ones too, without their secrets."""
    keys = dialer.hopper.api_keys()
    if as_json:
        click.echo(json.dumps([_plain(key) for key in keys]))
        return
    widths = (12, 20, 22, 20, 18)
    for cells in [("id", "name", "scopes", "pbxs", "requests", "since"), *(_cells(key) for key in keys)]:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
        click.echo("  ".join([*padded, cells[-1]]).rstrip())


@keys_command.command("revoke")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@with_author
@with_dialer
def revoke_command(dialer: Dialer, *, ids: tuple[str, ...], reason: str) -> None:
    """Refuse API keys from the next request on."""
    unknown = []
    for key_id in ids:
        word = dialer.hopper.revoke_key(key_id, reason=reason)
        if word == "gone":
            unknown.append(masked(f"there is no API key {key_id[:40]!r}; `outdial keys list` shows their ids"))
        else:
            click.echo(f"{key_id} is revoked" if word == "revoked" else f"{key_id} was revoked before")
    if unknown:
        raise InputRefused(unknown)


def _plain(key: ApiKey) -> dict[str, Any]:
    plain = asdict(key)
    plain["created_at"], plain["revoked_at"] = iso_or_none(key.created_at), iso_or_none(key.revoked_at)
    return plain


def _cells(key: ApiKey) -> tuple[str, ...]:
    since = iso_or_none(key.created_at) or ""
    revoked = f", revoked {iso_or_none(key.revoked_at)}" if key.revoked_at else ""
    quota = f"{key.requests:,} in {key.window_s} s"
    return key.id, key.name, " ".join(key.scopes), _pbxs(key), quota, since + revoked


def _pbxs(key: ApiKey) -> str:
    return "all PBXs" if apikeys.EVERY_PBX in key.pbxs else " ".join(key.pbxs)
