"""A version is released only when the changelog describes it."""

import re
import shutil
from datetime import date
from pathlib import Path

import pytest

from ops.release.changelog import changelog_problems, with_section
from ops.release.refusal import ReleaseRefusedError
from ops.release.versions import REPEATED, version_of, version_problems, write_version

ROOT = Path(__file__).resolve().parents[3]
TODAY = date(2026, 12, 1)

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
        (READY, "1.3.0", "has no section for 1.3.0; `make release-prepare VERSION=1.3.0` makes"),
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


def test_what_is_unreleased_moves_into_the_section_of_the_version() -> None:
    waiting = READY.replace("### Added\n\n##", "### Fixed\n- A phone rings.\n\n##", 1)
    text = with_section(waiting, "1.3.0", TODAY)
    assert "## [Unreleased]\n\n## [1.3.0] - 2026-12-01\n\n### Fixed\n- A phone rings.\n\n## [1.2.0]" in text
    assert changelog_problems(text, "1.3.0") == []


@pytest.mark.parametrize(
    ("version", "sentence"), [("1.3.0", "[Unreleased] is empty"), ("1.2.0", "there is a section 1.2.0 already")]
)
def test_no_section_is_made_of_nothing_or_twice(version: str, sentence: str) -> None:
    with pytest.raises(ReleaseRefusedError, match=re.escape(sentence)):
        with_section(READY, version, TODAY)


def test_every_file_that_repeats_the_version_has_that_of_pyproject() -> None:
    assert version_problems(ROOT) == []


def test_a_new_version_is_written_to_every_file_that_repeats_it(tmp_path: Path) -> None:
    for file in ("pyproject.toml", *(file for file, _ in REPEATED)):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    write_version(tmp_path, "7.10.0rc1")
    assert (version_of(tmp_path), version_problems(tmp_path)) == ("7.10.0rc1", [])
    write_version(tmp_path, "7.10.0")
    for earlier in ("7.9.9", "7.10.0rc2"):
        with pytest.raises(ReleaseRefusedError, match=r"is before 7\.10\.0"):
            write_version(tmp_path, earlier)
    file = tmp_path / "Dockerfile"
    file.write_text(file.read_text().replace("7.10.0", "7.9.0"))
    assert version_problems(tmp_path) == ["Dockerfile names version 7.9.0; expected 7.10.0"]


@pytest.mark.parametrize("version", ["", "1", "1.2", "v1.2.3", "1.2.3.4", "1.2.3-rc1", "next"])
def test_what_is_no_version_is_refused(version: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with pytest.raises(ReleaseRefusedError, match=r"expected MAJOR\.MINOR\.PATCH"):
        write_version(tmp_path, version)
