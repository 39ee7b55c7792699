"""The subcommands of `outdial`, a file for each thing they are about."""

from collections.abc import Callable

import click


def config_option(command: Callable[..., None]) -> Callable[..., None]:
    """Take `--config` behind the subcommand too: people write both."""
    return click.option("--config", type=click.Path(), help="Settings file; else OUTDIAL_CONFIG names it.")(
        command
    )


def chosen_config(config: str | None) -> str | None:
    """Return the settings file named behind the subcommand, else the one named before it."""
    named_before: str | None = click.get_current_context().obj
    return config or named_before
