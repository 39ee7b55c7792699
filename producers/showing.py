"""How results and lanes look on a terminal and in a file; tables are written line by line, however long."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

from producers.times import duration, told
from worker.hopper import KILL_SWITCH, PbxView
from worker.jobs import DialResult

_RESULT_WIDTHS = {"finished_at": 24, "job_id": 36, "state": 9, "pbx": 10, "extid": 10, "attempts": 8, "callid": 20}
_LANE_COLUMNS = ("pbx", "waiting", "later", "released", "open calls", "in doubt")


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


def lane_table(views: Iterable[PbxView], paused: set[str], *, with_lanes: bool) -> Iterator[str]:
    """
    Yield the lines of a table: a line for each PBX, and below it one for each lane if wanted.

    Args:
        views: The PBXs.
        paused: Names of those paused; `*` is the kill switch.
        with_lanes: Whether the lanes are shown.
    """
    widths = (20, 9, 9, 9, 10, 8)
    yield _line((*_LANE_COLUMNS, "state"), widths)
    for view in views:
        counts = (view.waiting, view.later, view.released, view.open_calls, view.in_doubt)
        yield _line((view.name, *(f"{count:,}" for count in counts), pbx_state(view, paused)), widths)
        for lane in view.lanes if with_lanes else ():
            state = f"in a call or resting, {lane.busy_s:.0f} s at most" if lane.busy_s > 0 else "free"
            yield _line((f"  {lane.extid}", f"{lane.waiting:,}", "", "", "", "", state), widths)


def pbx_state(view: PbxView, paused: set[str]) -> str:
    """Return whether a PBX takes calls, and why not."""
    reasons = []
    if KILL_SWITCH in paused:
        reasons.append("everything is paused")
    if view.name in paused:
        reasons.append("paused")
    if view.breaker != "closed":
        since = f" since {told(view.barred_since)}" if view.barred_since else ""
        next_try = f"for {duration(view.barred_s)} more" if view.breaker == "open" else "the next call is a trial"
        reasons.append(f"breaker {view.breaker}{since}, {next_try}: {view.barred_reason or 'no reason was given'}")
    return "; ".join(reasons) or "takes calls"


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
            text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
            yield f"{name:<12} {text}"


def _line(cells: Sequence[str], widths: Iterable[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
    return "  ".join([*padded, cells[-1]]).rstrip()
