"""`outdial import`."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import click

from producers.commands.door import traced, with_dialer
from producers.enqueue import Dialer, Refusal
from producers.importing import SOURCES, FileFormat, Tally, import_rows
from producers.list_file import ListFile, open_list
from producers.redialing import LONGEST_REASON, UNPLACED, RedialCount, Redialing
from producers.rejects_file import RejectsFile
from producers.row_keys import RowKeys
from producers.showing import progress_bar
from producers.sources import RejectedRow, Source
from worker.errors import InputRefused, ServiceUnreachable
from worker.jobs import JobState

_MOST_SHOWN = 20
_ROWS_PER_LOOK = 500


@click.command("import")
@click.argument("file")
@click.option("--format", "file_format", type=click.Choice(list(SOURCES)), help="By default its start decides.")
@click.option("--pbx", metavar="NAME", help="For rows that name no PBX; by default as in the settings.")
@click.option("--rejects", metavar="FILE", help="Write rejected rows here, to be corrected and imported.")
@click.option("--redial", is_flag=True, help="Bring back jobs of these rows that failed or expired.")
@click.option("--json", "as_json", is_flag=True, help="Write the summary as JSON.")
@with_dialer
def import_command(
    dialer: Dialer,
    *,
    file: str,
    file_format: FileFormat | None,
    pbx: str | None,
    rejects: str | None,
    redial: bool,
    as_json: bool,
) -> None:
    """
    Hand in the rows of FILE, or of standard input for -.

    A CSV file's first line names its columns: those of a dial job (extid and outto at least), `metadata` for a
    JSON object, `metadata.NAME` for one entry of it. An NDJSON file has one object per line.

    Each row becomes a job. The same rows again add nothing, while two equal rows of one file are two jobs. What
    became of the jobs of such rows is counted; --redial brings back those that failed or expired. Wrong rows are
    rejected with their line (the row's first) and the reason, and the others go in: then the exit code
    is 2.

    With --rejects the rejected rows go to a file of the same format as they are, with the columns outdial_line and
    outdial_reason (and outdial_row, for a row whose cells cannot be told apart). Correct them there, and import
    that file with the same options.
    """
    if pbx is not None:
        dialer.pbx_for(pbx)
    tally = Tally()
    with (
        traced(dialer.settings),
        open_list(file, file_format, on_wait=lambda: _say_that_it_waits(file)) as rows,
        _rejects_of(rows, rejects) as (source, writer),
        progress_bar(rows.size) as show,
        _said_how_far(tally),
    ):
        report, unplaced = _Report(writer), list[str]()
        for line, outcome, text in import_rows(dialer, source, keys=RowKeys(), pbx=pbx):
            tally.count(outcome)
            if isinstance(outcome, Refusal):
                report(RejectedRow(line, str(outcome), text))
            elif not outcome.is_new and outcome.state in UNPLACED:
                unplaced.append(outcome.id)
            if tally.total % _ROWS_PER_LOOK == 0:
                show(rows.bytes_read, str(tally))
    redialed = _redialed(dialer, unplaced, file) if redial else None
    summary = tally.plain() | ({} if redialed is None else {"redialed": redialed})
    click.echo(json.dumps(summary) if as_json else ", ".join([str(tally), *_also(redialed)]))
    _conclude(file, tally, rejects, is_redialed=redial)


def _redialed(dialer: Dialer, job_ids: Sequence[str], file: str) -> int:
    """Bring jobs back; returns how many."""
    redialing = Redialing(dialer, dialer.hopper, why=f"import of {Path(file).name}"[:LONGEST_REASON])
    done = RedialCount.of(redialing.carry_out(redialing.plans(job_ids)))
    return done.total


def _also(redialed: int | None) -> Iterator[str]:
    if redialed is not None:
        yield f"{redialed:,} brought back"


@contextmanager
def _rejects_of(rows: ListFile, rejects: str | None) -> Iterator[tuple[Source, RejectsFile | None]]:
    """Read the list's header, and open the file of rejected rows, before anything is handed in."""
    if rejects == "-":
        raise InputRefused(["--rejects: '-' names no file; give a file's name, or /dev/stderr"])
    source = SOURCES[rows.file_format](rows.text)
    if rejects is None:
        yield source, None
        return
    with closing(RejectsFile.open(rejects, source.rejects, beside=rows)) as writer:
        yield source, writer


class _Report:
    """Rejected rows: all of them in a file, or the first on stderr."""

    def __init__(self, writer: RejectsFile | None) -> None:
        self._writer = writer
        self.count = 0

    def __call__(self, row: RejectedRow) -> None:
        """Report one row."""
        self.count += 1
        if self._writer:
            self._writer.write(row)
        elif self.count <= _MOST_SHOWN:
            click.echo(f"line {row.line}: {row.reason}", err=True)
        elif self.count == _MOST_SHOWN + 1:
            click.echo("There are more; --rejects FILE writes them all.", err=True)


def _conclude(file: str, tally: Tally, rejects: str | None, *, is_redialed: bool) -> None:
    """Write to stderr what the counts do not show; exit with code 2 if rows were rejected."""
    if not tally.total:
        click.echo(f"outdial: {file} has no rows.", err=True)
    if any(JobState(state).is_final for state in tally.known):
        states = ", ".join(f"{number:,} {state}" for state, number in tally.known.most_common())
        click.echo(
            f"outdial: the jobs that were already there: {states}.{_advice(file, tally, is_redialed)}", err=True
        )
    if tally.rejected:
        advice = f" Correct them in {rejects} and import that file." if rejects and Path(rejects).is_file() else ""
        click.echo(f"outdial: {tally.rejected:,} of {tally.total:,} rows were rejected.{advice}", err=True)
        sys.exit(2)


def _advice(file: str, tally: Tally, is_redialed: bool) -> str:  # noqa: FBT001 - one fact about the import
    if is_redialed or not any(state in tally.known for state in UNPLACED):
        return ""
    return f" `outdial import {file} --redial` brings back those that failed or expired."


def _say_that_it_waits(file: str) -> None:
    click.echo(f"outdial: {file} is a pipe, and waits for a program that writes to it.", err=True)


@contextmanager
def _said_how_far(tally: Tally) -> Iterator[None]:
    """Say what an import came to that ends before its file does."""
    again = "run the same import again, what went in is not added twice"
    try:
        yield
    except ServiceUnreachable as unreachable:
        behind = ", and nothing of the rows behind them" if unreachable.nothing_done and tally.total else ""
        raise ServiceUnreachable(f"{unreachable}. So far {tally}{behind}; {again}") from unreachable
    except InputRefused as refused:
        raise InputRefused([f"{refused}. So far {tally}; {again}" if tally.total else str(refused)]) from refused
    except KeyboardInterrupt:
        click.echo(f"Stopped. So far {tally}; {again}.", err=True)
        raise
