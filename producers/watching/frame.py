"""A picture of a scene that fits a terminal, 80 columns by 24 lines and up."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from producers.times import duration, told
from producers.watching.attention import Concern, Level, concerns
from producers.watching.headline import headline
from producers.watching.lines import pbx_table
from producers.watching.recent import Ended
from producers.watching.scene import PbxScene, Scene
from worker.jobs import JobState

_LEVELS = {Level.BAD: ("✗", "bold red"), Level.WARNING: ("!", "yellow"), Level.NOTE: ("·", "cyan")}
_OTHERS = (JobState.EXPIRED, JobState.CANCELLED, JobState.REFUSED)
_MOST_ERRNOS = 3
# However low the terminal, so much is shown of what needs attention, and of the PBXs.
_FEWEST_CONCERNS, _FEWEST_PBXS = 2, 3
# Of one concern, where there is no end of room.
_LINES_EACH = 20
_WITHOUT_END = 50
# Calls per second below which a second decimal place is shown.
_SLOW = 0.1


@dataclass(frozen=True, slots=True)
class Away:
    """Redis does not answer: for so many seconds, with a sentence why."""

    for_s: float
    sentence: str


def frame(
    scene: Scene | None, *, width: int, height: int | None, interval_s: float | None, away: Away | None = None
) -> RenderableType:
    """
    Return the picture.

    Args:
        scene: What there is to show; None before the first look.
        width: Columns of the terminal.
        height: Its lines; None for no end, and then at most 50 PBXs.
        interval_s: How often a look is taken; None for once.
        away: Redis does not answer; *scene* is what was before.
    """
    head = [] if away is None else _away_lines(away)
    foot = [] if interval_s is None else [_foot(scene, interval_s)]
    if scene is None:
        return Group(*head, *([] if away else [Text("Asking Redis ...", style="dim")]), *foot)
    head += [_title(scene, is_old=away is not None), _facts(scene)]
    outcomes = _outcomes(scene)
    found = concerns(scene)
    # Besides them: two empty lines, the head of the table of PBXs, and the line of those left out.
    room = None if height is None else height - len(head) - outcomes.row_count - 1 - len(foot) - 4
    most_lines = None if room is None else max(_FEWEST_CONCERNS, room // 3, room - 1 - len(scene.pbxs))
    attention = list(_attention(found, most_lines, width))
    most_pbxs = _WITHOUT_END if room is None else max(_FEWEST_PBXS, room - len(attention) - bool(attention))
    ranked = scene.ranked()
    return Group(
        *head,
        *([Text(), *attention] if attention else []),
        Text(),
        pbx_table(ranked[:most_pbxs], width, scene.standstill),
        *_left_out(ranked[most_pbxs:]),
        Text(),
        outcomes,
        *foot,
    )


def _title(scene: Scene, *, is_old: bool) -> Text:
    first = headline(scene)
    colour = "grey35" if is_old else {True: "dark_green", False: "red3", None: "grey35"}[first.is_well]
    oldest = f", oldest {duration(scene.oldest_s)}" if scene.waiting else ""
    word = f"WAS {first.word}" if is_old else first.word
    return Text.assemble(
        (f" {word} ", f"bold white on {colour}"),
        ("  ", ""),
        (f"{_rate(scene.calls_per_second)} calls/s  " if first.word != "IDLE" else "", "bold"),
        f"{scene.calls_minute:,} in the last minute  {scene.waiting:,} waiting{oldest}",
        overflow="ellipsis",
        no_wrap=True,
    )


def _rate(calls_per_second: float) -> str:
    """Return a rate that is 0 only where it is."""
    return (
        f"{calls_per_second:.1f}"
        if calls_per_second >= _SLOW or not calls_per_second
        else f"{calls_per_second:.2f}"
    )


def _facts(scene: Scene) -> Text:
    overview, slow = scene.overview, scene.slow
    slots = sum(overview.workers.values())
    parts = [
        f"{_count(len(overview.workers), 'worker')}, {_count(slots, 'slot')}",
        f"Redis {_bytes(slow.server.memory_bytes)}{_of_limit(slow.server.memory_limit_bytes)}",
    ]
    if slow.server.replicas:
        parts.append(_count(slow.server.replicas, "replica"))
    if slow.endpoint_count:
        waiting, dead = (sum(getattr(one, name) for one in slow.endpoints) for name in ("waiting", "dead"))
        parts.append(f"{_count(slow.endpoint_count, 'endpoint')}: {waiting:,} to deliver, {dead:,} given up")
    if overview.undelivered:
        parts.append(f"{overview.undelivered:,} results under way")
    return Text(" · ".join(parts), style="dim", overflow="ellipsis", no_wrap=True)


def _attention(found: Sequence[Concern], most: int | None, width: int) -> Iterator[Text]:
    """Yield the concerns whole, the worst first, in at most so many lines; then how many are left out."""
    left, shown = len(found) * _LINES_EACH if most is None else most, 0
    for concern in found:
        room = left - (len(found) > shown + 1)
        lines = _lines_of(concern, width)
        if len(lines) > room and not shown:
            lines = [_one_line(concern, width)]
        if len(lines) > room:
            break
        left, shown = left - len(lines), shown + 1
        yield from lines
    if len(found) > shown:
        yield Text(f"  ... and {len(found) - shown:,} more to look at; see `outdial doctor`", style="dim")


def _lines_of(concern: Concern, width: int) -> list[Text]:
    """Return a concern whole: in one line where it fits, else its advice in a line of its own."""
    mark, style = _LEVELS[concern.level]
    advice = concern.command or concern.advice
    if len(concern.sentence) + (len(advice) + 5 if advice else 0) + 2 <= width:
        return [_one_line(concern, width)]
    pieces = textwrap.wrap(concern.sentence, width - 2)
    lines = [Text(f"{'  ' if number else mark + ' '}{piece}", style=style) for number, piece in enumerate(pieces)]
    lines += [
        Text(f"  -> {piece}" if not number else f"     {piece}")
        for number, piece in enumerate(textwrap.wrap(advice, width - 5))
    ]
    return lines


def _one_line(concern: Concern, width: int) -> Text:
    mark, style = _LEVELS[concern.level]
    sentence = Text(f"{mark} {concern.sentence}", style=style)
    advice = f"  -> {concern.command or concern.advice}" if concern.command or concern.advice else ""
    if len(sentence) + len(advice) > width:
        # A command is worth more than the end of a long reason; advice is not.
        advice = advice if concern.command else ""
        sentence.truncate(max(width // 2, width - len(advice)), overflow="ellipsis")
    return Text.assemble(sentence, (advice, "default"), overflow="ellipsis", no_wrap=True)


def _left_out(pbxs: Sequence[PbxScene]) -> Iterator[Text]:
    if pbxs:
        busy = sum(pbx.is_busy for pbx in pbxs)
        ill = sum(pbx.trouble is not None for pbx in pbxs)
        yield Text(f"... and {len(pbxs):,} more PBXs, {busy:,} with jobs, {ill:,} in trouble", style="dim")


def _outcomes(scene: Scene) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), expand=True, header_style="dim", pad_edge=False)
    table.add_column("ended", no_wrap=True)
    for name in ("placed", "failed", "unknown", "other"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("why not, in the last hour", ratio=1, no_wrap=True, overflow="ellipsis")
    reasons = [f"{count:,} {errno}: {scene.sentences.get(errno, '')}" for errno, count in scene.hour.by_errno]
    reasons += [""] * _MOST_ERRNOS
    rows = [("last minute", scene.minute), ("last hour", scene.hour)]
    if scene.overview.at > scene.began_at:
        rows.append((f"since {told(scene.began_at)[11:19]}", scene.since_start))
    for (name, ended), reason in zip(rows, reasons, strict=False):
        table.add_row(name, *_end_cells(ended), reason)
    if len(rows) < _MOST_ERRNOS and reasons[len(rows)]:
        table.add_row(*[""] * 5, reasons[len(rows)])
    return table


def _end_cells(ended: Ended) -> Iterator[Text]:
    least = "" if ended.is_all else "≥"
    kinds = (
        ((JobState.PLACED,), "green"),
        ((JobState.FAILED,), "red"),
        ((JobState.UNKNOWN,), "yellow"),
        (_OTHERS, "default"),
    )
    for states, style in kinds:
        count = ended.of(*states)
        yield Text(f"{least}{count:,}", style=style if count else "dim")


def _away_lines(away: Away) -> list[Text]:
    badge = (f" REDIS AWAY {away.for_s:.0f} s ", "bold white on red3")
    return [
        Text.assemble(badge, "  Nobody dials meanwhile. What was before:", overflow="ellipsis", no_wrap=True),
        Text(away.sentence, style="red", overflow="ellipsis", no_wrap=True),
    ]


def _foot(scene: Scene | None, interval_s: float) -> Text:
    looked = f" · {told(scene.overview.at)[11:19]} UTC, asked in {1000 * scene.taken_s:.0f} ms" if scene else ""
    return Text(f"q quits · every {interval_s:g} s{looked}", style="dim", overflow="ellipsis", no_wrap=True)


def _count(number: int, what: str) -> str:
    plural = "" if number == 1 else "es" if what.endswith("s") else "s"
    return f"{number:,} {what}{plural}"


def _bytes(count: int) -> str:
    for unit, size in (("GB", 2**30), ("MB", 2**20)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1024:.0f} kB"


def _of_limit(limit: int) -> str:
    return f" of {_bytes(limit)}" if limit else ""
