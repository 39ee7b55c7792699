"""The drawings of a report, one function each."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from producers.report.drawing import (
    BESIDE_PX,
    NARROW_PX,
    Plot,
    bar_axis,
    count_axis,
    drawing,
    label,
    time_axis,
)
from producers.report.spans import Span
from producers.report.summary import ENDS, Cause, Ends, ExtensionPart, Flow, GroupPart, Report, Tries
from producers.report.svg import INKS
from producers.report.waits import BARS
from producers.times import duration
from worker.jobs import JobState

# Of a bar's label.
_LABEL_PX = 50
# PBXs drawn one by one; the table has them all.
MOST_PBXS = 12
# The same of values that jobs are grouped by.
MOST_GROUPS = 20
# A limit so far above everything drawn would press the rest flat; it is written instead.
_FAR_ABOVE = 4.0


def calls_plot(report: Report) -> Plot:
    """Draw calls per minute against the limit, of all PBXs together."""
    flow, span = report.flow, report.span

    def paint(figure: Figure, width: int) -> None:
        axes = figure.subplots()
        _draw_flow(axes, flow, span)
        time_axis(axes, span, width)

    title = "Calls per minute"
    busiest = max(_per_minute(flow.placed, span), default=0.0)
    description = (
        f"Calls placed per minute over time, {busiest:,.0f} in the busiest step and {report.busiest.calls:,} in "
        f"the busiest 60 s; {_limit_words(flow.limit)}."
    )
    return drawing("calls", title, description, paint, height=260)


def pbx_calls_plot(report: Report) -> Plot:
    """Draw the same for each of the busiest PBXs, side by side."""
    parts = report.pbxs[:MOST_PBXS]

    def columns(width: int) -> int:
        # Two lines of two look better than three and one.
        return 1 if width == NARROW_PX else 2 if len(parts) in {2, 4} else 3

    def rows(width: int) -> int:
        return -(-len(parts) // columns(width))

    def paint(figure: Figure, width: int) -> None:
        grid = figure.subplots(rows(width), columns(width), squeeze=False)
        for axes, part in zip(grid.flat, parts, strict=False):
            _draw_flow(axes, part.flow, report.span)
            axes.set_title(f"{label(part.name)}, {_limit_words(part.flow.limit)}")
            time_axis(axes, report.span, NARROW_PX)
        for axes in grid.flat[len(parts) :]:
            axes.set_axis_off()

    names = ", ".join(part.name for part in parts)
    description = f"Calls placed per minute over time and the limit, one drawing for each of {names}."
    return drawing("calls-pbx", "Calls per minute by PBX", description, paint, height=lambda w: 185 * rows(w))


def outcomes_plot(report: Report) -> Plot:
    """Draw how jobs ended over time, the states on top of each other."""
    present = states_in(report.ends)

    def paint(figure: Figure, width: int) -> None:
        axes = figure.subplots()
        edges, floor = report.span.edges(), [0] * report.span.count
        for state in present:
            top = [below + ends.of(state) for below, ends in zip(floor, report.ended, strict=True)]
            axes.stairs(top, edges, baseline=floor, fill=True, color=INKS[state])
            floor = top
        count_axis(axes)
        time_axis(axes, report.span, width)

    told = ", ".join(f"{report.ends.of(state):,} {state}" for state in present)
    description = f"Jobs that ended, over time and by state: {told or 'none'}."
    return drawing("outcomes", "How jobs ended", description, paint, height=240, ends=present, widest=BESIDE_PX)


def causes_plot(causes: Sequence[Cause]) -> Plot:
    """Draw why jobs ended without a call: a bar for each errno."""
    present = states_in(*(cause.ends for cause in causes))
    rows = [(cause.errno, cause.ends) for cause in causes]
    description = "; ".join(f"{name}: {ends.total:,}" for name, ends in rows)
    return _bars("causes", "Why no call was placed", description, rows, present)


def extensions_plot(extensions: Sequence[ExtensionPart], *, with_pbx: bool) -> Plot:
    """Draw what came of the busiest extensions' jobs: a bar for each."""
    present = states_in(*(one.ends for one in extensions))
    rows = [(f"{one.pbx} {one.extid}" if with_pbx else one.extid, one.ends) for one in extensions]
    description = "; ".join(f"{name}: {ends.placed:,} of {ends.total:,} placed" for name, ends in rows)
    return _bars("extensions", "Jobs by extension", description, rows, present)


def groups_plot(groups: Sequence[GroupPart], by: str) -> Plot:
    """Draw what came of the jobs with each of the most frequent values: a bar for each."""
    present = states_in(*(part.ends for part in groups))
    rows = [(part.value, part.ends) for part in groups]
    description = "; ".join(f"{name}: {ends.placed:,} of {ends.total:,} placed" for name, ends in rows)
    return _bars("groups", f"Jobs by {label(by)}", description, rows, present)


def tries_plot(tries: Sequence[Tries], most: int) -> Plot:
    """Draw how many attempts jobs took."""

    def paint(figure: Figure, _width: int) -> None:
        axes = figure.subplots()
        labels = [f"{one.attempts}{'+' if one.attempts == most else ''}" for one in tries]
        placed = [one.placed for one in tries]
        axes.bar(labels, placed, width=0.7, color=INKS["placed"])
        others = [one.not_placed for one in tries]
        bars = axes.bar(labels, others, bottom=placed, width=0.7, color=INKS["calm"])
        axes.bar_label(bars, [f"{one.placed + one.not_placed:,}" for one in tries], padding=3, color=INKS["text"])
        axes.set_xlabel("attempts")
        bar_axis(axes, len(tries))
        axes.margins(y=0.15)
        count_axis(axes)

    description = "; ".join(f"{one.attempts} attempts: {one.placed + one.not_placed:,} jobs" for one in tries)
    return drawing("tries", "Attempts per job", description, paint, height=240, widest=BESIDE_PX)


def stock_plot(report: Report) -> Plot:
    """Draw how many jobs had been handed in and not ended."""
    span, stock = report.span, report.stock

    def paint(figure: Figure, width: int) -> None:
        axes = figure.subplots()
        axes.fill_between(span.edges(), stock, color=INKS["main-soft"], linewidth=0)
        axes.plot(span.edges(), stock, color=INKS["main"], linewidth=2, solid_joinstyle="round")
        count_axis(axes)
        time_axis(axes, span, width)

    most = f"at most {max(stock):,} at the borders of steps"
    description = f"{stock[0]:,} jobs at the beginning, {most}, {stock[-1]:,} at the end."
    return drawing("stock", "Jobs that had not ended", description, paint, height=230)


def latency_plot(report: Report) -> Plot:
    """Draw how long placed calls took from when the job could first go."""
    bars = report.latency.bars
    filled = [number for number, count in enumerate(bars) if count]
    shown = range(filled[0], filled[-1] + 1) if filled else range(0)

    def paint(figure: Figure, width: int) -> None:
        axes = figure.subplots()
        labels = [bar_label(number) for number in shown]
        drawn = axes.bar(labels, [bars[number] for number in shown], width=0.86, color=INKS["main"])
        if len(shown) <= width / _LABEL_PX:
            axes.bar_label(drawn, [f"{bars[number]:,}" for number in shown], padding=3, color=INKS["text"])
        axes.margins(y=0.15)
        count_axis(axes)
        if len(shown) > width / _LABEL_PX:
            axes.tick_params(axis="x", rotation=55)
        axes.set_xlabel("up to")
        bar_axis(axes, len(shown))

    description = "; ".join(f"{bar_label(number)}: {bars[number]:,}" for number in shown if bars[number])
    return drawing("latency", "From due to ringing", description, paint, height=240, widest=BESIDE_PX)


def bar_label(number: int) -> str:
    """Return the upper end of a bar of a latency, in the largest round unit."""
    if number == len(BARS):
        return f"> {_short(BARS[-1])}"
    return _short(BARS[number])


def states_in(*ends: Ends) -> tuple[JobState, ...]:
    """Return the final states that occur, in the order in which they are shown."""
    return tuple(state for state in ENDS if any(one.of(state) for one in ends))


def _short(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds:g} s"
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{seconds / unit_s:g} {unit}"
    return duration(seconds)


def _bars(
    name: str, title: str, description: str, rows: Sequence[tuple[str, Ends]], states: Sequence[JobState]
) -> Plot:
    def paint(figure: Figure, _width: int) -> None:
        axes = figure.subplots()
        places = range(len(rows))
        left = [0] * len(rows)
        bars = None
        for state in states:
            counts = [ends.of(state) for _, ends in rows]
            bars = axes.barh(places, counts, left=left, height=0.7, color=INKS[state])
            left = [below + count for below, count in zip(left, counts, strict=True)]
        if bars is not None:
            axes.bar_label(bars, [f"{total:,}" for total in left], padding=4, color=INKS["text"])
        axes.set_yticks(places, [label(one) for one, _ in rows], color=INKS["text"])
        axes.invert_yaxis()
        axes.margins(x=0.1, y=0.02)
        axes.grid(visible=False)
        axes.spines["bottom"].set_visible(False)
        axes.set_xticks([])

    return drawing(name, title, description, paint, height=18 + 24 * len(rows), ends=states)


def _draw_flow(axes: Axes, flow: Flow, span: Span) -> None:
    placed, begun = _per_minute(flow.placed, span), _per_minute(flow.begun, span)
    edges, highest = span.edges(), max(*begun, *placed, 1.0)
    axes.stairs(begun, edges, fill=True, color=INKS["begun"])
    axes.stairs(placed, edges, fill=True, color=INKS["placed"])
    if flow.limit is not None and is_limit_drawn(flow, span):
        axes.axhline(flow.limit, color=INKS["limit"], linewidth=1.75, linestyle=(0, (5, 3)))
        highest = max(highest, flow.limit)
    count_axis(axes)
    axes.set_ylim(0, highest * 1.08)


def is_limit_drawn(flow: Flow, span: Span) -> bool:
    """Return whether a drawing of *flow* has the line of its limit, which may be too far above all else."""
    highest = max(*_per_minute(flow.placed, span), *_per_minute(flow.begun, span), 1.0)
    return flow.limit is not None and flow.limit <= _FAR_ABOVE * highest


def _limit_words(limit: float | None) -> str:
    return "no limit known" if limit is None else f"limit {limit:,.4g}"


def _per_minute(counts: Sequence[int], span: Span) -> list[float]:
    return [count / minutes for count, minutes in zip(counts, span.minutes(), strict=True)]
