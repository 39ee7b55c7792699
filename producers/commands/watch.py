"""The subcommand that shows the dialer at work: watch."""

import click

from producers.commands.door import with_dialer
from producers.enqueue import Dialer
from producers.watching.looking import Looker
from producers.watching.scene import Scene

# Of a picture that goes into a file or a pipe.
_COLUMNS = 140


@click.command("watch")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0.5, max=60),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Look so often.",
)
@click.option("--once", is_flag=True, help="Write one picture and exit; so it is too where stdout is no terminal.")
@with_dialer
def watch_command(dialer: Dialer, *, interval_s: float, once: bool) -> None:
    """
    Watch the dialer at work: is it dialing and how fast, what waits, what fails and why, what needs attention.

    PBXs in trouble come first, then the busiest. It goes on while Redis is away. q or Ctrl-C ends it.
    """
    # rich takes 0.1 s to import, for those who see it only.
    from rich.console import Console  # noqa: PLC0415

    from producers.watching.frame import frame  # noqa: PLC0415
    from producers.watching.live import watch  # noqa: PLC0415

    looker = Looker(dialer.hopper, dialer.settings)
    console = Console(highlight=False)
    if once or not console.is_terminal or console.is_dumb_terminal:
        width = console.width if console.is_terminal else _COLUMNS
        console.width = width
        console.print(frame(looker.look(), width=width, height=None, interval_s=None))
        return

    def look() -> Scene:
        with dialer.reaching_redis():
            return looker.look()

    watch(look, interval_s=interval_s, console=console)
