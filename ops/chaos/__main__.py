"""The command: `python -m ops.chaos`."""

import random
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console

from ops.chaos.account import Account
from ops.chaos.history import histories, history
from ops.chaos.run import Options, Run, to_stderr
from ops.chaos.table import table_of
from worker.errors import DialerError
from worker.jobs import JobState

_HEAL_S = 75.0


@click.command(name="chaos")
@click.option("--seconds", type=click.FloatRange(min=10), default=300, show_default=True, help="Of faults.")
@click.option("--jobs", type=click.IntRange(min=1), default=2000, show_default=True, help="Handed in meanwhile.")
@click.option("--seed", type=int, help="Same jobs and faults again; default: made up and shown.")
@click.option("--faults-per-minute", type=click.FloatRange(min=1), default=40, show_default=True)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Leave logs, journals, seen/, unknown.txt there.",
)
def command(*, seconds: float, jobs: int, seed: int | None, faults_per_minute: float, keep: Path | None) -> None:
    """Let parts die under load and see that nothing is lost and nothing rings twice; exit code 1 if it was."""
    chosen = random.randrange(1_000_000) if seed is None else seed
    # Jobs of busy extensions queue up over a long run, and take their time to end.
    options = Options(chosen, seconds, jobs, faults_per_minute, heal_s=max(_HEAL_S, seconds / 4))
    to_stderr(f"seed {chosen}")
    with ExitStack() as stack:
        folder = keep or Path(tempfile.mkdtemp(prefix="outdial-chaos-"))
        if keep is None:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        elif keep.exists() and any(keep.iterdir()):
            raise click.UsageError(f"--keep: {keep} is not empty; name a new folder")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        run = Run(options, folder, to_stderr)
        try:
            account = run.account()
        except DialerError as error:
            raise click.ClickException(str(error)) from None
        Console(soft_wrap=True).print(table_of(account, seed=chosen))
        for line in histories(account, run.logs):
            click.echo(line)
        if keep is not None:
            _keep_unknown(account, run, keep / "unknown.txt")
    sys.exit(0 if account.held else 1)


def _keep_unknown(account: Account, run: Run, file: Path) -> None:
    """Unknown jobs are no violation, but each is one that somebody must look after."""
    lines = [
        line
        for job in account.evidence.jobs
        if job.state == JobState.UNKNOWN
        for line in (f"job {job.job_id}", *history(account, job, run.logs), "")
    ]
    file.write_text("\n".join(lines))


if __name__ == "__main__":
    command(prog_name="python -m ops.chaos")
