"""How a subcommand gets at the jobs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import click

from producers.commands import chosen_config, config_option
from producers.commands.values import NAME, REASON
from producers.enqueue import Dialer
from worker import tracing
from worker.secret_reader import Role
from worker.settings import Settings

_Command = Callable[..., None]


@contextmanager
def traced(settings: Settings) -> Iterator[None]:
    """
    Trace what is handed in within the block, if the settings say where to; it is sent by its end, or never.

    Raises:
        ConfigurationError: If the extra that traces is not installed.
    """
    if settings.tracing.endpoint is None:
        yield
        return
    from worker.logs import set_up  # noqa: PLC0415 - takes 60 ms, for those who trace only

    # Not a word of a collector that is away: what was asked for is done all the same.
    set_up("error", settings.log_format, process="cli")
    tracing.set_up(settings.tracing, process="cli")
    try:
        yield
    finally:
        tracing.shut_down()


def with_dialer_for(*roles: Role) -> Callable[[_Command], _Command]:
    """
    Give a subcommand `--config` and, as its first argument, the dialer which that names, with secrets of *roles*.

    Whoever typed the command is who acts, unless its option `by` names somebody else. A Redis that does not answer
    ends it with one sentence and exit code 3.
    """

    def decorated(command: _Command) -> _Command:
        @wraps(command)
        def with_the_dialer(*args: Any, config: str | None, by: str | None = None, **options: Any) -> None:
            dialer = Dialer.from_config(chosen_config(config), actor=by, roles=frozenset(roles))
            with dialer.reaching_redis():
                command(dialer, *args, **options)

        return config_option(with_the_dialer)

    return decorated


def with_author(command: _Command) -> _Command:
    """Give a subcommand `--by`, which names who acts, and `--reason`; the audit keeps both."""
    reason = click.option("--reason", type=REASON, default="", help="Why; kept and shown with it.")
    by = click.option("--by", type=NAME, help="Who does it; else the login user and host.")
    return by(reason(command))


def with_dialer(command: _Command) -> _Command:
    """Give a subcommand a dialer as `with_dialer_for` does, with no secrets but that of Redis."""
    return with_dialer_for()(command)
