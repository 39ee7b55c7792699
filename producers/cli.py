"""
The `outdial` command: finds the subcommand, and turns every error into one sentence and an exit code.

0 done, 1 the dial failed, 2 bad usage or input, 3 a service is unreachable; 130 stopped by Ctrl-C. Data goes to
stdout, talk to stderr. Subcommands are imported when they are called, so that `--help` answers at once.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import click

from producers.masking import masked
from worker.errors import ConfigurationError, InputRefused, ServiceUnreachable

# What a shell shows for a program whose reader went away: 128 + SIGPIPE.
_READER_GONE = 141


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a subcommand is, and its line in `outdial --help`."""

    module: str
    summary: str


_COMMANDS = {
    "enqueue": _Entry("jobs", "Hand in one job: extension EXTID is to call OUTTO."),
    "import": _Entry("imports", "Hand in the rows of a CSV or NDJSON file."),
    "status": _Entry("asking", "Show one job, what it waits for, and its life so far."),
    "why": _Entry("asking", "Say what holds a job back, and what to do about it."),
    "jobs": _Entry("choosing", "List jobs, waiting or ended, by what they are."),
    "results": _Entry("jobs", "List the results of jobs that ended."),
    "cancel": _Entry("choosing", "Cancel jobs that have not been dialed yet."),
    "redial": _Entry("redial", "Bring ended jobs back, on their PBX or another one."),
    "resolve": _Entry("resolving", "Say what became of a job that ended as unknown."),
    "pause": _Entry("lanes", "Stop dialing on a PBX, for an extension, or everywhere (--all)."),
    "resume": _Entry("lanes", "Go on dialing on a PBX, for an extension, or everywhere (--all)."),
    "lanes": _Entry("lanes", "Show what waits and runs on each PBX."),
    "watch": _Entry("watch", "Watch the dialer at work, live."),
    "report": _Entry("report", "Count and draw what became of the jobs of some time."),
    "audit": _Entry("audit", "List what operators did, when and why."),
    "keys": _Entry("keys", "Make, list and revoke API keys of the HTTP intake."),
    "api": _Entry("api", "Serve the HTTP intake."),
    "number": _Entry("numbers", "See how a telephone number is understood and dialed."),
    "crm": _Entry("crm", "List the hooks of CRMs, and try out what they would make of a payload."),
    "webhooks": _Entry("webhooks", "Look after the endpoints that are told of results."),
    "reload": _Entry("reload", "Let every process read its settings again; calls go on."),
    "worker": _Entry("processes", "Run worker processes."),
    "flower": _Entry("processes", "Run Flower, the view on Celery's tasks."),
    "up": _Entry("processes", "Run everything on this machine, against a simulated PBX."),
    "demo": _Entry("processes", "Show everything at work, with sample leads, and stop."),
    "simulator": _Entry("processes", "Run a simulated PBX."),
    "files": _Entry("files", "List or write the files that come with outdial."),
    "doctor": _Entry("processes", "Check settings, Redis and PBXs; say what to do."),
}


class OutdialGroup(click.Group):
    """The subcommands of `outdial`, and the one place where errors end."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a subcommand."""
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"producers.commands.{_COMMANDS[cmd_name].module}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table without importing what it names."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in _COMMANDS.items()])

    def main(  # type: ignore[override]  # it always exits, so that tests see what a shell sees
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run the command line and exit."""
        extra["standalone_mode"] = False
        try:
            # click hands back the code of `ctx.exit`, and otherwise what the subcommand returned: nothing.
            code = super().main(args, prog_name or "outdial", **extra) or 0
            sys.stdout.flush()
        except (click.Abort, KeyboardInterrupt):
            code = 130
        except BrokenPipeError:
            _forget_stdout()
            code = _READER_GONE
        except (click.ClickException, InputRefused, ConfigurationError, ServiceUnreachable) as error:
            code = _explain(error)
        sys.exit(code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; a reader that went away is no error, though click would make it exit code 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _forget_stdout()
            sys.exit(_READER_GONE)


@click.group("outdial", cls=OutdialGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=click.Path(), help="Settings file; else OUTDIAL_CONFIG names it.")
@click.version_option(package_name="outdial")
@click.pass_context
def cli(ctx: click.Context, config: str | None) -> None:
    """
    Dial in the background: hand in jobs, watch them, look after the dialer.

    Exit codes: 0 done, 1 the dial failed, 2 bad usage or input, 3 a service is unreachable.
    """
    ctx.obj = config


def main() -> NoReturn:
    """Run `outdial`; the console script's entry point."""
    cli.main()


def _explain(error: Exception) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return 2
    if isinstance(error, click.UsageError):
        # click quotes what it did not expect, and that may be a telephone number.
        command = error.ctx.command_path if error.ctx else "outdial"
        sentence = f"{masked(error.format_message()).rstrip('.')}. See `{command} --help`."
    elif isinstance(error, click.ClickException):
        sentence = masked(error.format_message())
    else:
        sentence = str(error)
    click.echo(f"outdial: {sentence}", err=True)
    return 3 if isinstance(error, ServiceUnreachable) else 2


def _forget_stdout() -> None:
    # Python flushes stdout once more at exit, and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
