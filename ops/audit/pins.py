"""The requirement files: each package at one version, with hashes, from the package index alone."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.!+_-]+)( ; [^;]+)?")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package in one file: its normalized name (PEP 503), version, and environment marker, empty if none."""

    name: str
    version: str
    marker: str


def normalized(name: str) -> str:
    """Return a package's name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(text: str) -> tuple[list[Pin], list[str]]:
    """
    Read one requirement file.

    Returns:
        Its pins, and a sentence for each entry that is no pin with hashes: a range, an address, an option.
    """
    pins, problems = [], []
    for entry in _entries(text):
        requirement, *options = re.split(r"\s+(?=--)", entry)
        pin = _PIN.fullmatch(requirement)
        if pin is None:
            problems.append(f"{requirement!r} is not NAME==VERSION; pin it")
        elif not options or not all(map(_HASH.fullmatch, options)):
            problems.append(f"{requirement!r} has no sha256 hashes, or more than those; compile the file anew")
        else:
            pins.append(Pin(normalized(pin[1]), pin[2], (pin[3] or "").removeprefix(" ; ")))
    return pins, problems


def _entries(text: str) -> Iterator[str]:
    whole = re.sub(r"\\\n", " ", text)
    lines = (line.partition(" #")[0].strip() for line in whole.splitlines())
    return (line for line in lines if line and not line.startswith("#"))


def pin_problems(files: Iterable[Path]) -> list[str]:
    """Return a sentence for each thing wrong in, or between, the requirement files."""
    problems, seen = [], dict[tuple[str, str], tuple[str, str]]()
    for file in files:
        pins, wrong = read_pins(file.read_text(encoding="utf-8"))
        problems += [f"{file.name}: {sentence}" for sentence in wrong]
        for pin in pins:
            version, where = seen.setdefault((pin.name, pin.marker), (pin.version, file.name))
            if version != pin.version:
                problems.append(f"{pin.name} is {version} in {where} and {pin.version} in {file.name}")
    return problems


def installed_problems(installed: Mapping[str, str], pins: Iterable[Pin], *, ours: frozenset[str]) -> list[str]:
    """
    Return a sentence for each installed package that no file pins at its version.

    Args:
        installed: {name: version}.
        pins: Of the file that was installed from.
        ours: Names that come from elsewhere: this project, and pip, which is there before anything is pinned.
    """
    versions: dict[str, set[str]] = {}
    for pin in pins:
        versions.setdefault(pin.name, set()).add(pin.version)
    return [
        f"{name} {version} is installed and not pinned; make clean, then make again"
        for name, version in sorted(installed.items())
        if normalized(name) not in ours and version not in versions.get(normalized(name), set())
    ]
