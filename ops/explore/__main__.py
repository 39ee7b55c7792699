"""The command: `python -m ops.explore`."""

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click

from ops.embedded_redis import EmbeddedRedis
from ops.explore.driver import Driver, texts
from ops.explore.plans import PLANS
from ops.explore.search import Found, Search
from ops.explore.world import Plan
from worker.hopper import connect

_REPORT_S = 10.0


@click.command(name="explore")
@click.option(
    "--states",
    type=click.IntRange(min=1),
    default=200_000,
    show_default=True,
    help="At most, for each world; 1 KB of memory each.",
)
@click.option(
    "--world", "names", multiple=True, type=click.Choice([plan.name for plan in PLANS]), help="Default: all."
)
def command(*, states: int, names: tuple[str, ...]) -> None:
    """Try every order of steps, deaths and lost replies in small worlds; exit code 1 if a promise breaks."""
    chosen = [plan for plan in PLANS if not names or plan.name in names]
    total, broken = 0, False
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="outdial-explore-"))
        server = stack.enter_context(EmbeddedRedis(Path(folder), append_only=False))
        client = stack.enter_context(connect(server.url))
        driver = Driver(client, texts())
        for plan in chosen:
            found = Search(driver, plan, most=states, report=_Progress(plan)).run()
            total, broken = total + found.states, broken or found.violation is not None
            click.echo(line_of(plan, found))
            if found.violation:
                click.echo(str(found.violation))
        driver.close()
    click.echo(f"{total:,} states, {'a promise is broken' if broken else 'every promise holds'}")
    sys.exit(1 if broken else 0)


def line_of(plan: Plan, found: Found) -> str:
    """Return the result of an exploration as one line."""
    rate = found.states / max(found.seconds, 0.001)
    how = "all of them" if found.is_whole else "a cut"
    return (
        f"{plan.name}: {found.states:,} states ({how}), {found.transitions:,} transitions, "
        f"{found.endings:,} endings, {found.seconds:.0f} s, {rate:,.0f} states/s"
    )


class _Progress:
    """Writes a line to stderr every ten seconds."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._next = time.monotonic() + _REPORT_S

    def __call__(self, found: Found) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _REPORT_S
            click.echo(f"  {self._plan.name}: {found.states:,} states so far", err=True)


if __name__ == "__main__":
    command()
