"""Tables inside what a CRM sends, and those made of it."""

from collections.abc import Iterable, Mapping
from typing import Any

from producers.crm.base import BadPayload


def table_of(value: Any, name: str) -> Mapping[str, Any]:
    """
    Return a table; an empty one for None, and for an empty list or text, as which PHP and XML write empty ones.

    Raises:
        BadPayload: If it is anything else; *name* begins the sentence.
    """
    if value in (None, [], ""):
        return {}
    if isinstance(value, Mapping):
        return value
    raise BadPayload(f"{name}: is not an object; give one with names and values")


def check_metadata(setting: str, names: Iterable[str], numbers: Iterable[str]) -> None:
    """
    Return if nothing that holds a telephone number is chosen for metadata, which come back with the result.

    Raises:
        ValueError: With a sentence that begins with *setting*.
    """
    if both := sorted(set(names) & set(numbers)):
        raise ValueError(f"{setting}: {both[0]} holds a telephone number, which results never do; take it out")


def without_gaps(facts: Mapping[str, str | None]) -> dict[str, str]:
    """Return what says something, as the metadata of a wish."""
    return {name: text for name, text in facts.items() if text}
