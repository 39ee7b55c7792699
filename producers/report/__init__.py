"""
What the dialer did in a stretch of time, counted and drawn: `outdial report`.

`gathering` streams the ended jobs through `tally`, which counts them by the bins of a `spans.Span` into a
`summary.Report`; `plots` draws it with matplotlib, `svg` makes the drawings fit to stand in a page, and `page`
writes the page.
"""
