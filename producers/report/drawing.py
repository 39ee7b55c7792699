"""
How a report's drawings are made: each in two widths, one for screens and paper and one for phones, with letters of
the same size.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from producers.report.spans import Span
from producers.report.svg import INKS, inlined
from worker.jobs import JobState

# The width of a page's column, of a drawing with a table beside it, and of a phone.
WIDE_PX, BESIDE_PX, NARROW_PX = 880, 600, 340
_DAY_S = 86400
_LONGEST_LABEL = 20
_FEWEST_BARS = 6
# matplotlib's types want each name spelled out as a literal.
_STYLE: dict[Any, Any] = {
    # A code of a PBX may hold anything.
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "outdial",
    "font.size": 12,
    "axes.edgecolor": INKS["line"],
    "axes.labelcolor": INKS["soft"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INKS["text"],
    "axes.labelsize": 12,
    "grid.color": INKS["line"],
    "grid.linewidth": 1,
    "text.color": INKS["text"],
    "xtick.color": INKS["soft"],
    "ytick.color": INKS["soft"],
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 11.5,
    "xtick.major.size": 4,
    "ytick.major.size": 0,
    "ytick.major.pad": 6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "patch.linewidth": 0,
}

# Whoever makes a report may have a matplotlibrc, and the page is to be the same.
_PLAIN: dict[Any, Any] = {name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"}


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing as two `svg` elements, of which a page shows one; `ends` are the states whose colours it has."""

    wide: str
    narrow: str
    ends: tuple[JobState, ...] = ()


Painter = Callable[[Figure, int], None]


def drawing(
    name: str,
    title: str,
    description: str,
    paint: Painter,
    *,
    height: float | Callable[[int], float],
    ends: Sequence[JobState] = (),
    widest: int = WIDE_PX,
) -> Plot:
    """
    Draw something in both widths.

    Args:
        name: Letters and dashes, another one for each drawing of a page.
        title: What it shows, in a few words.
        description: What can be seen in it, for those who do not see it.
        paint: Draws into a figure that is so many pixels wide.
        height: In pixels; may depend on the width.
        ends: The states whose colours it has.
        widest: The greater of its two widths, in pixels.
    """
    drawn: list[str] = []
    with mpl.rc_context(_PLAIN | _STYLE):
        for kind, width in (("wide", widest), ("narrow", NARROW_PX)):
            tall = height(width) if callable(height) else height
            figure = Figure(figsize=(width / 72, tall / 72), dpi=72, layout="constrained")
            paint(figure, width)
            drawn.append(inlined(figure, f"{name}-{kind}", title=title, description=description))
    wide, narrow = drawn
    return Plot(wide, narrow, tuple(ends))


def label(text: str) -> str:
    """Return a code or a name as short and plain as a drawing can have it."""
    # They come from records; letters that its font lacks would make matplotlib complain.
    plain = "".join(char if " " <= char <= "~" else "?" for char in text) or "(none)"
    return plain if len(plain) <= _LONGEST_LABEL else f"{plain[: _LONGEST_LABEL - 1]}…"


def count_axis(axes: Axes) -> None:
    """Let the vertical axis count whole things from 0 up."""
    axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=2))
    axes.yaxis.set_major_formatter(lambda value, _place: f"{value:,.0f}")


def bar_axis(axes: Axes, bars: int) -> None:
    """Keep a few bars from filling the whole drawing."""
    axes.set_xlim(-0.6, max(bars, _FEWEST_BARS) - 0.4)


def time_axis(axes: Axes, span: Span, width: int) -> None:
    """Let the horizontal axis tell the times of a span, as many as there is room for in so many pixels."""
    ticks = span.ticks(max(3, width // 100))
    axes.set_xticks(ticks, [time_label(tick, span) for tick in ticks])
    axes.set_xlim(span.since, span.until)


def time_label(moment: float, span: Span) -> str:
    """Return a time in the zone of the span, as short as the span allows."""
    at = datetime.fromtimestamp(moment, span.zone)
    length_s = span.until - span.since
    if length_s <= 5 * 60:
        return f"{at:%H:%M:%S}"
    if length_s <= _DAY_S:
        return f"{at:%H:%M}"
    return f"{at.day} {at:%b}" if (at.hour, at.minute) == (0, 0) else f"{at.day} {at:%b %H:%M}"
