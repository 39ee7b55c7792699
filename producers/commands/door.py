"""How a subcommand gets at the jobs."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from producers.commands import chosen_config, config_option
from producers.enqueue import Dialer


def with_dialer(command: Callable[..., None]) -> Callable[..., None]:
    """
    Give a subcommand `--config` and, as its first argument, the dialer which that names.

    Whoever typed the command is who acts, unless its option `by` names somebody else. A Redis that does not answer
    ends it with one sentence and exit code 3.
    """

    @wraps(command)
    def with_the_dialer(*args: Any, config: str | None, by: str | None = None, **options: Any) -> None:
        dialer = Dialer.from_config(chosen_config(config), actor=by)
        with dialer.reaching_redis():
            command(dialer, *args, **options)

    return config_option(with_the_dialer)
