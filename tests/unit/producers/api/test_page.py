"""The files of the pages: all of them are served, and none of them lets anything in from outside."""

import re
from pathlib import Path

import pytest

from producers.api import page

FOLDER = Path(page.__file__).parent / "static"
FILES = sorted(FOLDER.iterdir())
WAYS_TO_HTML = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "eval(",
    "new Function",
    "srcdoc",
)


def test_every_file_is_served_under_its_own_path_and_nothing_else_is_open() -> None:
    assert set(page._FILES.values()) == {file.name for file in FILES}
    assert set(page.OPEN_PATHS) == {"/", "/docs", *(f"/static/{name}" for name in page._PARTS)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_file_asks_another_server(file: Path) -> None:
    addresses = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]+", file.read_text())
    assert set(addresses) <= {"http://www.w3.org"}  # the name of SVG, which is no request


@pytest.mark.parametrize("file", [file for file in FILES if file.suffix == ".js"], ids=lambda file: file.name)
def test_scripts_have_no_way_to_read_text_as_html(file: Path) -> None:
    assert [way for way in WAYS_TO_HTML if way in file.read_text()] == []


@pytest.mark.parametrize("file", [file for file in FILES if file.suffix == ".html"], ids=lambda file: file.name)
def test_pages_hold_no_script_or_style_of_their_own(file: Path) -> None:
    text = file.read_text()
    assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=|javascript:", text) == []
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
