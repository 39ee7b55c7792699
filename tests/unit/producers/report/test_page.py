"""The page of a report: whole, the same each time, and readable without seeing, script or network."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest

from producers.report.page import page
from producers.report.spans import Span
from tests.unit.producers.report.ended import NINE, ended
from tests.unit.producers.report.test_tally import counted
from worker.jobs import JobState

_VOID = {"meta", "link", "br"}


class Reading(HTMLParser):
    """Reads a page as strictly as it should be written: each element closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.names: set[str] = set()
        self.links: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "action", "data"):
                self.links.append(value or "")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def text() -> str:
    """A page with all there can be in it."""
    return page(
        counted(
            *(ended(n, extid=str(1000 + n % 30), pbx=f"p{n % 14}") for n in range(60)),
            ended(61, JobState.FAILED, errno="<b>$x$", error="a & b"),
            ended(62, JobState.UNKNOWN, errno="no_reply", error="lost", attempts=3),
            ended(63, JobState.EXPIRED, attempts=0, claims=()),
        )
    )


def test_the_page_is_well_formed_and_loads_nothing(text: str) -> None:
    read = Reading(text)
    assert read.open == []
    assert len(read.ids) == len(set(read.ids))
    assert all(link.startswith("#") for link in read.links)
    assert {"script", "link", "img", "iframe"} & read.names == set()
    assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]+"|http-equiv', "", text)
    assert "<b>$x$" not in text


def test_every_drawing_has_a_title_a_description_and_a_table(text: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) == 16, "eight, each in two widths"
    for drawing in drawings:
        root = ET.fromstring(drawing)
        title, description = root[0], root[1]
        assert title.text
        assert description.text
        assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
        assert not re.search(r"#fe[0-9a-f]{2}fe", drawing), "each colour is the page's own"
    for section in re.findall(r'<section id="(?!unknowns|sources).*?</section>', text, re.DOTALL):
        assert "<table>" in section


def test_the_same_report_is_the_same_page() -> None:
    report = counted(ended(1))
    assert page(report) == page(report)


def test_an_unknown_job_is_named_with_what_to_do(text: str) -> None:
    unknowns = text.split('<section id="unknowns"')[1]
    assert "job-62" in unknowns
    assert "outdial resolve ID --placed CALLID" in unknowns


def test_whom_to_ask_about_an_unknown_job_stands_beside_it(text: str) -> None:
    unknowns = text.split('<section id="unknowns"')[1]
    assert '<th scope="col">extension</th>' in unknowns
    assert "<td>1001</td>" in unknowns


def test_the_legend_names_only_what_is_drawn() -> None:
    busy = page(counted(*(ended(n / 4) for n in range(400))))
    assert '<i class="limit"></i>' in busy
    idle = page(counted(ended(1)))
    assert '<i class="limit"></i>' not in idle
    assert "At 180 it is far above all that was dialed, and is not drawn." in idle


def test_a_page_by_metadata_and_in_a_time_zone() -> None:
    span = Span.of(NINE, NINE + 600, zone=ZoneInfo("Europe/Berlin"))
    text = page(
        counted(ended(1, entry="<spring>"), ended(2, JobState.FAILED, entry=None), by="campaign", span=span)
    )
    assert Reading(text).open == []
    assert "all times are Europe/Berlin" in text
    assert "2026-11-23T10:00:00+01:00" in text
    assert "from (Europe/Berlin)" in text
    groups = text.split('<section id="groups"')[1].split("</section>")[0]
    assert "By metadata.campaign" in groups
    assert "&lt;spring&gt;" in groups
    assert "(none)" in groups


def test_a_page_without_jobs_says_so() -> None:
    text = page(counted())
    assert "Nothing ended in this time." in text
    assert Reading(text).open == []


def test_a_page_without_a_call_or_an_extension_leaves_those_parts_out() -> None:
    odd = ended(1, JobState.REFUSED, pbx="", extid="", errno="", error="", attempts=0, claims=())
    text = page(counted(odd, with_extensions=False))
    assert 'id="latency"' not in text
    assert 'id="extensions"' not in text
    assert "(none)" in text
