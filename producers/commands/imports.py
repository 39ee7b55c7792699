"""`outdial import`."""

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import TextIO, cast

import click

from producers.commands.door import traced, with_dialer
from producers.enqueue import Dialer, Refusal
from producers.importing import SOURCES, FileFormat, RowKeys, Tally, import_rows, open_source
from producers.showing import progress_bar
from worker.errors import InputRefused, ServiceUnreachable

_MOST_SHOWN = 20
_ROWS_PER_LOOK = 500


@click.command("import")
@click.argument("file")
@click.option("--format", "file_format", type=click.Choice(list(SOURCES)), help="Else the file's suffix says.")
@click.option("--pbx", metavar="NAME", help="For rows that name none; else the settings say.")
@click.option("--rejects", metavar="FILE", help="Write rejected rows here as CSV: line,reason.")
@click.option("--json", "as_json", is_flag=True, help="Write the summary as JSON.")
@with_dialer
def import_command(
    dialer: Dialer,
    *,
    file: str,
    file_format: FileFormat | None,
    pbx: str | None,
    rejects: str | None,
    as_json: bool,
) -> None:
    """
    Hand in the rows of FILE, or of standard input for -.

    A CSV file's first line names its columns: those of a dial job (extid and outto at least), `metadata` for a
    JSON object, `metadata.NAME` for one entry of it. An NDJSON file has one object per line.

    Each row becomes a job. The same rows again add nothing, while two equal rows of one file are two jobs. Rows
    that are not right are rejected with their line (the row's first) and the reason, and the others go in: then
    the exit code is 2.
    """
    if pbx is not None:
        dialer.pbx_for(pbx)
    tally = Tally()
    with traced(dialer.settings), ExitStack() as open_things:
        text, source, size = _opened(open_things, file, file_format)
        report = open_things.enter_context(_rejections(rejects, beside=file))
        show = open_things.enter_context(progress_bar(size))
        with _said_how_far(tally):
            for line, outcome in import_rows(dialer, SOURCES[source](text), keys=RowKeys(), pbx=pbx):
                tally.count(outcome)
                if isinstance(outcome, Refusal):
                    report(line, str(outcome))
                if tally.total % _ROWS_PER_LOOK == 0:
                    show(_bytes_read(text, size), str(tally))
    click.echo(json.dumps(asdict(tally)) if as_json else str(tally))
    if tally.rejected:
        click.echo(f"outdial: {tally.rejected:,} of {tally.total:,} rows were rejected.", err=True)
        sys.exit(2)


def _opened(
    open_things: ExitStack, file: str, file_format: FileFormat | None
) -> tuple[TextIOWrapper, FileFormat, int | None]:
    text, source, size = open_source(file, file_format)
    open_things.callback(text.detach if file == "-" else text.close)
    return text, source, size


class _Report:
    """Rejected rows: all of them in a file, or the first on stderr."""

    def __init__(self, file: TextIO | None) -> None:
        self._rows = csv.writer(file, lineterminator="\n") if file else None
        self.count = 0
        if self._rows:
            self._rows.writerow(("line", "reason"))

    def __call__(self, line: int, reason: str) -> None:
        """Report one row."""
        self.count += 1
        if self._rows:
            self._rows.writerow((line, reason))
        elif self.count <= _MOST_SHOWN:
            click.echo(f"line {line}: {reason}", err=True)
        elif self.count == _MOST_SHOWN + 1:
            click.echo("There are more; --rejects FILE writes them all.", err=True)


@contextmanager
def _rejections(path: str | None, *, beside: str) -> Iterator[_Report]:
    """Open the report; never over the file that is being read."""
    if path is None:
        yield _Report(None)
        return
    try:
        if beside != "-" and Path(path).exists() and Path(path).samefile(beside):
            raise InputRefused([f"{path}: is the file to import; give --rejects another name"])
        file = Path(path).open("w", encoding="utf-8", errors="backslashreplace", newline="")  # noqa: SIM115 - closed below
    except OSError as error:
        raise InputRefused([f"{path}: {error.strerror or 'cannot be written'}"]) from None
    with file:
        yield _Report(file)


@contextmanager
def _said_how_far(tally: Tally) -> Iterator[None]:
    """Say what an import came to that ends before its file does."""
    again = "run the same import again, what went in is not added twice"
    try:
        yield
    except ServiceUnreachable as unreachable:
        raise ServiceUnreachable(f"{unreachable}. So far {tally}; {again}") from unreachable
    except KeyboardInterrupt:
        click.echo(f"Stopped. So far {tally}; {again}.", err=True)
        raise


def _bytes_read(text: TextIOWrapper, size: int | None) -> int:
    return 0 if size is None else cast("BufferedReader", text.buffer).tell()
