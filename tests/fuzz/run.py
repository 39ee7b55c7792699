"""One run of schemathesis."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.intake import Client

_CASES = re.compile(r"^\s+(\d+) generated", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it: schemathesis's exit code, its report, and how many requests it made."""

    exit_code: int
    text: str
    cases: int


def fuzz(client: Client, *, examples: int, seed: int | None = None, options: Sequence[str] = ()) -> Done:
    """
    Make requests from the description and look at every answer, with all of schemathesis's checks.

    Args:
        client: Whose API key is used; it may do everything.
        examples: Cases for each operation and phase, at most.
        seed: Makes the same cases again.
        options: Further ones of `schemathesis run`.
    """
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "--no-color",
        "run",
        f"{client.url}/openapi.json",
    ]
    command += ["-H", f"Authorization: Bearer {client.key}", "--request-timeout", "120", "--continue-on-failure"]
    # The API key comes with every request from the command line, so schemathesis cannot leave it out.
    command += ["--exclude-checks", "missing_required_header"]
    command += ["--max-examples", str(examples), "--warnings", "off", *options]
    command += ["--seed", str(seed)] if seed is not None else []
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "PYTHONPATH": str(Path.cwd())}
    with tempfile.TemporaryDirectory() as folder:  # it leaves reports and examples where it runs
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    found = _CASES.search(ran.stdout)
    return Done(ran.returncode, ran.stdout + ran.stderr, int(found[1]) if found else 0)
