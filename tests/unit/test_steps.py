"""The table of steps and deaths is complete: a row for each script, and a test for each row."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs/adr/0007-steps-and-deaths.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith(("| step", "| ---"))
]


def test_every_script_has_a_row() -> None:
    scripts = {script.stem for script in (ROOT / "worker/hopper/scripts").glob("*.lua")}
    assert {name for row in ROWS for name in re.findall(r"^`(\w+)`", row[0])} == scripts


def test_every_row_has_a_test_of_its_own_and_every_test_a_row() -> None:
    tests = re.findall(
        r"^def (test_\w+)", (ROOT / "tests/integration/hopper/test_steps.py").read_text(), re.MULTILINE
    )
    assert sorted(row[3].strip("`") for row in ROWS) == sorted(tests)
