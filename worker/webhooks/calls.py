"""What is sent to tell somebody of a result: a value, made by pure functions and carried out in one place."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Call:
    """
    One HTTP request that tells of one result.

    `url` is https (or http where the operator allowed it); it, `headers` and `body` may hold secrets, so none of
    them is shown.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
