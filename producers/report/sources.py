"""What a report's page says of itself: what was counted and how, and what is not in it."""

from html import escape

from producers.report.summary import Report
from producers.report.tally import NO_PBX
from producers.times import duration

_COUNTING = (
    "A call counts when it was placed, an attempt when it was begun, an end when the job ended. Attempts of jobs "
    "that have not ended are not counted, and of jobs with very many attempts some are left out."
)
_RECKONING = (
    "Waiting over time is reckoned from when each job was handed in and when it ended (an unknown one that was "
    "resolved: when it was), of ended and of waiting jobs alike, as long as they have a record."
)
_LIMITS = (
    "Limits are those of the settings now, whatever they were then; a short step may hold a call more than its "
    "part of a minute. The busiest 60 s are those with the most calls placed, wherever they begin; calls that a "
    "person reported later are left out of them. Quantiles are good to 3 %."
)


def sources(report: Report) -> str:
    """Return it as a list."""
    lines = [_what_is_counted(report), _COUNTING, _RECKONING, _LIMITS]
    if any(part.name == NO_PBX for part in report.pbxs):
        lines.append(f"Jobs of PBX {escape(NO_PBX)} were refused for naming none.")
    return "<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"


def _what_is_counted(report: Report) -> str:
    span = report.span
    return (
        f"Counted are the records of jobs that ended from {span.told(span.since)} to {span.told(span.until)}, as "
        f"they were at {span.told(report.made_at)}. Records are kept for {duration(report.retain_s)} after the "
        "end (<code>retain_s</code>); those that have expired are left out."
    )
