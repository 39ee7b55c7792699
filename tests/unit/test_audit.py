"""The audit of packages: nothing unpinned, no strange licence, and never "all is well" where nobody was asked."""

import json
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from ops.audit.advisories import answer_in, told
from ops.audit.licences import is_allowed, licence_problems
from ops.audit.pins import Pin, installed_problems, pin_problems, read_pins

HASH = "--hash=sha256:" + "0" * 64


def test_every_requirement_file_is_pinned_and_hashed_and_they_agree() -> None:
    files = sorted((Path(__file__).parents[2] / "requirements").glob("*.txt"))
    assert {file.name for file in files} >= {"runtime.txt", "image.txt", "dev.txt", "checks.txt"}
    assert pin_problems(files) == []


def test_a_pin_has_a_version_hashes_and_perhaps_a_marker() -> None:
    text = f"# made by\nRedis.py==8.1.0 ; python_version < '3.12' \\\n    {HASH} \\\n    {HASH}\n    # via x\n"
    assert read_pins(text) == ([Pin("redis-py", "8.1.0", "python_version < '3.12'")], [])


@pytest.mark.parametrize(
    "line",
    [
        f"redis>=8 {HASH}",
        "redis==8.1.0",
        "redis==8.1.0 --hash=md5:00",
        f"redis @ https://example.org/redis.whl {HASH}",
        "--index-url https://example.org/simple",
        "-e .",
    ],
)
def test_anything_else_is_told(line: str) -> None:
    pins, problems = read_pins(f"{line}\n")
    assert (pins, len(problems)) == ([], 1)


def test_files_that_disagree_are_told(tmp_path: Path) -> None:
    for name, version in (("a.txt", "1.0"), ("b.txt", "1.1")):
        (tmp_path / name).write_text(f"six=={version} {HASH}\n")
    assert pin_problems(sorted(tmp_path.iterdir())) == ["six is 1.0 in a.txt and 1.1 in b.txt"]


def test_what_nobody_pinned_is_told() -> None:
    installed = {"Six": "1.0", "stray": "2.0", "pip": "25.0"}
    [problem] = installed_problems(installed, [Pin("six", "1.0", "")], ours=frozenset({"pip"}))
    assert problem.startswith("stray 2.0 is installed and not pinned")


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", True),
        ("GPL-3.0-only OR MIT", True),
        ("Mozilla Public License 2.0", True),
        ("New BSD", True),
        ("MIT AND GPL-3.0-only", False),
        ("GNU Affero General Public License v3", False),
        ("LGPL-2.1-or-later", False),
        ("Apache-2.0 WITH Commons-Clause", False),
        ("(MIT AND LGPL-2.1) OR Proprietary", False),
        ("submitted", False),
        ("", False),
    ],
)
def test_licences_that_ask_for_a_notice_are_allowed(licence: str, allowed: bool) -> None:
    assert is_allowed(licence) is allowed


def test_a_licence_nobody_knows_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "odd-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1\nLicense: Proprietary\n")
    [problem] = licence_problems([Distribution.at(folder)])
    assert problem.startswith("odd: its licence is Proprietary")


def report(*rows: dict[str, object]) -> str:
    return json.dumps({"dependencies": rows})


def test_a_weakness_is_told_with_the_version_that_mends_it() -> None:
    weakness = {"id": "PYSEC-0", "aliases": ["CVE-0"], "fix_versions": ["2.0"], "description": "long"}
    answer = answer_in(report({"name": "six", "version": "1.0", "vulns": [weakness]}), "")
    assert told(answer) == ["six 1.0: PYSEC-0, CVE-0; mended in 2.0"]


def test_that_nothing_was_found_is_said_of_those_that_were_asked_about_alone() -> None:
    rows = [{"name": "six", "version": "1.0", "vulns": []}, {"name": "odd", "skip_reason": "not on the index"}]
    assert told(answer_in(report(*rows), "")) == [
        "no known weakness in the 1 packages asked about",
        "NOT ASKED ABOUT 1 packages: odd",
    ]


@pytest.mark.parametrize(
    ("text", "complaint", "why"),
    [
        (report({"name": "six", "skip_reason": "not found"}), "", "the index here knows no advisories"),
        ("", "Traceback\nConnectionError: no route", "pip-audit gave no report: ConnectionError: no route"),
    ],
)
def test_where_nobody_was_asked_that_is_what_is_said(text: str, complaint: str, why: str) -> None:
    [line] = told(answer_in(text, complaint))
    assert line.startswith(f"ADVISORIES WERE NOT ASKED FOR: {why}.")
