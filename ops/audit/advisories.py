"""Known weaknesses of the pinned versions, asked of the index by pip-audit in an environment thrown away after."""

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_INSTALL_S, _ASK_S = 120, 180


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What was learnt.

    Attributes:
        asked: Packages that the source of advisories knew.
        not_asked: Names of those it was not, or could not be, asked about.
        found: A sentence for each known weakness.
        trouble: Why nobody was asked at all; empty otherwise.
    """

    asked: int = 0
    not_asked: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    trouble: str = ""


def ask(files: Sequence[Path]) -> Answer:
    """Ask about every package pinned in *files*; what keeps it from asking is in the answer."""
    with tempfile.TemporaryDirectory(prefix="outdial-audit-") as folder:
        python = Path(folder) / "bin" / "python"
        venv.create(folder, with_pip=True)
        quiet = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pip-audit"]
        try:
            subprocess.run(quiet, check=True, capture_output=True, timeout=_INSTALL_S)
            command = [
                str(python),
                "-m",
                "pip_audit",
                "--format",
                "json",
                "--disable-pip",
                "--progress-spinner",
                "off",
            ]
            named = [part for file in files for part in ("--requirement", str(file))]
            done = subprocess.run([*command, *named], capture_output=True, text=True, timeout=_ASK_S, check=False)
        except (subprocess.SubprocessError, OSError) as error:
            return Answer(trouble=f"pip-audit could not be had or run ({type(error).__name__})")
    return answer_in(done.stdout, done.stderr)


def answer_in(report: str, complaint: str) -> Answer:
    """
    Read pip-audit's report.

    pip-audit calls a package it could not ask about skipped, and with all of them skipped still says that nothing
    was found; so those are counted here.

    Args:
        report: Its JSON, from stdout.
        complaint: Its stderr, where there is no report.
    """
    try:
        rows: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (json.JSONDecodeError, KeyError, TypeError):
        last = complaint.strip().rpartition("\n")[2]
        return Answer(trouble=f"pip-audit gave no report: {last[:200]}")
    skipped = tuple(sorted(row["name"] for row in rows if "skip_reason" in row))
    found = [_sentence(row, one) for row in rows for one in row.get("vulns", ())]
    return Answer(len(rows) - len(skipped), skipped, tuple(sorted(set(found))))


def _sentence(row: dict[str, Any], one: dict[str, Any]) -> str:
    mended = ", ".join(one.get("fix_versions", ())) or "no version yet"
    return f"{row['name']} {row['version']}: {', '.join([one['id'], *one.get('aliases', ())])}; mended in {mended}"


def told(answer: Answer) -> list[str]:
    """Return lines for a person, the worst first; never that all is well where nobody was asked."""
    if answer.trouble or not answer.asked:
        why = answer.trouble or "the index here knows no advisories"
        return [
            f"ADVISORIES WERE NOT ASKED FOR: {why}. Nothing is known of weaknesses; ask where there is a network."
        ]
    lines = [*answer.found] or [f"no known weakness in the {answer.asked} packages asked about"]
    if answer.not_asked:
        lines.append(f"NOT ASKED ABOUT {len(answer.not_asked)} packages: {', '.join(answer.not_asked)}")
    return lines


def to_stderr(lines: Sequence[str]) -> None:
    """Say lines to the person at the terminal."""
    sys.stderr.write("".join(f"{line}\n" for line in lines))
