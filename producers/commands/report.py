"""The subcommand that counts and draws what became of jobs: report."""

import json
import sys
from datetime import UTC
from pathlib import Path

import click

from producers.commands.door import with_dialer
from producers.commands.times import FROM, UNTIL, GivenTime, chosen_zone, timezone_option
from producers.commands.values import ENTRY_NAME
from producers.enqueue import Dialer
from producers.report.gathering import gather
from producers.report.spans import Span
from producers.report.summary import Report
from producers.times import told
from worker.errors import InputRefused
from worker.extras import require_extra

_STDOUT = Path("-")


@click.command("report")
@click.option(
    "--since",
    type=FROM,
    default="24h",
    show_default=True,
    help="A date, yesterday, an ISO time, or 10m, 2h, 1d.",
)
@click.option("--until", type=UNTIL, help="The same, a day up to its end; by default now.")
@click.option(
    "--html",
    "page_file",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write a page to FILE (-: stdout).",
)
@click.option("--json", "as_json", is_flag=True, help="Write the numbers as JSON.")
@click.option("--by", "entry", type=ENTRY_NAME, help="Break down by metadata.NAME, such as metadata.campaign.")
@timezone_option
@click.option("--no-extensions", is_flag=True, help="Leave out what each extension had.")
@with_dialer
def report_command(
    dialer: Dialer,
    *,
    since: GivenTime,
    until: GivenTime | None,
    page_file: Path | None,
    as_json: bool,
    no_extensions: bool,
    entry: str | None,
) -> None:
    """
    Count what became of the jobs that ended, and draw it as a page.

    The page is one file, without scripts, to be opened, printed or sent: calls per minute against the limit, how
    jobs ended and why, attempts, how long calls took, what waited, PBXs, extensions, and the jobs to be resolved.
    It holds no telephone number, and no metadata but what --by names; records that have expired (retain_s) are not
    in it. With --timezone its times are those of that zone, else UTC; JSON has UTC throughout.
    """
    if page_file is None and not as_json:
        raise click.UsageError("Give --html FILE for a page, --json for the numbers, or both.")
    if page_file == _STDOUT and as_json:
        raise click.UsageError("Give --html a FILE where --json writes to stdout.")
    if page_file is not None:
        require_extra("report", "--html", otherwise="give --json")
    report = gather(
        dialer.hopper,
        dialer.settings,
        _span(dialer, since, until),
        with_extensions=not no_extensions,
        by=entry,
        progress=_say,
    )
    if page_file is not None:
        _write(report, page_file)
    if as_json:
        click.echo(json.dumps(report.plain()))


def _span(dialer: Dialer, since: GivenTime, until: GivenTime | None) -> Span:
    now = dialer.hopper.now()
    begin, end = since(now), now if until is None else min(now, until(now))
    kept_from = now - dialer.settings.retain_s
    if begin < kept_from < end:
        click.echo(f"Records are kept since {told(kept_from)}, so the report begins there.", err=True)
        begin = kept_from
    try:
        return Span.of(begin, end, zone=chosen_zone() or UTC)
    except ValueError:
        raise InputRefused(["--since: must be before --until, and before now"]) from None


def _say(count: int) -> None:
    if sys.stderr.isatty() and count % 5000 == 0:
        click.echo(f"{_clean_line()}{count:,} jobs counted", nl=False, err=True)


def _clean_line() -> str:
    return "\r\x1b[2K" if sys.stderr.isatty() else ""


def _write(report: Report, file: Path) -> None:
    # matplotlib takes half a second to import, for those who draw only.
    from producers.report.page import page  # noqa: PLC0415

    text = page(report)
    if file == _STDOUT:
        click.echo(text, nl=False)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputRefused([f"--html: {file}: {error.strerror}; give a file that can be written"]) from None
    click.echo(f"{_clean_line()}{report.ends.total:,} jobs are in {file}.", err=True)
