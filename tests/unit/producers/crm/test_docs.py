"""Settings in the documentation are settings that work."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from producers.crm.presets import merged
from producers.crm.registry import adapters

DOCS = Path(__file__).parents[4] / "docs"
TOML = re.compile(r"```toml\n(.*?)```", re.DOTALL)


def made_up(name: str) -> str:
    return "https://crm.example/rest/1/made-up/" if "url" in name else "made-up-secret-of-at-least-32-characters"


def resolved(table: dict[str, Any]) -> dict[str, Any]:
    """The table as the settings give it, with its secrets."""
    plain: dict[str, Any] = {}
    for name, value in table.items():
        secret = name.removesuffix("_env").removesuffix("_file")
        if secret != name:
            plain[secret] = made_up(secret)
        else:
            plain[name] = resolved(value) if isinstance(value, dict) else value
    return plain


@pytest.mark.parametrize("page", sorted(DOCS.glob("crm*.md")), ids=lambda page: page.name)
def test_every_block_of_a_source_can_be_used_as_it_is(page: Path) -> None:
    sources: dict[str, dict[str, Any]] = {}
    for block in TOML.findall(page.read_text()):
        for name, table in tomllib.loads(block).get("source", {}).items():
            sources[name] = merged(sources.get(name, {}), resolved(table))
            made = adapters({name: sources[name]}) if {"auth", "map"} <= sources[name].keys() else {}
            assert all(adapter.warnings() == () for adapter in made.values())
    assert adapters(sources).keys() == sources.keys()
    assert sources
