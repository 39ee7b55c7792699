"""The wheel in environments of its own, away from the repository: what is missing is named, and the demo runs."""

import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from email import message_from_bytes
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
_EVERY_MODULE = """
import importlib, pkgutil, ops, producers, worker
for package in (ops, producers, worker):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as missing:
            print(missing.name.partition(".")[0])
"""


class Environment:
    """A virtual environment; what runs in it starts in an empty folder, with none of our variables."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.elsewhere = folder / "elsewhere"
        venv.create(folder, with_pip=False, symlinks=True)
        self.elsewhere.mkdir()
        (self._packages,) = folder.glob("lib/python3*/site-packages")

    def install(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(self._packages)
        command = self.folder / "bin" / "outdial"
        command.write_text(f"#!{self.folder}/bin/python\nfrom producers.cli import main\nmain()\n")
        command.chmod(0o755)

    def lend(self, requirement: Requirement, seen: set[str]) -> None:
        """Link a package of the tests' own environment, with those that it requires."""
        name = f"{requirement.name}[{','.join(sorted(requirement.extras))}]"
        if name in seen:
            return
        seen.add(name)
        found = distribution(requirement.name)
        for file in found.files or []:
            if file.parts[0] not in ("..", "__pycache__"):
                self._link(Path(str(found.locate_file(""))), Path(*file.parts))
        for further in wanted(found.requires or [], requirement.extras):
            self.lend(further, seen)

    def _link(self, source: Path, file: Path) -> None:
        # A folder without __init__.py, such as `opentelemetry`, is shared by packages that come one by one.
        part = Path(file.parts[0])
        while (source / part).is_dir() and not (source / part / "__init__.py").exists():
            part /= file.parts[len(part.parts)]
        if not (self._packages / part).exists():
            (self._packages / part).parent.mkdir(parents=True, exist_ok=True)
            (self._packages / part).symlink_to(source / part)

    def run(self, command: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(self.folder / "bin" / command), *arguments],
            cwd=self.elsewhere,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.elsewhere)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


def wanted(lines: list[str], extras: set[str]) -> list[Requirement]:
    """Return the requirements that hold here, with some extras."""
    requirements = [Requirement(line) for line in lines]
    return [
        each
        for each in requirements
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras or {""})
    ]


@pytest.fixture(scope="module")
def environment_with(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Environment]:
    """
    Make an environment with the wheel and what its metadata require, with some extras, and nothing else.

    The packages are links into the tests' own environment, so that nothing is downloaded; `make release` installs
    by pip.
    """
    source = tmp_path_factory.mktemp("source")
    for name in ("worker", "producers", "ops", "docs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (
        *ROOT.glob("*.md"),
        *ROOT.glob("*.toml"),
        *ROOT.glob("*.in"),
        *ROOT.glob("*.yml"),
        ROOT / "LICENSE",
    ):
        shutil.copy(file, source)
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (wheel,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        required = message_from_bytes(archive.read(name)).get_all("Requires-Dist") or []

    def make(*extras: str) -> Environment:
        environment = Environment(tmp_path_factory.mktemp("environment"))
        environment.install(wheel)
        seen: set[str] = set()
        for requirement in wanted(required, set(extras)):
            if requirement.name != "outdial":
                environment.lend(requirement, seen)
        return environment

    return make


def test_without_extras_what_needs_one_ends_with_its_name_and_exit_code_2(
    environment_with: Callable[..., Environment],
) -> None:
    bare = environment_with()
    assert bare.run("outdial", "--version").stdout.startswith("outdial, version ")
    commands = {"flower": "flower", "simulator": "local", "up": "local", "demo": "local"}
    for command, extra in commands.items():
        done = bare.run("outdial", command)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert f'pip install "outdial[{extra}]"' in done.stderr
    assert list(bare.elsewhere.iterdir()) == []
    # Whatever else cannot be imported would be a package that is used and not required.
    done = bare.run("python", "-P", "-c", _EVERY_MODULE)
    missing = set(done.stdout.split())
    assert (done.returncode, missing) == (0, {"cryptography", "flower", "matplotlib", "opentelemetry", "tornado"})


def test_with_the_extra_local_the_demo_runs_from_anywhere(environment_with: Callable[..., Environment]) -> None:
    local = environment_with("local", "flower")
    done = local.run("outdial", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 rung twice" in done.stdout
    assert local.run("outdial", "files", "files").returncode == 0
    for name in ("ops/runbook.md", "docs/settings.md", "SECURITY.md", "ops/systemd/outdial-worker.service"):
        assert (local.elsewhere / "files" / name).is_file(), name
