"""The report as one page of HTML: no script, nothing loaded from anywhere."""

from html import escape
from importlib.resources import files

from producers.report.sections import sections
from producers.report.spans import Span
from producers.report.summary import Report
from producers.times import duration

# The page needs nothing from anywhere, and says so to whatever shows it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(report: Report) -> str:
    """Return a report as a page; the same report gives the same page."""
    look = (files("producers.report") / "look.css").read_text(encoding="utf-8")
    span = report.span
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">
<title>outdial report, {span.told(span.since)} to {span.told(span.until)}</title>
<style>
{look}</style>
</head>
<body>
<header>
<p class="brand">outdial</p>
<h1>What became of the jobs</h1>
<p>{_time(span.since, span)} to {_time(span.until, span)}
<span class="soft">({duration(span.until - span.since)}; all times are {escape(span.zone_name)})</span></p>
</header>
<main>
{"".join(sections(report))}</main>
<footer><p class="soft">Made {_time(report.made_at, span)}.</p></footer>
</body>
</html>
"""


def _time(unix_s: float, span: Span) -> str:
    text = span.told(unix_s)
    return f'<time datetime="{text}">{text[:10]} {text[11:19]}</time>'
