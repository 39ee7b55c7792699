"""The files that come with outdial for an installation, and how they get into a folder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from worker.errors import InputRefused

# What each file is for, by its path or that of its folder. The longest path counts; what has none is not listed.
PURPOSES: Final[Mapping[str, str]] = {
    "runbook.md": "what to do, step by step: install, upgrade, and mend what is broken",
    "sample_leads.csv": "a list to import, with numbers that belong to no one",
    "systemd": "a unit of systemd",
    "systemd/outdial.toml.example": "settings for hosts with systemd",
    "redis/redis.conf": "settings of Redis with TLS and users",
    "redis/users.acl": "users of Redis, each with the rights it needs",
    "redis/users.sh": "makes a password for each user of Redis",
    "redis/certificates.sh": "makes certificates for Redis",
    "prometheus/prometheus.yml": "settings of Prometheus for containers",
    "prometheus/prometheus.hosts.yml": "settings of Prometheus for hosts",
    "prometheus/alertmanager.yml": "settings of Alertmanager",
    "prometheus/rules": "rules of Prometheus: alerts, and what they compute with",
    "prometheus/targets": "where Prometheus finds workers and intakes",
    "prometheus/tests": "tests of the rules, for promtool",
    "grafana/dashboards": "a dashboard of Grafana",
    "grafana/provisioning": "makes Grafana load dashboards and data source",
}


@dataclass(frozen=True, slots=True)
class InstalledFile:
    """One file: its path below the folder, with `/`; what it is for; where its bytes are."""

    path: str
    purpose: str
    source: Traversable


def installed_files() -> list[InstalledFile]:
    """Return the files that this installation of outdial has, by path."""
    found = ((path, _purpose_of(path), source) for path, source in _below(files("ops"), ""))
    return sorted((InstalledFile(*each) for each in found if each[1]), key=lambda file: file.path)


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
    wanted = {folder / file.path: file.source.read_bytes() for file in installed_files()}
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


def _is_other(target: Path, text: bytes) -> bool:
    try:
        return target.read_bytes() != text
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # a folder, or a file that may not be read, is not ours to replace
        return True
