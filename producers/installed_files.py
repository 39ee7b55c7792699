"""The files that come with outdial for an installation, and how they get into a folder."""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from worker.errors import InputRefused

# What each file is for, by its path or that of its folder. The longest path counts; what has none is not listed.
PURPOSES: Final[Mapping[str, str]] = {
    "ops/runbook.md": "what to do, step by step: install, upgrade, and mend what is broken",
    "ops/sample_leads.csv": "a list to import, with numbers that belong to no one",
    "ops/systemd": "a unit of systemd",
    "ops/systemd/outdial.toml.example": "settings for hosts with systemd",
    "ops/redis/redis.conf": "settings of Redis with TLS and users",
    "ops/redis/users.acl": "users of Redis, each with the rights it needs",
    "ops/redis/users.sh": "makes a password for each user of Redis",
    "ops/redis/certificates.sh": "makes certificates for Redis",
    "ops/prometheus/prometheus.yml": "settings of Prometheus for containers",
    "ops/prometheus/prometheus.hosts.yml": "settings of Prometheus for hosts",
    "ops/prometheus/alertmanager.yml": "settings of Alertmanager",
    "ops/prometheus/rules": "rules of Prometheus: alerts, and what they compute with",
    "ops/prometheus/targets": "where Prometheus finds workers and intakes",
    "ops/prometheus/tests": "tests of the rules, for promtool",
    "ops/docker": "for containers",
    "ops/docker/outdial.toml.example": "settings for containers",
    "ops/docker/make-secrets.sh": "makes the secrets of the containers",
    "ops/kubernetes": "for Kubernetes",
    "docker-compose.yml": "all parts as containers, from the image of the release",
    "CHANGELOG.md": "what changed, by version",
    "README.md": "what outdial is, and its commands",
    "SECURITY.md": "what is exposed where, and what is done about it",
    "docs": "a document that the runbook and the README link to",
    "docs/adr": "a decision, and why",
    "ops/grafana/dashboards": "a dashboard of Grafana",
    "ops/grafana/provisioning": "makes Grafana load dashboards and data source",
}


_OPS: Final = files("ops")
# The programs that the units start, as they are in the repository.
_UNITS_START: Final = b"/opt/outdial/bin/"
# A path that units take without quotes.
_PLAIN_PATH: Final = re.compile(r"[\w/.+-]+")


@dataclass(frozen=True, slots=True)
class InstalledFile:
    """One file: its path, with `/`, as in the repository; what it is for; where its bytes are."""

    path: str
    purpose: str
    source: Traversable


def installed_files() -> list[InstalledFile]:
    """Return the files that this installation of outdial has, by path."""
    found = [*_below(_OPS, "ops/"), *_outside()]
    listed = ((path, _purpose_of(path), source) for path, source in found if not path.endswith((".py", ".pyc")))
    return sorted((InstalledFile(*each) for each in listed if each[1]), key=lambda file: file.path)


def _outside() -> Iterator[tuple[str, Traversable]]:
    """Yield what lies beside `ops` in the repository; the wheel has it in a folder of `ops`."""
    packed = _OPS / "checkout"
    if packed.is_dir():
        yield from _below(packed, "")
        return
    root = Path(str(_OPS)).parent
    yield from ((path, root / path) for path in PURPOSES if "/" not in path and (root / path).is_file())
    yield from ((str(file.relative_to(root)), file) for file in root.glob("docs/**/*.md"))


def _below(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _below(each, f"{prefix}{each.name}/")
        else:
            yield f"{prefix}{each.name}", each


def _purpose_of(path: str) -> str:
    names = path.split("/")
    paths = ("/".join(names[:count]) for count in range(len(names), 0, -1))
    return next((PURPOSES[path] for path in paths if path in PURPOSES), "")


def write_installed_files(folder: Path, *, force: bool = False) -> list[Path]:
    """
    Write every file into *folder*, which is made if need be; scripts may be executed.

    Args:
        folder: Where the files go, under the paths that `installed_files` gives.
        force: Replace files that are there.

    Returns:
        The paths that were written.

    Raises:
        InputRefused: If a file is there and *force* is not given, before anything is written; or if the folder
            cannot be written to.
    """
    wanted = {folder / file.path: contents_of(file) for file in installed_files()}
    # What is there and the same needs no decision.
    differs = [target for target, text in wanted.items() if _is_other(target, text)]
    if differs and not force:
        more = f" and {len(differs) - 1} more" if len(differs) > 1 else ""
        raise InputRefused([f"DIR: {differs[0]}{more} exists with other contents; give --force to replace it"])
    for target, text in wanted.items():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text)
            if target.suffix == ".sh":
                target.chmod(target.stat().st_mode | 0o111)
        except OSError as error:
            reason = f"{error.filename or target}: {error.strerror}"
            raise InputRefused([f"DIR: {reason}; give a folder that can be written to"]) from None
    return list(wanted)


def contents_of(file: InstalledFile) -> bytes:
    """Return what a file holds here: units start the programs of this installation."""
    contents = file.source.read_bytes()
    programs = str(programs_folder())
    if file.path.endswith(".service") and _PLAIN_PATH.fullmatch(programs):
        return contents.replace(_UNITS_START, f"{programs}/".encode())
    return contents


def programs_folder() -> Path:
    """Return where the `outdial` command of this installation is."""
    return Path(sys.prefix, "bin")


def _is_other(target: Path, text: bytes) -> bool:
    try:
        return target.read_bytes() != text
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # a folder, or a file that may not be read, is not ours to replace
        return True
