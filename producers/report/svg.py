"""
Making a drawing of matplotlib's fit to stand in a page.

Its SVG is a file of its own: with fixed colours, fonts by name, and ids that are the same in every file. In a page
the colours are the page's, light or dark, and ids are told apart by a prefix.
"""

import io
import re
from collections.abc import Mapping
from html import escape

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Names of custom properties of the page's style sheet, each with a colour that no plot would use: what is drawn in
# that colour gets the property's.
INKS: Mapping[str, str] = {
    name: f"#fe{number:02x}fe"
    for number, name in enumerate(
        (
            *("text", "soft", "line", "main", "main-soft", "begun", "limit", "calm"),
            *("placed", "failed", "unknown", "expired", "cancelled", "refused"),
        )
    )
}
_FONT = re.compile(r"font: (?:[a-z0-9]+ )?([0-9.]+px) [^;\"]+")
_ID = re.compile(r'(\bid="|url\(#|href="#)')
_HEAD = re.compile(r"^.*?<svg[^>]*>\s*(?:<metadata>.*?</metadata>\s*)?", re.DOTALL)


def inlined(figure: Figure, name: str, *, title: str, description: str) -> str:
    """
    Return a figure as an `svg` element.

    The same figure gives the same text: it holds no date, and ids made from *name*.

    Args:
        figure: Drawn in the colours of INKS, a unit of which is a pixel at 72 dots per inch.
        name: Letters, digits and dashes, another one for each element of a page.
        title: What it shows, in a few words.
        description: What can be seen in it, for those who do not see it.
    """
    file = io.StringIO()
    FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})  # type: ignore[no-untyped-call]
    body = _HEAD.sub("", file.getvalue())
    # In a page, href needs no name space of its own (SVG 2).
    body = _FONT.sub(r"font-size: \1", body).replace("xlink:href", "href")
    body = _ID.sub(rf"\g<1>{name}-", body)
    for ink, colour in INKS.items():
        body = body.replace(colour, f"var(--{ink})")
    width, height = (round(72 * inches) for inches in figure.get_size_inches())
    return (
        f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>{body}'
    )
