"""Which kinds of CRM sources there are, and the adapters of those in the settings."""

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from pydantic import ValidationError

import producers.crm
from producers.crm.base import Adapter
from worker.errors import ConfigurationError

# What a module of this package must hold to be a kind of source.
_HELD = ("Settings", "Adapter")


def kinds() -> tuple[str, ...]:
    """Return what a source's `kind` may be, in alphabetical order: the modules here that hold an adapter."""
    return tuple(name for name in _modules() if _is_kind(name))


def adapters(sources: Mapping[str, Mapping[str, Any]]) -> dict[str, Adapter]:
    """
    Return the adapter of each source, by its name.

    Args:
        sources: The blocks `[source.NAME]` of the settings, their secrets resolved.

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


def _modules() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(producers.crm.__path__))


def _is_kind(name: str) -> bool:
    module = import_module(f"{producers.crm.__name__}.{name}")
    return all(hasattr(module, held) for held in _HELD)


def _sentence(name: str, problem: Any) -> str:
    steps = [str(step) for step in problem["loc"] if step != "[key]"]
    if steps[:1] == ["auth"] and len(steps) > 2:
        del steps[1]  # pydantic puts its kind there, which is no setting above this one
    where = ".".join(("source", name, *steps))
    if problem["type"] == "missing":
        return f"{where}: is missing; set it in the settings file, a secret by ..._env or ..._file"
    if problem["type"] == "extra_forbidden":
        return f"{where}: is not a setting; look for a slip of the pen"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}"
