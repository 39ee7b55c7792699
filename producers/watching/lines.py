"""The lines of a watch about PBXs: one each, with as many columns as there is room for."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from producers.masking import masked
from producers.times import duration
from producers.watching.scene import PbxScene, Trouble
from worker.jobs import Priority

# Columns of the terminal from which waiting jobs are told by priority, and from which reasons are told too.
_WIDE, _WIDER = 104, 130
_BAR = 8
_NEARLY = 0.9


def pbx_table(pbxs: Sequence[PbxScene], width: int, standstill: str = "") -> Table:
    """Return the table of some PBXs, for a terminal of *width* columns; *standstill* as in `Scene`."""
    table = Table(box=None, padding=(0, 1, 0, 0), expand=True, header_style="dim", pad_edge=False)
    table.add_column("pbx", no_wrap=True, overflow="ellipsis", max_width=32 if width >= _WIDE else 12)
    if width >= _WIDE:
        table.add_column("of limit", no_wrap=True, width=_BAR)
    for name in _numbers(width):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state", ratio=1, no_wrap=True, overflow="ellipsis")
    for pbx in pbxs:
        table.add_row(*_cells(pbx, width, standstill))
    return table


def _numbers(width: int) -> Sequence[str]:
    waiting = ("urgent", "normal", "bulk") if width >= _WIDE else ("waiting",)
    failed = ("failed/min",) if width >= _WIDE else ()
    return ("calls/s", "/min", *failed, *waiting, "oldest", "later", "rel", "open", "doubt")


def _cells(pbx: PbxScene, width: int, standstill: str) -> list[Text | str]:
    glance, is_wide = pbx.glance, width >= _WIDE
    waiting = [glance.waiting[priority] for priority in Priority] if is_wide else [glance.waiting_in_all]
    number = _number if is_wide else _short
    oldest = duration(glance.oldest_in_all_s) if glance.waiting_in_all else ""
    return [
        Text(glance.name, style="bold" if pbx.is_busy else "dim"),
        *([_bar(pbx)] if is_wide else []),
        f"{pbx.calls_per_second:.1f}/{glance.calls_per_second:g}" if glance.is_known else "-",
        _number(pbx.placed_minute),
        *([_number(pbx.not_placed_minute, "red")] if is_wide else []),
        *(number(count) for count in waiting),
        Text(oldest, style="yellow" if pbx.trouble is Trouble.STUCK else ""),
        number(glance.later),
        number(glance.released),
        f"{glance.open_calls}/{glance.max_open_calls}" if glance.is_known else "-",
        _number(glance.in_doubt, "yellow"),
        _state(pbx, width, standstill),
    ]


def _number(count: int, style: str = "") -> Text:
    return Text(f"{count:,}", style=style) if count else Text("·", style="dim")


def _short(count: int) -> Text:
    """Return a count in at most five characters, for a narrow terminal."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= 10 * size:
            return Text(f"{count // size}{unit}")
    return _number(count)


def _bar(pbx: PbxScene) -> Text:
    limit = pbx.glance.calls_per_second
    share = min(1.0, pbx.calls_per_second / limit) if limit else 0.0
    full = round(share * _BAR)
    return Text.assemble(("█" * full, "green" if share < _NEARLY else "cyan"), ("░" * (_BAR - full), "dim"))


_STATES = {
    Trouble.ALL_FAIL: ("all calls fail", "bold red"),
    Trouble.STUCK: ("none placed", "yellow"),
    Trouble.NOT_KNOWN: ("not known", "yellow"),
    Trouble.PAUSED: ("paused", "cyan"),
}


def _state(pbx: PbxScene, width: int, standstill: str) -> Text:
    glance, trouble = pbx.glance, pbx.trouble
    if standstill and trouble in (None, Trouble.STUCK, Trouble.NOT_KNOWN):
        return Text(standstill, style="bold red" if pbx.is_busy else "red")
    if trouble is None:
        return Text("takes calls", style="green" if pbx.is_busy else "dim")
    if trouble in _STATES:
        return Text(*_STATES[trouble])
    what = "log-in barred" if trouble is Trouble.LOGIN else f"breaker {glance.breaker.state}"
    if width < _WIDE:
        what = what.removeprefix("breaker ")
    reason = f": {masked(glance.breaker.reason)}" if width >= _WIDER and glance.breaker.reason else ""
    return Text(f"{what}{', paused' if glance.is_paused else ''}{reason}", style="bold red")
