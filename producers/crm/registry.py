"""Which kinds of CRM sources there are, and the adapters of those in the settings."""

import pkgutil
import re
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any, cast

from pydantic import ValidationError

import producers.crm
from producers.crm.base import Adapter
from worker.errors import ConfigurationError

# What wrong settings are told, by the kind of the problem in pydantic's words; all others are told those.
_SAID = {
    "missing": "is missing; set it in the settings file, a secret by ..._env or ..._file",
    "extra_forbidden": "is not a setting; look for a slip of the pen",
    "string_type": "is not a text; give one, in quotes",
    "tuple_type": 'is not a list; give one, such as ["a", "b"]',
    "dict_type": 'is not a table; give one, such as { name = "value" }',
    "model_type": 'is not a table; give one, such as { name = "value" }',
    "model_attributes_type": 'is not a table; give one, such as { kind = "bearer", token_env = "VARIABLE" }',
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}
# What would be right for settings that follow a pattern.
_RIGHT = {
    "extension": "1 to 10 digits, in quotes",
    "extensions": "1 to 10 digits, in quotes",
    "country": "two capital letters, such as GB",
    "autoanswer": "yes or no, in quotes",
    "on_unknown": "hold or redial",
    "pbx": "the name of a PBX in the settings",
    "header": "the name of a header",
    "prefix": "a text without blanks",
    "organizations": "ids of 15 or 18 characters that begin with 00D",
    "api_url": "https://HOST",
    "media_type": "one such as text/plain",
}
# What would be right for settings that are lists.
_RIGHT_LIST = {"methods": '["POST"]'}
_OWN_FIELD = re.compile(r"([a-z_.]+): ")

# What a module of this package must hold to be a kind of source.
_HELD = ("Settings", "Adapter")


def kinds() -> tuple[str, ...]:
    """Return what a source's `kind` may be, in alphabetical order: the modules here that hold an adapter."""
    return tuple(name for name in _modules() if _is_kind(name))


def adapters(
    sources: Mapping[str, Mapping[str, Any]], *, pbxs: Collection[str] | None = None
) -> dict[str, Adapter]:
    """
    Return the adapter of each source, by its name.

    Args:
        sources: The blocks `[source.NAME]` of the settings, their secrets resolved.
        pbxs: The names of all PBXs; None does not look whether those of the sources are among them.

    Raises:
        ConfigurationError: With one sentence for every problem of every block at once.
    """
    made: dict[str, Adapter] = {}
    problems: list[str] = []
    for name, block in sources.items():
        try:
            made[name] = adapter(name, block)
        except ConfigurationError as wrong:
            problems += wrong.problems
        else:
            problems += _unknown_pbx(made[name], pbxs)
    if problems:
        raise ConfigurationError(problems)
    return made


def adapter(name: str, block: Mapping[str, Any]) -> Adapter:
    """
    Return the adapter of one source.

    Raises:
        ConfigurationError: With one sentence for every problem of its block at once.
    """
    kind = block.get("kind")
    if not (isinstance(kind, str) and kind in _modules() and _is_kind(kind)):
        what = "is missing" if kind is None else f"{kind!r} is none"
        raise ConfigurationError([f"source.{name}.kind: {what}; choose one of {', '.join(kinds())}"])
    module = import_module(f"{producers.crm.__name__}.{kind}")
    try:
        return cast("Adapter", module.Adapter(name, module.Settings.model_validate(dict(block))))
    except ValidationError as refused:
        problems = refused.errors(include_url=False, include_input=False)
        raise ConfigurationError([_sentence(name, problem) for problem in problems]) from None
    except ConfigurationError as wrong:
        raise ConfigurationError([f"source.{name}.{problem}" for problem in wrong.problems]) from None


def _unknown_pbx(source: Adapter, pbxs: Collection[str] | None) -> list[str]:
    pbx = source.settings.pbx
    if pbx is None or pbxs is None or pbx in pbxs:
        return []
    return [f"source.{source.name}.pbx: {pbx!r} is not one of the PBXs: {', '.join(pbxs)}"]


def _modules() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(producers.crm.__path__))


def _is_kind(name: str) -> bool:
    module = import_module(f"{producers.crm.__name__}.{name}")
    return all(hasattr(module, held) for held in _HELD)


def _sentence(name: str, problem: Any) -> str:
    steps = [str(step) for step in problem["loc"] if step != "[key]"]
    if "auth" in steps[:-1]:
        del steps[steps.index("auth") + 1]  # pydantic puts its kind there, which is no setting above this one
    if problem["type"] == "union_tag_invalid":
        steps.append("kind")
    what = _what(steps, problem)
    if told := _OWN_FIELD.match(what):
        steps, what = [*steps, told[1]], what[told.end() :]
    return f"{'.'.join(('source', name, *steps))}: {what}"


def _what(steps: list[str], problem: Any) -> str:
    """Return what is wrong, and what would be right, without the value: it may be a secret."""
    kind, facts = problem["type"], problem.get("ctx", {})
    right = next((_RIGHT[step] for step in steps if step in _RIGHT), None)
    if kind in ("string_pattern_mismatch", "string_type") and right:
        return f"is not right; give {right}"
    if kind == "union_tag_invalid":
        return f"{facts['tag']!r} is none; choose one of {facts['expected_tags'].replace(chr(39), '')}"
    if kind in ("too_short", "string_too_short"):
        return (
            "is empty; give one"
            if facts["min_length"] == 1
            else f"is too short; give at least {facts['min_length']}"
        )
    if kind == "tuple_type" and steps and steps[-1] in _RIGHT_LIST:
        return f"is not a list; give one, such as {_RIGHT_LIST[steps[-1]]}"
    said: str = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return _SAID.get(kind, said)
