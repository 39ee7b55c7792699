"""`make release`: build the version of pyproject.toml, try it in an empty environment, fill dist/VERSION."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ops.release.changelog import changelog_problems, with_section
from ops.release.refusal import ReleaseRefusedError
from ops.release.versions import version_of, version_problems, write_version

ROOT = Path(__file__).parents[2]
# What the demo needs, and what hosts and the image install; with the extras that they have packages for.
_REQUIREMENTS = {"runtime.txt": "local,report,sql-results", "image.txt": "flower,report,sql-results,tracing"}


def main(arguments: Sequence[str]) -> int:
    """
    Make the release; returns 2 if the checkout is not ready for it, 1 if a step failed.

    Args:
        arguments: `check` builds the packages of the commit and tries them, whatever the changelog has, and keeps
            nothing; `prepare VERSION` writes the version and its section of the changelog.
    """
    try:
        if arguments and arguments[0] == "prepare":
            return _prepare(" ".join(arguments[1:]))
        version = version_of(ROOT)
        if list(arguments) == ["check"]:
            return _check(version)
        _refuse_what_is_not_ready(version)
        with tempfile.TemporaryDirectory(prefix="outdial-release-") as folder:
            made = _make(version, Path(folder))
            target = ROOT / "dist" / version
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(made, target)
    except ReleaseRefusedError as refused:
        sys.stderr.write(f"{refused}\n")
        return 2
    except subprocess.CalledProcessError as failed:
        sys.stderr.write(
            f"release: {failed.cmd[0]} ended with exit code {failed.returncode}; nothing is released\n"
        )
        return 1
    _say(f"{target} has the release. Nothing is tagged or pushed: docs/release.md has the next steps.")
    return 0


def _check(version: str) -> int:
    with tempfile.TemporaryDirectory(prefix="outdial-release-") as folder:
        _try_out(_build(version, Path(folder)), version, Path(folder))
    _say(f"The wheel of outdial {version} works in an empty environment.")
    return 0


def _prepare(version: str) -> int:
    """Write the version, and its section of the changelog; nothing is written if either is refused."""
    file = ROOT / "CHANGELOG.md"
    changelog = with_section(file.read_text(encoding="utf-8"), version, datetime.now(UTC).date())
    write_version(ROOT, version)
    file.write_text(changelog, encoding="utf-8")
    _say(f"This is {version} now. Read CHANGELOG.md, commit, and run `make release`.")
    return 0


def _refuse_what_is_not_ready(version: str) -> None:
    problems = changelog_problems((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    problems += version_problems(ROOT)
    # The release is made of the commit, so what is not in it would be missing.
    if _output(["git", "status", "--porcelain"]):
        problems.append("the checkout has changes that are not committed; commit or remove them (`git status`)")
    if problems:
        raise ReleaseRefusedError("\n".join(problems))


def _make(version: str, folder: Path) -> Path:
    wheel = _build(version, folder)
    source, made = folder / "source", folder / "made"
    _try_out(wheel, version, folder)
    _write_bill(wheel, source, made / f"outdial-{version}.cdx.json", folder)
    _build_image(version, source)
    _write_sums(made)
    return made


def _build(version: str, folder: Path) -> Path:
    """Build sdist, wheel and requirement files of the commit in *folder*/made, and return the wheel."""
    source, made = folder / "source", folder / "made"
    _check_out(source)
    _say(f"Building outdial {version}")
    # setuptools is that of requirements/release.txt. The wheel is built from the sdist.
    _run([sys.executable, "-m", "build", "--no-isolation", "--outdir", made, source], quiet=True)
    (wheel,) = made.glob("*.whl")
    if f"-{version}-" not in wheel.name:
        raise ReleaseRefusedError(f"the wheel is {wheel.name}; expected version {version}")
    for name in _REQUIREMENTS:
        shutil.copy(source / "requirements" / name, made / f"requirements-{name}")
    return wheel


def _check_out(source: Path) -> None:
    """Write the files of the commit to *source*: nothing that only lies in the checkout gets into the release."""
    archive = source.with_suffix(".tar")
    _run(["git", "archive", "--format=tar", f"--output={archive}", "HEAD"])
    shutil.unpack_archive(archive, source, filter="data")


def _environment(folder: Path, requirements: str, wheel: Path) -> Path:
    """Make an empty environment with pinned packages and the wheel, and return its Python."""
    environment = folder / f"environment-{Path(requirements).stem}"
    _run([sys.executable, "-m", "venv", "--without-pip", environment])
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", environment, "--disable-pip-version-check"]
    install = [*pip, "install", "--quiet", "--no-compile"]
    _run([*install, "--require-hashes", "-r", wheel.parent / f"requirements-{requirements}"])
    # Without an index: what the wheel requires beyond the pinned packages would be missing for others too.
    _run([*install, "--no-index", f"{wheel}[{_REQUIREMENTS[requirements]}]"])
    return environment / "bin" / "python"


def _try_out(wheel: Path, version: str, folder: Path) -> None:
    _say("Installing it into an empty environment, and running its demo")
    outdial = _environment(folder, "runtime.txt", wheel).with_name("outdial")
    empty = folder / "empty"
    empty.mkdir()
    # Neither the checkout nor settings of this user are in its reach.
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("OUTDIAL_", "REDIS_", "PYTHON"))
    }
    said = subprocess.run([outdial, "--version"], cwd=empty, env=clean, check=True, capture_output=True, text=True)
    if not said.stdout.strip().endswith(f" {version}"):
        raise ReleaseRefusedError(
            f"`outdial --version` printed {said.stdout.strip()!r}; expected version {version}"
        )
    subprocess.run([outdial, "files", "files"], cwd=empty, env=clean, check=True)
    subprocess.run([outdial, "demo"], cwd=empty, env=clean, check=True)


def _write_bill(wheel: Path, source: Path, bill: Path, folder: Path) -> None:
    _say("Writing the bill of materials (CycloneDX)")
    python = _environment(folder, "image.txt", wheel)
    # The bill names outdial as what it is of; setuptools built it.
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    _run([*pip, "uninstall", "--quiet", "--yes", "outdial", "setuptools"])
    writer = Path(sys.executable).with_name("cyclonedx-py")
    options: list[str | Path] = [
        "--pyproject",
        source / "pyproject.toml",
        "--output-reproducible",
        "--output-file",
        bill,
    ]
    _run([writer, "environment", *options, python])


def _build_image(version: str, source: Path) -> None:
    if not _docker_answers():
        _say("No docker daemon answers: the image is skipped")
        return
    revision = _output(["git", "rev-parse", "HEAD"])
    arguments = ["--build-arg", f"VERSION={version}", "--build-arg", f"REVISION={revision}"]
    _run(["docker", "build", *arguments, "--tag", f"outdial:{version}", source])


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    return (
        docker is not None and not subprocess.run([docker, "version"], check=False, capture_output=True).returncode
    )


def _write_sums(made: Path) -> None:
    """Write SHA256SUMS, for `sha256sum --check`."""
    files = sorted(file for file in made.iterdir() if file.is_file())
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (made / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")


def _run(command: Sequence[str | Path], *, quiet: bool = False) -> None:
    # The time of the commit, so that the same commit makes the same files.
    made_at = {"SOURCE_DATE_EPOCH": _output(["git", "log", "-1", "--format=%ct"])}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | made_at,
        check=False,
        stdout=subprocess.PIPE if quiet else None,
        text=True,
    )
    if done.returncode:
        sys.stderr.write(done.stdout or "")
        raise subprocess.CalledProcessError(done.returncode, [str(word) for word in command])


def _output(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
