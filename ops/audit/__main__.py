"""`make audit`: pins, hashes and licences, and advisories where there is a network for them."""

import argparse
from importlib.metadata import distributions
from pathlib import Path

from ops.audit.advisories import ask, to_stderr, told
from ops.audit.licences import licence_problems
from ops.audit.pins import installed_problems, pin_problems, read_pins

_FOLDER = Path(__file__).parents[2] / "requirements"
_NOT_PINNED = frozenset({"outdial", "pip"})


def offline_problems(folder: Path = _FOLDER) -> list[str]:
    """Return a sentence for each thing wrong with the requirement files, and what is installed from them."""
    files = sorted(folder.glob("*.txt"))
    pins = [pin for file in files for pin in read_pins(file.read_text(encoding="utf-8"))[0]]
    installed = {each.metadata["Name"]: each.version for each in distributions()}
    wrong = installed_problems(installed, pins, ours=_NOT_PINNED)
    return [*pin_problems(files), *wrong, *licence_problems(distributions())]


def main() -> int:
    """Return 1 if anything is wrong; advisories nobody could be asked for are said, and are no failure."""
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__)
    parser.add_argument("--offline", action="store_true", help="look at what is here alone")
    options = parser.parse_args()
    problems = offline_problems()
    to_stderr(problems or [f"pinned, hashed and licensed: all {sum(1 for _ in distributions())} packages in here"])
    if options.offline:
        return bool(problems)
    answer = ask(sorted(_FOLDER.glob("*.txt")))
    to_stderr(told(answer))
    return bool(problems or answer.found)


if __name__ == "__main__":
    raise SystemExit(main())
