"""Addresses of Redis and of results, whose passwords may lie elsewhere than in the settings file."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.redis_address import SCHEMES, RedisAddress, with_password
from worker.secret_reader import SecretReader, unreadable

IN_REDIS = tuple(f"{scheme}://" for scheme in SCHEMES)
# Passwords that go into addresses, so that an address may be read by all and its password lie in a file.
_PASSWORDS = {"redis_url": "redis_password", "result_backend": "result_backend_password"}


def move_in(content: dict[str, Any], reader: SecretReader) -> dict[str, str]:
    """
    Put the addresses that stand elsewhere into *content*, and return the passwords that go into addresses.

    Args:
        content: The settings file, read; loses `NAME_env` and `NAME_file` of addresses and passwords.
        reader: Notes what cannot be had.

    Returns:
        Passwords by the setting whose address wants them: `redis_url`, `result_backend`.
    """
    for name in ("redis_url", "result_backend"):
        if value := _top_secret(name, content, reader):
            content[name] = value
    named = {setting: _top_secret(password, content, reader) for setting, password in _PASSWORDS.items()}
    return {setting: password for setting, password in named.items() if password}


def _top_secret(name: str, content: dict[str, Any], reader: SecretReader) -> str | None:
    """Return what `NAME_env` or `NAME_file` points at, here or in the environment, which wins."""
    variable, file = (
        os.environ.get(f"OUTDIAL_{name.upper()}_{form.upper()}") or content.get(f"{name}_{form}")
        for form in ("env", "file")
    )
    for form in ("env", "file"):
        content.pop(f"{name}_{form}", None)
    return reader.read(variable, Path(file) if file else None, name)


def with_passwords(
    addresses: Mapping[str, str | None], passwords: Mapping[str, str], problems: list[str]
) -> dict[str, str]:
    """
    Return the addresses that have a password from elsewhere, with it.

    Args:
        addresses: By setting; None where there is none.
        passwords: As `move_in` returns them.
        problems: Gets a sentence for each password that goes with no address.
    """
    changes = {}
    for setting, password in passwords.items():
        url = addresses[setting]
        try:
            if url is None or not url.startswith(IN_REDIS):
                raise ValueError(f"has no address in Redis to go with; set {setting}, or leave it out")
            changes[setting] = with_password(url, password)
        except ValueError as wrong:
            problems.append(f"{_PASSWORDS[setting]}: {wrong}")
    return changes


def missing_tls_files(addresses: Mapping[str, RedisAddress | None]) -> list[str]:
    """Return a sentence for every certificate or key that an address names and that is not there."""
    return [
        f"{setting}: {option} is {file}, which {problem}; give one in PEM form"
        for setting, address in addresses.items()
        if address
        for option, file in address.tls_files.items()
        if (problem := unreadable(Path(file)))
    ]
