"""The tables of numbers in a report's page, one beside each drawing."""

from collections.abc import Iterable, Sequence
from html import escape

from producers.report.spans import Span
from producers.report.summary import Cause, Ends, ExtensionPart, GroupPart, PbxPart, Report, Tries, UnknownJob
from producers.report.waits import BARS
from worker.jobs import JobState

# A page of thousands of rows is read by nobody; the JSON has them all.
MOST_PBX_ROWS = 100
MOST_GROUP_ROWS = 100
NOTHING = "-"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str, words: int = 1) -> str:
    """
    Return a table.

    Args:
        head: Titles of the columns.
        rows: Cells as text; the first of each row is its title.
        caption: What it holds, for those who cannot see where it stands.
        words: So many columns from the left hold words, the others numbers.
    """
    kinds = ["" if number < words else ' class="number"' for number in range(len(head))]
    titles = "".join(
        f'<th scope="col"{kind}>{escape(title)}</th>' for title, kind in zip(head, kinds, strict=True)
    )
    lines = "".join(_row(row, kinds) for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption>"
        f"<thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _row(cells: Sequence[str], kinds: Sequence[str]) -> str:
    first, *rest = (escape(cell) for cell in cells)
    others = "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(rest, kinds[1:], strict=True))
    return f'<tr><th scope="row">{first}</th>{others}</tr>'


def calls_table(report: Report) -> str:
    """Return calls placed and attempts begun, bin by bin."""
    flow = report.flow
    rows = [
        (begin, f"{placed:,}", f"{begun:,}", _rate(placed / minutes))
        for begin, placed, begun, minutes in zip(
            _begins(report.span), flow.placed, flow.begun, report.span.minutes(), strict=True
        )
    ]
    return table((_from(report.span), "placed", "attempts", "placed per minute"), rows, caption="Calls over time")


def pbx_calls_table(span: Span, parts: Sequence[PbxPart]) -> str:
    """Return calls placed per minute of some PBXs, bin by bin."""
    columns = [
        [_rate(count / minutes) for count, minutes in zip(part.flow.placed, span.minutes(), strict=True)]
        for part in parts
    ]
    rows = [(begin, *cells) for begin, cells in zip(_begins(span), zip(*columns, strict=True), strict=True)]
    head = (_from(span), *(part.name for part in parts))
    return table(head, rows, caption="Calls placed per minute, by PBX")


def outcomes_table(report: Report, states: Sequence[JobState]) -> str:
    """Return how jobs ended, bin by bin."""
    rows = [
        (begin, *(f"{ends.of(state):,}" for state in states), f"{ends.total:,}")
        for begin, ends in zip(_begins(report.span), report.ended, strict=True)
    ]
    return table((_from(report.span), *states, "all"), rows, caption="Ended jobs over time, by state")


def states_table(ends: Ends, states: Sequence[JobState]) -> str:
    """Return how many jobs ended in each state."""
    rows = [(state, f"{ends.of(state):,}", share(ends.of(state), ends.total)) for state in states]
    return table(("state", "jobs", "share"), rows, caption="Ended jobs by state")


def causes_table(causes: Sequence[Cause]) -> str:
    """Return why jobs ended without a call, with the sentence of each code."""
    rows = [
        (cause.errno or "(none)", cause.sentence or NOTHING, _states(cause.ends), f"{cause.ends.total:,}")
        for cause in causes
    ]
    return table(("errno", "what it says", "ended as", "jobs"), rows, caption="Jobs by errno", words=3)


def tries_table(tries: Sequence[Tries], most: int) -> str:
    """Return how many attempts jobs took."""
    rows = [
        (f"{one.attempts}{' or more' if one.attempts == most else ''}", f"{one.placed:,}", f"{one.not_placed:,}")
        for one in tries
    ]
    return table(("attempts", "placed", "not placed"), rows, caption="Jobs by attempts")


def stock_table(report: Report) -> str:
    """Return how many jobs had not ended, at each border of the bins."""
    span = report.span
    rows = [(span.told(edge), f"{count:,}") for edge, count in zip(span.edges(), report.stock, strict=True)]
    return table((f"at ({span.zone_name})", "jobs"), rows, caption="Jobs that had not ended")


def latency_table(report: Report) -> str:
    """Return how long calls took: quantiles first, then each bar."""
    latency = report.latency
    quantiles = (("half", latency.median_s), ("95 %", latency.p95_s), ("99 %", latency.p99_s))
    rows = [(f"{words} within", seconds(value)) for words, value in quantiles]
    rows.append(("the slowest", seconds(latency.longest_s if latency.count else None)))
    return table(("calls", "time"), rows, caption="From due to ringing")


def bars_table(report: Report) -> str:
    """Return how many calls took how long."""
    longest = (*(f"up to {seconds(bar)}" for bar in BARS), f"more than {seconds(BARS[-1])}")
    rows = [(words, f"{count:,}") for words, count in zip(longest, report.latency.bars, strict=True) if count]
    return table(("time", "calls"), rows, caption="Calls by time from due to ringing")


def extensions_table(extensions: Sequence[ExtensionPart]) -> str:
    """Return what came of the busiest extensions' jobs."""
    rows = [
        (
            one.extid,
            one.pbx,
            *(f"{count:,}" for count in (one.ends.placed, one.ends.failed, one.ends.unknown)),
            f"{one.ends.total - one.ends.placed - one.ends.failed - one.ends.unknown:,}",
        )
        for one in extensions
    ]
    head = ("extension", "pbx", "placed", "failed", "unknown", "other ends")
    return table(head, rows, caption="The busiest extensions", words=2)


def pbxs_table(parts: Sequence[PbxPart]) -> str:
    """Return a line for each PBX; of very many, those with the most calls."""
    head = (
        *("pbx", "placed", "failed", "unknown", "other ends", "placed share", "tries per job"),
        *("half within", "95 % within", "busiest 60 s", "limit per min", "waiting now", "oldest", "later"),
    )
    return table(head, (_pbx_row(part) for part in parts[:MOST_PBX_ROWS]), caption="PBXs")


def _pbx_row(part: PbxPart) -> Sequence[str]:
    ends, now = part.ends, part.now
    others = ends.total - ends.placed - ends.failed - ends.unknown
    waits = (
        (f"{now.waiting:,}", seconds(now.oldest_s) if now.waiting else NOTHING, f"{now.later:,}")
        if now
        else (NOTHING, NOTHING, NOTHING)
    )
    return (
        part.name,
        *(f"{count:,}" for count in (ends.placed, ends.failed, ends.unknown, others)),
        NOTHING if ends.placed_share is None else f"{100 * ends.placed_share:.1f} %",
        f"{part.attempts / ends.total:.2f}" if ends.total else NOTHING,
        seconds(part.latency.median_s),
        seconds(part.latency.p95_s),
        f"{part.busiest.calls:,}",
        NOTHING if part.flow.limit is None else f"{part.flow.limit:,.4g}",
        *waits,
    )


def groups_table(groups: Sequence[GroupPart], by: str) -> str:
    """Return a line for each value that jobs are grouped by; of very many, those with the most jobs."""
    rows = [
        (
            part.value,
            f"{part.ends.total:,}",
            *(f"{count:,}" for count in (part.ends.placed, part.ends.failed, part.ends.unknown)),
            f"{part.ends.total - part.ends.placed - part.ends.failed - part.ends.unknown:,}",
            NOTHING if part.ends.placed_share is None else f"{100 * part.ends.placed_share:.1f} %",
            f"{part.attempts / part.ends.total:.2f}" if part.ends.total else NOTHING,
            seconds(part.latency.median_s),
            seconds(part.latency.p95_s),
        )
        for part in groups[:MOST_GROUP_ROWS]
    ]
    head = (
        *(by, "jobs", "placed", "failed", "unknown", "other ends", "placed share", "tries per job"),
        *("half within", "95 % within"),
    )
    return table(head, rows, caption=f"Jobs by {by}")


def unknowns_table(unknowns: Sequence[UnknownJob], span: Span, *, with_extensions: bool) -> str:
    """Return the jobs that a person has to resolve, newest first."""
    head = ("job", "pbx", *(["extension"] if with_extensions else []), f"ended ({span.zone_name})", "errno")
    rows = [
        (
            job.id,
            job.pbx,
            *([job.extid or NOTHING] if with_extensions else []),
            span.told(job.ended_at),
            job.errno or NOTHING,
        )
        for job in reversed(unknowns)
    ]
    return table(head, rows, caption="Jobs that may have rung", words=len(head))


def seconds(value: float | None) -> str:
    """Return a duration with two digits or so, in the unit that suits it."""
    if value is None:
        return NOTHING
    if value < 10:
        return f"{value:.2g} s"
    for unit_s, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if value >= 2 * unit_s:
            return f"{value / unit_s:,.1f} {unit}"
    return f"{value:.0f} s"


def share(part: int, whole: int) -> str:
    """Return a part in per cent."""
    return f"{100 * part / whole:.1f} %" if whole else NOTHING


def _states(ends: Ends) -> str:
    return ", ".join(
        state for state in ("failed", "unknown", "expired", "cancelled", "refused") if getattr(ends, state)
    )


def _begins(span: Span) -> list[str]:
    return [span.told(edge) for edge in span.edges()[:-1]]


def _from(span: Span) -> str:
    return f"from ({span.zone_name})"


def _rate(per_minute: float) -> str:
    return f"{per_minute:,.1f}" if per_minute < 100 else f"{per_minute:,.0f}"
