"""What stands in a report's page, section by section, as HTML."""

from collections.abc import Iterator
from html import escape

from producers.report import plots, tables
from producers.report.drawing import Plot
from producers.report.sources import sources
from producers.report.summary import Report
from producers.report.tally import MOST_ATTEMPTS, MOST_CAUSES, MOST_GROUPS, OTHER_VALUES
from producers.times import duration
from worker.jobs import JobState

_MEANINGS = {
    JobState.PLACED: "the PBX took the call",
    JobState.FAILED: "certainly did not ring",
    JobState.UNKNOWN: "may have rung",
    JobState.EXPIRED: "its time ran out",
    JobState.CANCELLED: "withdrawn",
    JobState.REFUSED: "a rule forbids it",
}


def sections(report: Report) -> Iterator[str]:
    """Yield a report's sections, as `section` elements, in the order in which one on call would ask."""
    yield _tiles(report)
    if report.ends.total:
        yield _calls(report)
        if len(report.pbxs) > 1:
            yield _pbx_calls(report)
        yield _outcomes(report)
        if report.causes:
            yield _causes(report)
        yield _tries(report)
        if report.latency.count:
            yield _latency(report)
    else:
        yield _section("nothing", "No job ended", "<p>Nothing ended in this time.</p>")
    yield _stock(report)
    if report.groups:
        yield _groups(report)
    if report.extensions:
        yield _extensions(report)
    yield _pbxs(report)
    yield _unknowns(report)
    yield _section("sources", "What this is made of", sources(report))


def _section(name: str, title: str, *parts: str) -> str:
    body = "\n".join(part for part in parts if part)
    head = f'<h2 id="{name}-head">{title}</h2>'
    return f'<section id="{name}" aria-labelledby="{name}-head">\n{head}\n{body}\n</section>\n'


def _tiles(report: Report) -> str:
    ends, latency = report.ends, report.latency
    placed = "" if ends.placed_share is None else f"{100 * ends.placed_share:.1f} % of those dialed"
    tiles = (
        ("jobs ended", f"{ends.total:,}", f"{report.attempts:,} attempt{'' if report.attempts == 1 else 's'}"),
        ("placed", f"{ends.placed:,}", placed),
        ("failed", f"{ends.failed:,}", "certainly did not ring"),
        (
            "unknown",
            f"{ends.unknown:,}",
            "may have rung; to be resolved" if ends.unknown else "none to be resolved",
        ),
        ("from due to ringing", tables.seconds(latency.median_s), _within(report)),
        ("busiest 60 s", f"{report.busiest.calls:,}", f"calls placed; {_limit(report.flow.limit, ' a minute')}"),
    )
    lines = "".join(
        f'<div class="tile{" warn" if name == "unknown" and ends.unknown else ""}"><dt>{name}</dt>'
        f"<dd>{value} <small>{note}</small></dd></div>"
        for name, value, note in tiles
    )
    return f'<section aria-label="In short"><dl class="tiles">{lines}</dl></section>\n'


def _within(report: Report) -> str:
    p95 = report.latency.p95_s
    return (
        "no call was placed"
        if p95 is None
        else f"or less for half of the calls; 95 % within {tables.seconds(p95)}"
    )


def _limit(limit: float | None, unit: str = "") -> str:
    return "no limit in the settings" if limit is None else f"limit {limit:,.4g}{unit}"


def _calls(report: Report) -> str:
    text = f"In steps of {_width(report)}. The limit is that of all PBXs in the settings together."
    entries = [("placed", "calls placed"), ("begun", "attempts begun")]
    if plots.is_limit_drawn(report.flow, report.span):
        entries.append(("limit", _limit(report.flow.limit)))
    elif report.flow.limit is not None:
        text += f" At {report.flow.limit:,.4g} it is far above all that was dialed, and is not drawn."
    key = _key(*entries)
    figure = _figure(plots.calls_plot(report), key)
    return _section("calls", "Calls per minute", _lead(text), figure, _numbers(tables.calls_table(report)))


def _pbx_calls(report: Report) -> str:
    shown = report.pbxs[: plots.MOST_PBXS]
    left = len(report.pbxs) - len(shown)
    text = "The same for each PBX, with its own limit and scale."
    if left:
        text = f"The same for the {len(shown)} PBXs with the most calls, each with its own limit and scale; "
        text += f"{left:,} more are in the table of PBXs."
    table = _numbers(tables.pbx_calls_table(report.span, shown))
    return _section(
        "calls-pbx", "Calls per minute by PBX", _lead(text), _figure(plots.pbx_calls_plot(report)), table
    )


def _outcomes(report: Report) -> str:
    plot = plots.outcomes_plot(report)
    beside = tables.states_table(report.ends, plot.ends)
    text = f"Jobs that ended in each {_width(report)}, by state."
    return _section(
        "outcomes",
        "How jobs ended",
        _lead(text),
        _beside(_figure(plot, _states_key(plot)), beside),
        _numbers(tables.outcomes_table(report, plot.ends)),
    )


def _causes(report: Report) -> str:
    plot = plots.causes_plot(report.causes)
    text = "Codes are the PBX's own, words are ours; a job that was tried again and then placed is not here."
    if len(report.causes) == MOST_CAUSES:
        text += f" The {MOST_CAUSES} most frequent are shown."
    return _section(
        "causes",
        "Why no call was placed",
        _lead(text),
        _figure(plot, _states_key(plot)),
        tables.causes_table(report.causes),
    )


def _tries(report: Report) -> str:
    text = "What certainly did not ring is tried again; 0 are jobs that ended before any call."
    key = _key(("placed", "placed"), ("calm", "not placed"))
    figure = _figure(plots.tries_plot(report.tries, MOST_ATTEMPTS), key)
    return _section(
        "tries", "Attempts per job", _lead(text), _beside(figure, tables.tries_table(report.tries, MOST_ATTEMPTS))
    )


def _latency(report: Report) -> str:
    text = (
        "How long placed calls took from when the job could first go (handed in, or its not_before) to the PBX's "
        "answer: the time in its lane, retries and the PBX's own time together."
    )
    figure = _figure(plots.latency_plot(report))
    return _section(
        "latency",
        "From due to ringing",
        _lead(text),
        _beside(figure, tables.latency_table(report)),
        _numbers(tables.bars_table(report)),
    )


def _stock(report: Report) -> str:
    now = [part.now for part in report.pbxs if part.now]
    waiting, later = sum(one.waiting for one in now), sum(one.later for one in now)
    text = (
        "Jobs that had been handed in and had not ended, whatever they waited for: their turn, a time to come, or "
        f"the end of their call. Now {waiting:,} may go as soon as pacing allows, and {later:,} have a time to "
        "come."
    )
    return _section(
        "stock",
        "Waiting over time",
        _lead(text),
        _figure(plots.stock_plot(report)),
        _numbers(tables.stock_table(report)),
    )


def _groups(report: Report) -> str:
    assert report.groups is not None
    groups, by = report.groups, f"metadata.{report.by}"
    plot = plots.groups_plot(groups[: plots.MOST_GROUPS], by)
    text = f"What came of the jobs with each value of {by}; (none) are those without it."
    if len(groups) > tables.MOST_GROUP_ROWS:
        text += f" Shown are the {tables.MOST_GROUP_ROWS} values with the most jobs; --json has more."
    if any(part.value == OTHER_VALUES for part in groups):
        text += f" Values beyond the first {MOST_GROUPS} are counted together as {OTHER_VALUES}."
    figure = _figure(plot, _states_key(plot))
    return _section("groups", f"By {escape(by)}", _lead(text), figure, tables.groups_table(groups, by))


def _extensions(report: Report) -> str:
    assert report.extensions is not None
    with_pbx = len({one.pbx for one in report.extensions}) > 1
    plot = plots.extensions_plot(report.extensions, with_pbx=with_pbx)
    left = report.extension_count - len(report.extensions)
    text = f"The {len(report.extensions)} extensions with the most jobs; {left:,} more had some." if left else ""
    return _section(
        "extensions",
        "Extensions",
        _lead(text),
        _figure(plot, _states_key(plot)),
        _numbers(tables.extensions_table(report.extensions)),
    )


def _pbxs(report: Report) -> str:
    left = len(report.pbxs) - tables.MOST_PBX_ROWS
    more = f" {left:,} more with fewer calls are left out here; <code>--json</code> has them." if left > 0 else ""
    gone = (
        " One without a limit is not in the settings any more."
        if any(not part.now for part in report.pbxs)
        else ""
    )
    text = f"Shares are of jobs that were dialed.{gone}{more}"
    return _section("pbxs", "PBXs", f"<p>{text}</p>", tables.pbxs_table(report.pbxs))


def _unknowns(report: Report) -> str:
    if not report.unknowns:
        return _section("unknowns", "To be resolved", "<p>No job that ended in this time is unknown.</p>")
    left = report.ends.unknown - len(report.unknowns)
    table = tables.unknowns_table(report.unknowns, report.span, with_extensions=report.extensions is not None)
    text = (
        "These may have rung, and none was repeated. Look into the PBX's call records or ask at the extension, "
        "then say what became of each: <code>outdial resolve ID --placed CALLID</code>, <code>--failed</code> or "
        "<code>--redial</code>."
    )
    if left > 0:
        text += f" {left:,} older ones are listed by <code>outdial results --state unknown</code>."
    return _section("unknowns", "To be resolved", f"<p>{text}</p>", table)


def _lead(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def _width(report: Report) -> str:
    return duration(report.span.width_s)


def _figure(plot: Plot, key: str = "") -> str:
    return f'<figure><div class="wide">{plot.wide}</div><div class="narrow">{plot.narrow}</div>{key}</figure>'


def _key(*entries: tuple[str, str]) -> str:
    items = "".join(f'<li><i class="{kind}"></i>{escape(words)}</li>' for kind, words in entries)
    return f'<ul class="key">{items}</ul>'


def _states_key(plot: Plot) -> str:
    return _key(*((str(state), f"{state}: {_MEANINGS[state]}") for state in plot.ends))


def _beside(figure: str, table: str) -> str:
    return f'<div class="beside">{figure}{table}</div>'


def _numbers(table: str) -> str:
    return f"<details><summary>The numbers</summary>{table}</details>"
