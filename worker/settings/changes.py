"""What a new reading of the settings changes in a running process, and what of it takes a restart: values only."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from worker.settings.pbx import PbxSettings
from worker.settings.secrets import SECRET_NAMES
from worker.settings.settings import Settings

# Read once at start: connections, listeners, processes and the time limits of claims depend on them.
NEEDS_RESTART: Final = (
    "redis_url",
    "result_backend",
    "namespace",
    "retain_s",
    "log_format",
    "worker",
    "limits",
    "replication",
    "flower",
    "metrics",
    "tracing",
    "api.address",
    "api.port",
    "api.tls_cert",
    "api.tls_key",
    "api.cors_origins",
    "webhooks.processes",
    "webhooks.concurrency",
)
# Hosts may differ in these, so that the version of the settings does not show them.
_OF_ONE_HOST: Final = (
    *("redis_url", "result_backend", "log_format", "worker", "flower", "metrics", "tracing"),
    *("api.address", "api.port", "api.tls_cert", "api.tls_key", "webhooks.processes", "webhooks.concurrency"),
)
_NEW, _REMOVED = "new", "removed"
# Of a PBX: files, and a section that holds a set.
_ONE_BY_ONE: Final = frozenset({"ca_file", "password_file", "numbers"})


@dataclass(frozen=True, slots=True)
class Change:
    """
    What a new reading of the settings comes to.

    Attributes:
        settings: Those to put in force: the new ones, but the present ones where a restart is needed.
        changed: Names of settings that take effect, such as `pbx.hq.burst`, `pbx.east (new)` or
            `webhook.crm (removed)`.
        needs_restart: Names of settings that were changed and keep their present value until a restart.
    """

    settings: Settings
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


def change_of(present: Settings, read: Settings) -> Change:
    """Return what follows from *read* for a process in which *present* is in force; neither is changed."""
    names = list(_differences(present, read, Settings.model_fields))
    restart = tuple(name for name in names if _is_under(name, NEEDS_RESTART))
    changed = tuple(name for name in names if not _is_under(name, NEEDS_RESTART))
    return Change(_with_kept(present, read) if changed else present, changed, restart)


def version_of(settings: Settings) -> str:
    """
    Return 8 hex digits that change with every setting that all hosts are to share, save secrets.

    Settings of one host (listeners, processes, its way to Redis) do not count, and of files only their names: the
    same settings have the same version on every host and in every kind of process.
    """
    rows = [f"{name}={value}" for name, value in _leaves(settings) if not _is_under(name, _OF_ONE_HOST)]
    return sha256("\n".join(sorted(rows)).encode()).hexdigest()[:8]


def _is_under(name: str, sections: tuple[str, ...]) -> bool:
    path = name.partition(" ")[0]
    return any(path == section or path.startswith(f"{section}.") for section in sections)


def _with_kept(present: Settings, read: Settings) -> Settings:
    updates: dict[str, Any] = {}
    for name in NEEDS_RESTART:
        section, _, field = name.partition(".")
        if not field:
            updates[section] = getattr(present, section)
            continue
        part = updates.get(section, getattr(read, section))
        updates[section] = part.model_copy(update={field: getattr(getattr(present, section), field)})
    return read.model_copy(update=updates)


def _differences(old: Any, new: Any, fields: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for field in fields:
        before, after, name = getattr(old, field), getattr(new, field), f"{path}{field}"
        if before == after:
            continue
        if isinstance(before, BaseModel) and type(before) is type(after):
            yield from _differences(before, after, type(before).model_fields, f"{name}.")
        elif isinstance(before, dict) and isinstance(after, dict):
            yield from _entries(before, after, f"{name}.")
        else:
            yield name


def _entries(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield f"{path}{name} ({_NEW})"
        elif name not in new:
            yield f"{path}{name} ({_REMOVED})"
        elif isinstance(old[name], BaseModel) and isinstance(new[name], BaseModel):
            yield from _differences(old[name], new[name], type(old[name]).model_fields, f"{path}{name}.")
        elif old[name] != new[name]:
            # Names inside of a source's tables may be those of a CRM; the block is enough.
            yield f"{path}{name}"


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield name and text of every setting that is no secret."""
    if isinstance(value, PbxSettings):
        # There may be thousands; what pydantic can write by itself, it writes in a fifth of the time.
        yield path, value.model_dump_json(exclude=set(_ONE_BY_ONE | SECRET_NAMES))
        yield from _leaves({field: getattr(value, field) for field in sorted(_ONE_BY_ONE)}, path)
    elif isinstance(value, BaseModel):
        for field in type(value).model_fields:
            if field not in SECRET_NAMES:
                yield from _leaves(getattr(value, field), f"{path}{field}.")
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if not _is_secret(str(name), value):
                yield from _leaves(inner, f"{path}{name}.")
    elif not isinstance(value, SecretStr):
        yield path.rstrip("."), _text(value)


def _text(value: Any) -> str:
    if isinstance(value, tuple | list | frozenset | set):
        texts = [json.dumps(list(_leaves(inner))) for inner in value]
        return str(sorted(texts) if isinstance(value, frozenset | set) else texts)
    return value.name if isinstance(value, Path) else repr(value)


def _is_secret(name: str, table: Mapping[Any, Any]) -> bool:
    """Return whether an entry is a secret: by its name, or because another entry names the place of it."""
    return name in SECRET_NAMES or f"{name}_env" in table or f"{name}_file" in table
