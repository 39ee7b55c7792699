"""The program of one webhook process; started by `worker.supervisor`, which knows its name alone."""

import click

from producers.crm.registry import adapters
from worker.errors import ConfigurationError
from worker.jobs import DialResult
from worker.node import begin, reading
from worker.secret_reader import Role
from worker.settings import Settings
from worker.webhooks import Call
from worker.webhooks.process import run
from worker.webhooks.sending import ResultCalls
from worker.webhooks.targets import telling_sources


def result_calls(settings: Settings) -> ResultCalls:
    """
    Return what makes the calls to the CRMs of the sources that tell theirs: each source's adapter.

    Raises:
        ConfigurationError: With one sentence for every problem of every source at once.
    """
    known = adapters({name: settings.source[name] for name in telling_sources(settings)})

    def call_for(source: str, result: DialResult, seq: int) -> Call | None:
        return known[source].result_call(result, seq=seq)

    return call_for


@click.command("webhook-process")
@click.option("--config", type=click.Path(), default=None)
@click.option("--name", required=True)
@click.option("--concurrency", type=int, required=True)
@click.option("--supervisor-pipe", type=int, default=None)
def main(config: str | None, *, name: str, concurrency: int, supervisor_pipe: int | None) -> None:
    """Bring results to endpoints, and to the CRMs of the sources."""
    try:
        read = reading(config, Role.TELLING)
        settings = begin(read, supervisor_pipe, process=name)
        raise SystemExit(run(settings, read, result_calls, name=name, concurrency=concurrency))
    except ConfigurationError as wrong:
        click.echo(str(wrong), err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
