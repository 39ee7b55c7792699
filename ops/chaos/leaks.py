"""What no surface may show: dialed numbers, tokens, passwords."""

import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

# A shorter text occurs by chance in the ids, hashes and times that logs are full of.
SHORTEST: Final = 8
# Whatever follows it in an address is a token, unless it was taken out.
_TOKEN_IN_ADDRESS = re.compile(r"token=(?!\*)[^&\s'\")]")
# Celery wraps the bodies of messages and events so: a number in one is readable to whoever looks.
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")


def leaks_in(logs: Iterable[Path], secrets: Mapping[str, str]) -> list[str]:
    """
    Return one sentence for each kind of leak in each log, without the secret.

    Args:
        logs: Files to look through.
        secrets: {text that must not occur: what it is}.
    """
    texts = {log.name: log.read_text(encoding="utf-8", errors="replace") for log in logs}
    return leaks_in_texts(texts, secrets)


def secret_of(api_key: str) -> str:
    """
    Return the part of an API key that must not occur anywhere.

    Args:
        api_key: As `producers.apikeys.create` returns it: `outdial_ID_SECRET`. The secret is base64url, so
            underscores may occur in it, at its end too.
    """
    _, _, secret = api_key.split("_", 2)
    return secret


def leaks_in_texts(texts: Mapping[str, str], secrets: Mapping[str, str]) -> list[str]:
    """
    Return one sentence for each kind of leak in each text, without the secret. What is in base64 is looked into.

    Args:
        texts: {what shows it: what it shows}.
        secrets: {text that must not occur: what it is}.

    Raises:
        ValueError: If a secret has fewer than `SHORTEST` characters; the message names its kind.
    """
    if short := sorted({kind for text, kind in secrets.items() if len(text) < SHORTEST}):
        raise ValueError(f"{', '.join(short)}: too short to search for; expected at least {SHORTEST} characters")
    # One pattern for all: thousands of numbers are looked for in thousands of lines.
    pattern = re.compile("|".join(re.escape(text) for text in sorted(secrets, key=len, reverse=True)) or r"(?!)")
    leaks = []
    for surface, shown in texts.items():
        text = f"{shown}\n{_unwrapped(shown)}"
        kinds = {secrets[found.group()] for found in pattern.finditer(text)}
        if _TOKEN_IN_ADDRESS.search(text):
            kinds.add("a token in an address")
        leaks += [f"{surface} shows {kind}" for kind in sorted(kinds)]
    return leaks


def _unwrapped(text: str) -> str:
    """Return what every run of base64 says, a line for each."""
    wrapped = (found.group().rstrip("=") for found in _BASE64.finditer(text))
    # Cut to whole bytes: what only looks like base64, such as a path, is of any length.
    whole = (run[: len(run) // 4 * 4] for run in wrapped)
    return "\n".join(b64decode(run).decode(errors="replace") for run in whole)
