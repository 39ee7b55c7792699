"""How results and lanes look on a terminal and in a file; tables are written line by line, however long."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

from producers.pauses import author_words
from producers.times import duration, told
from worker.hopper import LaneView, Pause, PbxGlance
from worker.jobs import DialResult, Priority

_RESULT_WIDTHS = {"finished_at": 24, "job_id": 36, "state": 9, "pbx": 10, "extid": 10, "attempts": 8, "callid": 20}
_JOB_WIDTHS = {"enqueued_at": 24, "job_id": 36, "state": 9, "pbx": 10, "extid": 10, "attempts": 8}
# Of the table of PBXs; `urgent` ones are among those waiting.
_LANE_COLUMNS = {
    "pbx": 16,
    "waiting": 8,
    "urgent": 6,
    "oldest": 7,
    "later": 6,
    "released": 8,
    "open calls": 10,
    "in doubt": 8,
    "calls/s": 7,
}
TAKES_CALLS = "takes calls"
Lanes = Callable[[PbxGlance], Iterable[LaneView]]


def result_table(results: Iterable[DialResult]) -> Iterator[str]:
    """
    Yield the lines of a table: what came of each job, the reason last.

    A call known by its outbound leg alone has that leg's id, marked `out:`, in the place of its callid.
    """
    yield _line((*_RESULT_WIDTHS, "error"), _RESULT_WIDTHS.values())
    for result in results:
        plain = result.plain()
        if not result.callid and result.outboundid:
            plain["callid"] = f"out:{result.outboundid}"
        cells = ["" if plain[name] is None else str(plain[name]) for name in _RESULT_WIDTHS]
        reason = ": ".join(part for part in (result.errno, result.error) if part)
        yield _line([*cells, reason], _RESULT_WIDTHS.values())


def job_table(jobs: Iterable[DialResult]) -> Iterator[str]:
    """Yield the lines of a table: jobs that wait, run or have ended, and what is known of each last."""
    yield _line((*_JOB_WIDTHS, "result"), _JOB_WIDTHS.values())
    for job in jobs:
        plain = job.plain()
        known = job.callid or ": ".join(part for part in (job.errno, job.error) if part)
        yield _line([*(str(plain[name]) for name in _JOB_WIDTHS), known], _JOB_WIDTHS.values())


def result_csv(results: Iterable[DialResult]) -> Iterator[str]:
    """Yield the lines of a CSV file with all fields; `metadata` is a JSON object."""
    yield ",".join(DialResult.model_fields)
    for result in results:
        cells = StringIO()
        plain = result.plain() | {"metadata": json.dumps(result.metadata, ensure_ascii=False)}
        csv.writer(cells, lineterminator="").writerow(plain.values())
        yield cells.getvalue()


def result_ndjson(results: Iterable[DialResult]) -> Iterator[str]:
    """Yield one JSON object per result."""
    for result in results:
        yield result.model_dump_json()


def lane_table(
    glances: Iterable[PbxGlance],
    lanes: Lanes | None,
    *,
    everything_paused: bool,
    everything_pause: Pause | None = None,
    stopped: Sequence[str] = (),
) -> Iterator[str]:
    """
    Yield the lines of a table: a line for each PBX, and below it one for each lane if wanted.

    Args:
        glances: The PBXs.
        lanes: Gives the lanes of one; None where they are not wanted.
        everything_paused: Whether the kill switch is on.
        everything_pause: Who set it.
        stopped: What besides keeps calls from beginning on any PBX, a sentence each.
    """
    yield _line((*_LANE_COLUMNS, "state"), _LANE_COLUMNS.values())
    for glance in glances:
        state = pbx_state(glance, everything_paused, everything_pause, stopped)
        yield _line((*_lane_cells(glance), state), _LANE_COLUMNS.values())
        for lane in lanes(glance) if lanes else ():
            state = f"in a call or resting, {lane.busy_s:.0f} s at most" if lane.busy_s > 0 else "free"
            if lane.pause:
                state = f"paused{author_words(lane.pause)}" + (f"; {state}" if lane.busy_s > 0 else "")
            blank = [""] * (len(_LANE_COLUMNS) - 2)
            yield _line((f"  {lane.extid}", f"{lane.waiting:,}", *blank, state), _LANE_COLUMNS.values())


def _lane_cells(glance: PbxGlance) -> Sequence[str]:
    oldest = duration(glance.oldest_in_all_s) if glance.waiting_in_all else ""
    limits = (f"{glance.open_calls:,}/{glance.max_open_calls:,}", f"{glance.calls_per_second:g}")
    counts = (glance.later, glance.released, glance.in_doubt)
    later, released, in_doubt = (f"{count:,}" for count in counts)
    open_calls, per_second = limits if glance.is_known else (f"{glance.open_calls:,}", "?")
    urgent = f"{glance.waiting[Priority.URGENT]:,}"
    waiting = f"{glance.waiting_in_all:,}"
    return (glance.name, waiting, urgent, oldest, later, released, open_calls, in_doubt, per_second)


def pbx_state(
    glance: PbxGlance,
    everything_paused: bool,  # noqa: FBT001  one of several facts about it
    everything_pause: Pause | None = None,
    stopped: Sequence[str] = (),
) -> str:
    """Return whether a PBX takes calls, and why not; *stopped* as in `lane_table`."""
    reasons = reasons_against(glance, everything_paused, everything_pause, stopped)
    return "; ".join([*(reasons or [TAKES_CALLS]), *_paused_extensions(glance)])


def reasons_against(
    glance: PbxGlance,
    everything_paused: bool,  # noqa: FBT001  one of several facts about it
    everything_pause: Pause | None = None,
    stopped: Sequence[str] = (),
) -> list[str]:
    """Return why a PBX takes no calls, a sentence each; arguments as in `pbx_state`."""
    reasons: list[str] = []
    breaker = glance.breaker
    if everything_paused:
        reasons.append(f"everything is paused{author_words(everything_pause)}")
    if glance.is_paused:
        reasons.append(f"paused{author_words(glance.pause)}")
    reasons += stopped
    if breaker.state != "closed":
        since = f" since {told(breaker.since)}" if breaker.since else ""
        next_try = (
            f"for {duration(breaker.seconds)} more" if breaker.state == "open" else "the next call is a trial"
        )
        reasons.append(f"breaker {breaker.state}{since}, {next_try}: {breaker.reason or 'no reason was given'}")
    if not glance.is_known and not stopped:
        reasons.append("no worker knows it yet")
    return reasons


def _paused_extensions(glance: PbxGlance) -> Iterator[str]:
    lanes = glance.paused_lanes
    jobs = f"{sum(lane.waiting for lane in lanes):,} waiting"
    match lanes:
        case ():
            return
        case (one,):
            yield f"extension {one.extid} is paused{author_words(one.pause)} ({jobs})"
        case _:
            yield f"{len(lanes):,} extensions are paused ({jobs})"


@contextmanager
def progress_bar(size: int | None) -> Iterator[Callable[[int, str], None]]:
    """
    Show how far an import is, on a terminal's stderr and nowhere else.

    Args:
        size: Of the file, in bytes; None if unknown.

    Yields:
        A function to tell how many bytes are read, and a text to show beside the bar.
    """
    if not sys.stderr.isatty():
        yield lambda _bytes_read, _text: None
        return
    # rich takes 0.1 s to import, for those who see it only.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=size)
        yield lambda bytes_read, text: progress.update(task, completed=bytes_read, description=text)


def fields_of(plain: dict[str, Any]) -> Iterator[str]:
    """Yield one line per field, for one record on a terminal; empty ones are left out."""
    for name, value in plain.items():
        if value not in (None, "", {}):
            text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
            yield f"{name:<12} {text}"


def _line(cells: Sequence[str], widths: Iterable[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
    return "  ".join([*padded, cells[-1]]).rstrip()
