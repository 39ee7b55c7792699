"""How a subcommand gets at the jobs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from producers.commands import chosen_config, config_option
from producers.enqueue import Dialer
from worker import tracing
from worker.settings import Settings


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
