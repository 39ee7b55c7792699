"""What CHANGELOG.md must have before a version is released."""

import re
from datetime import UTC, date, datetime

from ops.release.refusal import ReleaseRefusedError

_HEADING = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - (?P<day>\S+))?\s*$", re.MULTILINE)


def changelog_problems(text: str, version: str) -> list[str]:
    """
    Return a sentence for each thing that keeps *version* from its release; none if its section is ready.

    Its section has a date and contents, and the section Unreleased is empty or absent.
    """
    sections = _sections(text)
    if version not in sections:
        today = datetime.now(UTC).date()
        advice = f"`make release-prepare VERSION={version}` makes `## [{version}] - {today}` of [Unreleased]"
        return [f"CHANGELOG.md has no section for {version}; {advice}"]
    day, contents = sections[version]
    problems = []
    if not _is_day(day):
        dated = f"the date {day}" if day else "no date"
        problems.append(f"CHANGELOG.md: {version} has {dated}; write `## [{version}] - YYYY-MM-DD`")
    if not contents:
        problems.append(f"CHANGELOG.md: the section {version} is empty; write what an operator would notice")
    if sections.get("Unreleased", ("", ""))[1]:
        problems.append(f"CHANGELOG.md: [Unreleased] has entries; move them to {version}, or raise the version")
    return problems


def with_section(text: str, version: str, today: date) -> str:
    """
    Return the changelog with what is unreleased in a section of *version*, dated *today*.

    Raises:
        ReleaseRefusedError: If nothing is unreleased, or the version has a section already.
    """
    sections = _sections(text)
    if version in sections:
        raise ReleaseRefusedError(f"CHANGELOG.md: there is a section {version} already; give a later version")
    if not sections.get("Unreleased", ("", ""))[1]:
        raise ReleaseRefusedError("CHANGELOG.md: [Unreleased] is empty; write what an operator would notice")
    return text.replace("## [Unreleased]", f"## [Unreleased]\n\n## [{version}] - {today}", 1)


def _sections(text: str) -> dict[str, tuple[str, str]]:
    """Return date and contents of each section by its name; headings below it are no contents."""
    found = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in found[1:]] + [len(text)]
    return {
        heading["name"]: (heading["day"] or "", _entries(text[heading.end() : end]))
        for heading, end in zip(found, ends, strict=True)
    }


def _entries(section: str) -> str:
    return "\n".join(line for line in section.splitlines() if line.strip() and not line.startswith("#"))


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
