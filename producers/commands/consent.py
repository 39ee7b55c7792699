"""A person's consent before many jobs are changed: a count, a question, or a number that was expected."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from worker.errors import InputRefused

_Command = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person typed: only count, go on without asking, or go on if exactly *count* jobs match."""

    dry_run: bool
    yes: bool
    count: int | None

    def require(self, what: str, number: int) -> None:
        """
        Return if the act may begin; otherwise end the command, with nothing changed.

        Args:
            what: What would be done to how many jobs, as a sentence without its end.
            number: The jobs.

        Raises:
            InputRefused: If another number was expected, or there is no terminal to ask at.
        """
        if self.count is not None and self.count != number:
            raise InputRefused([f"--count: {self.count:,} were expected, {number:,} match; nothing was changed"])
        if self.dry_run or not number:
            click.echo(f"{what}.")
            sys.exit(0)
        if self.yes or self.count is not None:
            return
        if not sys.stdin.isatty():
            raise InputRefused([f"{what}; add --yes, or --count {number} to go on only if so many match"])
        if not click.confirm(f"{what}. Go on?"):
            click.echo("Nothing was changed.")
            sys.exit(0)


def consent_options(command: _Command) -> _Command:
    """Give a subcommand the options of an act on many jobs, and what was typed as its argument `consent`."""

    @wraps(command)
    def with_consent(*args: Any, dry_run: bool, yes: bool, count: int | None, **given: Any) -> None:
        command(*args, consent=Consent(dry_run, yes, count), **given)

    for option in (
        click.option("--count", type=click.IntRange(min=0), help="Go on without asking if exactly so many match."),
        click.option("--yes", is_flag=True, help="Go on without asking."),
        click.option("--dry-run", is_flag=True, help="Count the jobs, and change nothing."),
    ):
        with_consent = option(with_consent)
    return with_consent


def jobs(number: int) -> str:
    """Return a number of jobs for a sentence."""
    return f"{number:,} {'job' if number == 1 else 'jobs'}"
