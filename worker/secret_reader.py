"""Where secrets come from, environment variables and files, and which process is given which of them."""

import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path


class Role(StrEnum):
    """
    What a process does with the settings; it is given the secrets of its roles alone.

    Redis is everybody's. A process without a role hands jobs in, or asks about them.
    """

    DIALING = "dialing"  # passwords and certificates of the PBXs
    TELLING = "telling"  # signing secrets of the endpoints, and secrets of the sources that tell their CRM
    INTAKE = "intake"  # secrets of all sources, and the intake's own certificate
    FLOWER = "flower"  # the password of those who look at Flower


EVERY_ROLE = frozenset(Role)


class SecretReader:
    """
    Reads secrets for one process, and keeps account of what is wrong with them.

    Args:
        folder: Relative files lie in it; it is that of the settings file.
        roles: What the process does.

    Attributes:
        problems: A sentence for each secret that could not be had; none holds a secret.
        files: Those that secrets were read from.
    """

    def __init__(self, folder: Path, roles: Iterable[Role] = EVERY_ROLE) -> None:
        self.problems: list[str] = []
        self.files: list[Path] = []
        self.folder = folder
        self._roles = frozenset(roles)

    def serves(self, role: Role) -> bool:
        """Return whether the process has this role."""
        return role in self._roles

    def place(self, file: Path) -> Path:
        """Return where a file of the settings is: beside the settings file, or else here if it is only here."""
        beside = self.folder / file
        return file if not _may_be_there(beside) and _may_be_there(file) else beside

    def read(self, variable: str | None, file: Path | None, name: str) -> str | None:
        """
        Return a secret; None if the settings name no place, and with a problem noted if it is not there.

        Args:
            variable: The environment variable that holds it; goes before *file*.
            file: The file that holds it; white space around it is not part of it.
            name: Of the setting, for the sentence.
        """
        if variable:
            value = os.environ.get(variable)
            if not value:
                told = f"the environment variable {variable} is not set; set it to the secret"
                self.problems.append(f"{name}_env: {told}")
            return value
        return self._content(self.place(file), name) if file else None

    def _content(self, file: Path, name: str) -> str | None:
        try:
            value = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "is not text"
            self.problems.append(f"{name}_file: {file}: {reason}; give a readable file holding the secret")
            return None
        self.files.append(file)
        if not value:
            self.problems.append(f"{name}_file: {file} is empty; give a readable file holding the secret")
        return value or None


def unreadable(file: Path) -> str | None:
    """Return in a few words why a file cannot be read, to go after its name; None if it can."""
    try:
        if not file.is_file():
            return "is not a file"
        with file.open("rb"):
            return None
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def open_to_others(files: Iterable[Path]) -> list[Path]:
    """
    Return those files that others than their owner and group may read, or than their owner may change.

    What a container mounts under /run/secrets is left out: there its modes are the engine's business, and nobody
    else is in there.
    """
    return [file for file in files if not file.is_relative_to("/run/secrets") and _mode(file) & 0o027]


def _may_be_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:
        return True  # such as in a folder that is closed to us; reading it will tell


def _mode(file: Path) -> int:
    try:
        return file.stat().st_mode
    except OSError:
        return 0
