"""The wheel has what an installation needs, and nothing else."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[3]
OURS = ("worker", "producers", "ops")
# What is started by `python -m`: by commands, by other processes, by probes of containers.
PROGRAMS = (
    "producers.cli",
    "producers.webhook_process",
    "worker.__main__",
    "worker.process",
    "worker.heartbeat",
    "ops.flower.__main__",
    "ops.local",
    "ops.pbx_simulator.__main__",
    "ops.docker.probe",
)
# Folders that the runbook, SECURITY.md and the command `files` name; all of their files are installed.
FOLDERS = (
    "ops/systemd",
    "ops/redis",
    "ops/prometheus",
    "ops/grafana/dashboards",
    "ops/grafana/provisioning",
    "ops/docker",
    "ops/kubernetes",
)
DOCUMENTS = ("CHANGELOG.md", "README.md", "SECURITY.md", "docker-compose.yml")
DATA = {
    "worker/hopper/scripts": {".lua"},
    "producers/api/static": {".css", ".html", ".js", ".svg"},
    "producers/crm/presets": {".toml"},
    "producers/report": {".css"},
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """Built once, from a copy: a `build` folder of an older state would get into it."""
    folder = tmp_path_factory.mktemp("wheel")
    clean = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in OURS:
        shutil.copytree(ROOT / name, folder / name, ignore=clean)
    shutil.copytree(ROOT / "docs", folder / "docs")
    for name in ("pyproject.toml", *DOCUMENTS, "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, folder)
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=folder, check=True, capture_output=True)
    (file,) = (folder / "dist").glob("*.whl")
    return ZipFile(file)


def installed(wheel: ZipFile) -> set[str]:
    return {name for name in wheel.namelist() if ".dist-info/" not in name}


def module_of(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def modules_in(wheel: ZipFile) -> dict[str, ast.Module]:
    files = [name for name in installed(wheel) if name.endswith(".py")]
    return {module_of(file): ast.parse(wheel.read(file)) for file in files}


def imports_of(tree: ast.Module) -> Iterator[str]:
    """Name what a module imports of ours, at its top or later; `from a import b` may mean a module `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in OURS)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached(modules: dict[str, ast.Module], first: Iterator[str]) -> set[str]:
    seen: set[str] = set()
    ahead = list(first)
    while ahead:
        name = ahead.pop()
        if name in modules and name not in seen:
            seen.add(name)
            ahead += [*imports_of(modules[name]), name.rpartition(".")[0]]
    return seen


def test_every_module_of_ops_in_the_wheel_is_imported_by_a_command(wheel: ZipFile) -> None:
    modules = modules_in(wheel)
    commands = (name for name in modules if name.startswith("producers.commands"))
    idle = set(modules) - reached(modules, iter([*PROGRAMS, *commands]))
    assert {name for name in idle if name.split(".")[0] == "ops"} == set()


def test_every_import_of_the_wheel_is_in_the_wheel(wheel: ZipFile) -> None:
    modules = modules_in(wheel)
    assert set(PROGRAMS) <= set(modules)
    lost = {
        (module, node.module)
        for module, tree in modules.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS
        if node.module not in modules
    }
    assert lost == set()


def test_the_wheel_has_every_module_of_worker_and_producers(wheel: ZipFile) -> None:
    wanted = {str(file.relative_to(ROOT)) for name in OURS[:2] for file in (ROOT / name).rglob("*.py")}
    assert wanted - installed(wheel) == set()


def test_the_wheel_has_the_files_that_the_runbook_names(wheel: ZipFile) -> None:
    wanted = {
        str(file.relative_to(ROOT))
        for name in FOLDERS
        for file in (ROOT / name).rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc") and "secrets" not in file.parts
    }
    wanted |= {"ops/runbook.md", "ops/sample_leads.csv"}
    documents = [*ROOT.glob("docs/**/*.md"), *(ROOT / name for name in DOCUMENTS)]
    wanted |= {f"ops/checkout/{file.relative_to(ROOT)}" for file in documents}
    assert wanted - installed(wheel) == set()


def test_the_wheel_has_every_script_page_and_preset(wheel: ZipFile) -> None:
    wanted = {
        str(file.relative_to(ROOT))
        for folder, endings in DATA.items()
        for file in (ROOT / folder).rglob("*")
        if file.suffix in endings
    }
    assert len(wanted) > 70
    assert wanted - installed(wheel) == set()


def test_the_page_of_an_index_links_to_nothing_in_the_repository(wheel: ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = message_from_bytes(wheel.read(name))
    page = str(metadata.get_payload())
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert [link for link in re.findall(r"\]\(([^)\s]+)\)", page) if not re.match(r"https?:", link)] == []
    # Every file that it names is in the repository, and so in the source archive.
    named = re.findall(r"`((?:docs|ops)/[\w./-]+|[A-Z]+\.md)`", page)
    assert "docs/settings.md" in named
    assert [file for file in named if not (ROOT / file).exists()] == []


def test_the_wheel_has_nothing_else(wheel: ZipFile) -> None:
    known = (*FOLDERS, *DATA, "ops/runbook.md", "ops/sample_leads.csv", "ops/checkout/")
    assert {name for name in installed(wheel) if not name.endswith(".py") and not name.startswith(known)} == set()
    assert [name for name in wheel.namelist() if name.startswith(("tests", "docs"))] == []
