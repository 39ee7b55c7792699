"""Signatures of another form than the settings expect: prefix, encoding, algorithm."""

import re
from typing import Literal

Algorithm = Literal["sha256", "sha1", "sha512"]
Encoding = Literal["hex", "base64"]

_HEX = re.compile(r"[0-9A-Fa-f]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_BASE64_OF_URLS = re.compile(r"[A-Za-z0-9_-]+={0,2}")
_BYTES: dict[Algorithm, int] = {"sha1": 20, "sha256": 32, "sha512": 64}
# Prefixes in use, which a sentence may name; any other may be part of a secret.
_PREFIXES = ("sha256=", "sha1=", "sha512=", "v0=", "v1=", "v1,")
# A time and signatures in one header, as Stripe, Calendly and others have it.
_WITH_TIME = re.compile(r"t=[0-9]+,")


def form_problem(
    given: list[str], *, header: str, prefix: str, algorithm: Algorithm, encoding: Encoding
) -> str | None:
    """
    Return why none of the signatures in a header can be right, judged by their form alone; None if one can.

    Args:
        given: The words of the header; no sentence contains them.
        header: Its name.
        prefix: What a signature begins with.
        algorithm: What it is made by.
        encoding: How it is written.
    """
    if not given:
        return f"the header {header} is missing; send the signature in it"
    if not prefix and (found := _prefix_of(given[0])):
        return f'{header} begins with {found}; set prefix = "{found}"'
    if prefix and not any(one.startswith(prefix) for one in given):
        return f"{header} does not begin with {prefix}; see prefix" + _and_a_time(given)
    signatures = [one.removeprefix(prefix) for one in given if one.startswith(prefix)]
    problems = [_problem_of(one, algorithm, encoding) for one in signatures]
    return f"{header} {problems[0]}" + _and_a_time(given) if all(problems) else None


def _problem_of(signature: str, algorithm: Algorithm, encoding: Encoding) -> str | None:
    form = _form_of(signature)
    if form is None:
        return f"holds no {algorithm} signature in {encoding}"
    made_by, written_as = form
    if (made_by, written_as) == (algorithm, encoding):
        return None
    if written_as == encoding:
        return f'has the length of {made_by}, expected {algorithm}; set algorithm = "{made_by}"'
    if written_as not in ("hex", "base64"):
        return f"holds {written_as}, expected {encoding}"
    other = "" if made_by == algorithm else f', and algorithm = "{made_by}"'
    return f'holds {written_as}, expected {encoding}; set encoding = "{written_as}"{other}'


def _form_of(signature: str) -> tuple[Algorithm, str] | None:
    """Return by which algorithm and in which encoding a text of this length may be a signature."""
    for algorithm, size in _BYTES.items():
        if len(signature) == 2 * size and _HEX.fullmatch(signature):
            return algorithm, "hex"
        padded = 4 * -(-size // 3)
        if len(signature) == padded and _BASE64.fullmatch(signature):
            return algorithm, "base64"
        unpadded = -(-8 * size // 6)
        if len(signature) in (padded, unpadded) and _BASE64_OF_URLS.fullmatch(signature):
            return algorithm, "base64url"
        if len(signature) == unpadded and _BASE64.fullmatch(signature):
            return algorithm, "base64 without its padding"
    return None


def _prefix_of(word: str) -> str | None:
    return next((prefix for prefix in _PREFIXES if word.lower().startswith(prefix)), None)


def _and_a_time(given: list[str]) -> str:
    return "; it holds a time too (t=...,v1=...), which is not read here" if _WITH_TIME.match(given[0]) else ""
