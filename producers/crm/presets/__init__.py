"""What sources of kind `generic` say of well-known CRMs, a file each: values that a block may change."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any


def names() -> tuple[str, ...]:
    """Return what a source's `preset` may be, in alphabetical order."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


@cache
def preset(name: str) -> Mapping[str, Any]:
    """Return one preset: part of a source's block, not to be changed."""
    return tomllib.loads((resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a preset with a source's own block laid over it.

    Tables are merged and other values replaced, but for two: `unless` keeps those of the preset, which hold off
    our own echo, and an `auth` of another kind replaces the preset's whole.
    """
    both = {**below, **above}
    for name in below.keys() & above.keys():
        if name == "unless":
            both[name] = [*_listed(below[name]), *_listed(above[name])]
        elif isinstance(below[name], dict) and isinstance(above[name], dict):
            is_other = name == "auth" and above[name].get("kind") not in (None, below[name].get("kind"))
            both[name] = above[name] if is_other else merged(below[name], above[name])
    return both


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
