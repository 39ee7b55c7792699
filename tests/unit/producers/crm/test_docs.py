"""Settings in the documentation are settings that work."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from producers.crm import generic
from producers.crm.base import Adapter, Delivery
from producers.crm.presets import merged
from producers.crm.registry import adapter, adapters

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


def documented(source: str, page: str = "crm.md") -> dict[str, Any]:
    """The block of a source as a page has it, with its secrets."""
    blocks = [tomllib.loads(block).get("source", {}) for block in TOML.findall((DOCS / page).read_text())]
    return resolved(next(block[source] for block in blocks if source in block))


def finds_an_extension(source: Adapter) -> bool:
    says_it = isinstance(source.settings, generic.Settings) and source.settings.map.extid
    return bool(says_it or source.settings.extension or source.settings.extensions)


@pytest.mark.parametrize("page", sorted(DOCS.glob("crm*.md")), ids=lambda page: page.name)
def test_every_block_of_a_source_can_be_used_as_it_is(page: Path) -> None:
    sources: dict[str, dict[str, Any]] = {}
    for block in TOML.findall(page.read_text()):
        for name, table in tomllib.loads(block).get("source", {}).items():
            sources[name] = merged(sources.get(name, {}), resolved(table))
            made = adapters({name: sources[name]}) if {"auth", "map"} <= sources[name].keys() else {}
            assert all(adapter.warnings() == () for adapter in made.values())
    made = adapters(sources)
    assert made.keys() == sources.keys()
    assert sources
    assert all(finds_an_extension(source) for source in made.values())


@pytest.mark.parametrize(
    ("fields", "before", "wishes"),
    [
        ({"0a1": {"id": 42}}, {"0a1": {"id": 41}}, 1),
        ({"0a1": {"id": 42}}, {"0a1": None}, 1),
        ({"0a1": {"id": 42}}, {"1b2": {"id": 5}}, 0),
        ({"0a1": {"id": 42}}, None, 0),
        ({"0a1": {"id": 41}}, {"0a1": {"id": 42}}, 0),
        ({"0a1": None}, {"0a1": {"id": 42}}, 0),
    ],
)
def test_pipedrive_wishes_for_a_call_when_its_field_becomes_so_and_not_while_it_is(
    fields: dict[str, Any], before: dict[str, Any] | None, wishes: int
) -> None:
    # Keys of such fields may begin with a digit, so they have to stand in quotes.
    block = json.loads(json.dumps(documented("pipedrive")).replace("KEY", "0a1"))
    event = {"meta": {"id": "e"}, "data": {"custom_fields": fields}, "previous": {"custom_fields": before}}
    body = json.dumps(event if before else {**event, "previous": {"name": "Ada"}}).encode()
    source = adapter("pipedrive", block)
    assert len(source.wishes(Delivery("POST", "https://outdial.example/hooks/pipedrive", {}, body))) == wishes


def test_kommo_is_heard_whatever_it_tells_of_at_once() -> None:
    source = adapter("kommo", documented("kommo"))
    bodies = {
        "contacts[add][0][id]=1&contacts[update][0][id]=2&contacts[update][1][id]=3": ["2", "3", "1"],
        "contacts[add][0][id]=1": ["1"],
        "contacts[delete][0][id]=1": [],
        "leads[status][0][id]=1": [],
    }
    for body, ids in bodies.items():
        sent = Delivery("POST", "https://outdial.example/hooks/kommo", {}, body.encode())
        assert [wish.metadata["id"] for wish in source.wishes(sent)] == ids, body
