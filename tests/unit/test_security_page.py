"""SECURITY.md names tests that are there, and leads to sections that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_every_test_it_names_is_there() -> None:
    named = set(re.findall(r"`(tests/[A-Za-z0-9_./]+\.py)`", PAGE))
    assert len(named) > 20
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_every_threat_names_what_holds_its_answer_there() -> None:
    rows = [row for row in PAGE.splitlines() if row.startswith("| **")]
    assert [row for row in rows if not re.search(r"\| `[^|]+` \|$", row)] == []


def test_its_links_lead_somewhere() -> None:
    for file, anchor in re.findall(r"\]\(([A-Za-z/._-]+)#?([a-z-]*)\)", PAGE):
        text = (ROOT / file).read_text(encoding="utf-8")
        anchors = {re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in _heads(text)}
        assert not anchor or anchor in anchors


def _heads(text: str) -> list[str]:
    return [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
