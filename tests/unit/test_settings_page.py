"""docs/settings.md has every setting, and the defaults that it shows are those that count."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from worker.settings import PbxSettings, Settings

PAGE = (Path(__file__).parents[2] / "docs/settings.md").read_text()
BLOCK = PAGE.split("```toml\n")[1].split("```")[0]
SHOWN = tomllib.loads(BLOCK)
# Explained on pages of their own, to which this one leads.
ELSEWHERE = {"pbx", "source", "webhook", "webhooks"}
SECTIONS: dict[str, type[BaseModel]] = {
    name: type(field.default)
    for name, field in Settings.model_fields.items()
    if isinstance(field.default, BaseModel) and name not in ELSEWHERE
}


def told_defaults(name: str) -> dict[str, Any]:
    """The values of a section, but for those of which the page says that they are no defaults."""
    text = BLOCK.split(f"\n[{name}]")[1].split("\n[")[0]
    examples = set(re.findall(r"^(\w+) = .*# no default", text, flags=re.MULTILINE)) | {"password_env"}
    return {key: value for key, value in SHOWN[name].items() if key not in examples}


def test_what_the_page_shows_would_be_taken() -> None:
    assert Settings(**SHOWN).pbx["hq"].read_timeout_s == SHOWN["pbx"]["hq"]["read_timeout_s"]


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_is_shown_with_its_defaults(name: str) -> None:
    fields = SECTIONS[name]().model_dump()
    assert {key: fields[key] for key in told_defaults(name)} == told_defaults(name)


@pytest.mark.parametrize(("where", "model"), [*SECTIONS.items(), ("pbx.NAME", PbxSettings)])
def test_every_setting_is_on_the_page(where: str, model: type[BaseModel]) -> None:
    text = BLOCK.split("\n[pbx.hq]" if model is PbxSettings else f"\n[{where}]")[1].split("\n[")[0]
    missing = [name for name in model.model_fields if not re.search(rf"\b{name}\b", text)]
    # A password itself belongs in no file that is shown; rules for numbers have a page of their own.
    assert set(missing) <= {"password", "numbers"}


def test_every_setting_outside_a_section_is_on_the_page() -> None:
    assert set(Settings.model_fields) - set(SECTIONS) - ELSEWHERE <= set(SHOWN)
    for name in ELSEWHERE:
        assert f"[{name}" in PAGE
