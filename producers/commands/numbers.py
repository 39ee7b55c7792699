"""Subcommands about telephone numbers: number try."""

import json
import sys
from dataclasses import asdict
from typing import Any

import click

from producers.commands.door import with_dialer
from producers.enqueue import Dialer
from producers.numbers import NumberRefused, reading
from producers.showing import fields_of

_TRY_FIELDS = """\b
Fields of the JSON:
  pbx
  dialed         what the PBX gets, null for a number that is refused
  kind           internal, service_code, as_written (no rule
                 applies), local, or fixed_line, mobile, toll_free,
                 unknown, ...
  country        two letters, or null
  international  + and all digits, or null
  errno          null, or invalid_number, emergency_number,
                 premium_number, country_not_allowed or
                 service_code
  error          null, or a sentence
"""


@click.group("number")
def number_command() -> None:
    """See how telephone numbers are understood, and written for a PBX."""


@number_command.command("try", epilog=_TRY_FIELDS)
@click.argument("number")
@click.option("--pbx", metavar="NAME", help="PBX whose rules count; else the settings say.")
@click.option("--country", metavar="COUNTRY", help="Country of a national number: GB, GBR or its name.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@with_dialer
def try_command(dialer: Dialer, *, number: str, pbx: str | None, country: str | None, as_json: bool) -> None:
    """
    Show what would be dialed for NUMBER, and how it was understood; dials nothing.

    Exits with 2, and says why, if the number is refused.
    """
    name = dialer.pbx_for(pbx)
    plain: dict[str, Any] = {"pbx": name, "dialed": None, "kind": None, "country": None, "international": None}
    errno = error = None
    try:
        plain |= asdict(reading(number, dialer.settings.pbx[name].numbers, country=country))
    except NumberRefused as refused:
        errno, error = refused.code, str(refused)
    if as_json:
        click.echo(json.dumps(plain | {"errno": errno, "error": error}))
    elif errno is None:
        click.echo("\n".join(fields_of(plain)))
    else:
        click.echo(f"outdial: {errno}: {error}", err=True)
    sys.exit(0 if errno is None else 2)
