"""A version is released only when the changelog describes it."""

import pytest

from ops.release.changelog import changelog_problems

READY = """# Changelog

## [Unreleased]

### Added

## [1.2.0] - 2026-12-01

### Added
- A thing.

## [1.1.0] - 2026-01-02
- Old.
"""


def test_a_dated_section_below_an_empty_one_is_ready() -> None:
    assert changelog_problems(READY, "1.2.0") == []
    assert changelog_problems(READY.replace("## [Unreleased]\n\n### Added\n\n", ""), "1.2.0") == []


@pytest.mark.parametrize(
    ("text", "version", "sentence"),
    [
        (READY, "1.3.0", "has no section for 1.3.0; rename [Unreleased] to `## [1.3.0] - 20"),
        (
            READY.replace("## [1.2.0] - 2026-12-01", "## [1.2.0]"),
            "1.2.0",
            "1.2.0 has no date; write `## [1.2.0] - YYYY-MM-DD`",
        ),
        (
            READY.replace("2026-12-01", "2026-13-01"),
            "1.2.0",
            "1.2.0 has the date 2026-13-01; write `## [1.2.0] - YYYY-MM-DD`",
        ),
        (READY.replace("- A thing.\n", ""), "1.2.0", "the section 1.2.0 is empty"),
        (
            READY.replace("[Unreleased]\n", "[Unreleased]\n- More.\n"),
            "1.2.0",
            "[Unreleased] has entries; move them to 1.2.0",
        ),
    ],
)
def test_what_is_not_ready_is_named_with_advice(text: str, version: str, sentence: str) -> None:
    [problem] = changelog_problems(text, version)
    assert sentence in problem
