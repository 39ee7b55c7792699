"""What the documents say can be typed and followed: commands, their options, links and headings."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ops.flower.__main__ import main as flower
from ops.local import main as local
from ops.pbx_simulator.__main__ import command as simulator
from producers.cli import cli
from worker.__main__ import main as worker

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("ops/**/*.md")])
# These hand their options on to programs of their own.
PROGRAMS: dict[str, click.Command] = {"flower": flower, "simulator": simulator}
PROGRAMS |= {name: part.commands[name] for part in (worker, local) for name in part.commands}
_COMMAND = re.compile(r"(?:^|[\s`(|])(?:\$ )?outdial ((?:[a-z]+)(?: [^`#\n|;>]*)?)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def commands_in(text: str) -> Iterator[list[str]]:
    blocks = re.findall(r"(?:^    .+$|`outdial [^`\n]+`)", text, flags=re.MULTILINE)
    for found in (match[1] for block in blocks for match in _COMMAND.finditer(block)):
        yield shlex.split(found.replace("'", ""))


def problem_with(words: list[str]) -> str:
    command: click.Command = cli
    words = list(words)
    while isinstance(command, click.Group) and words:
        context = click.Context(command)
        name = words.pop(0)
        found = PROGRAMS.get(name) if command is cli else None
        found = found or command.get_command(context, name)
        if found is None:
            return f"there is no {name!r}"
        command = found
    known = {option for part in command.params for option in (*part.opts, *part.secondary_opts)} | {
        "-h",
        "--help",
        "--config",
    }
    return ", ".join(
        word for word in words if word.startswith("-") and word != "-" and word.split("=")[0] not in known
    )


def anchors_of(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_can_be_typed_and_every_link_followed(document: Path) -> None:
    text = document.read_text()
    wrong = {" ".join(words): found for words in commands_in(text) if (found := problem_with(words))}
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists():
            wrong[link] = "there is no such file"
        elif anchor and anchor not in anchors_of(target):
            wrong[link] = "there is no such heading"
    assert wrong == {}
