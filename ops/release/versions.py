"""The version: pyproject.toml has it, and other files repeat it."""

import re
import tomllib
from pathlib import Path

from ops.release.refusal import ReleaseRefusedError

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:(a|b|rc)(\d+))?")
_ANY = r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?"
# Where it is repeated, and what stands before it there.
REPEATED = (
    ("Dockerfile", r"ARG VERSION="),
    ("docker-compose.yml", r"OUTDIAL_IMAGE:-outdial:"),
    ("ops/docker/env.example", r"OUTDIAL_IMAGE=outdial:"),
    ("ops/kubernetes/base/kustomization.yaml", r"newTag: "),
    ("docs/containers.md", r"outdial:"),
)


def version_of(tree: Path) -> str:
    """Return the version in a tree's pyproject.toml."""
    return str(tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def repeated(tree: Path) -> dict[str, set[str]]:
    """Return the versions that other files name, by file."""
    return {
        file: set(re.findall(f"{before}({_ANY})", (tree / file).read_text(encoding="utf-8")))
        for file, before in REPEATED
    }


def version_problems(tree: Path) -> list[str]:
    """Return a sentence for each file that names another version than pyproject.toml."""
    version = version_of(tree)
    return [
        f"{file} names version {', '.join(sorted(found)) or 'none'}; expected {version}"
        for file, found in repeated(tree).items()
        if found != {version}
    ]


def write_version(tree: Path, version: str) -> None:
    """
    Write a version to pyproject.toml and to every file that repeats it.

    Raises:
        ReleaseRefusedError: If it is no version, or one before the present version.
    """
    present = version_of(tree)
    if _order(version) < _order(present):
        raise ReleaseRefusedError(f"VERSION: {version} is before {present}, the present version; give a later one")
    for file, before in (("pyproject.toml", r'^version = "'), *REPEATED):
        text = (tree / file).read_text(encoding="utf-8")
        pattern = re.compile(f"({before}){_ANY}", flags=re.MULTILINE)
        (tree / file).write_text(pattern.sub(rf"\g<1>{version}", text), encoding="utf-8")


def _order(version: str) -> tuple[int, int, int, int, int]:
    """Return what sorts as versions do: candidates before what they are candidates for."""
    found = _VERSION.fullmatch(version)
    if found is None:
        raise ReleaseRefusedError(
            f"VERSION: {version!r} is invalid; expected MAJOR.MINOR.PATCH, such as 1.2.0 or 1.2.0rc1"
        )
    major, minor, patch = (int(found[place]) for place in (1, 2, 3))
    return major, minor, patch, ["a", "b", "rc", None].index(found[4]), int(found[5] or 0)
