"""API keys of the HTTP intake: made here, shown once, and kept as a hash alone."""

import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, get_args

from worker.errors import InputRefused
from worker.hopper import Admission, ApiKey, Hopper
from worker.settings import Settings

Scope = Literal["enqueue", "read", "operate"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
EVERY_PBX = "*"
# Many times what a PBX can dial: it stops what runs wild, and nobody else.
REQUESTS, WINDOW_S = 50_000, 10
_MOST_REQUESTS, _LONGEST_WINDOW_S = 10_000_000, 86400
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
# A fixed beginning lets scanners of leaked secrets find it.
_FORM = re.compile(r"outdial_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Credential:
    """
    What a request brought: the id of an API key, and the SHA-256 of its secret as hex.

    The secret has 256 random bits, so a plain hash of it cannot be searched through.
    """

    key_id: str
    digest: str

    @classmethod
    def of(cls, text: str) -> "Credential | None":
        """Read an API key as its owner has it; None if it has not the form of one."""
        found = _FORM.fullmatch(text)
        return cls(found[1], sha256(found[2].encode()).hexdigest()) if found else None

    def opens(self, admission: Admission | None) -> bool:
        """Whether this is the secret of the key that the hopper knows; takes the same time for any wrong one."""
        return admission is not None and hmac.compare_digest(admission.digest, self.digest)


def create(
    hopper: Hopper,
    settings: Settings,
    name: str,
    *,
    scopes: Collection[str],
    pbxs: Collection[str] = (),
    requests: int = REQUESTS,
    window_s: int = WINDOW_S,
) -> tuple[ApiKey, str]:
    """
    Make an API key and store its hash.

    Args:
        hopper: Where it is stored.
        settings: Which PBXs there are.
        name: Of the integration: letters, digits and . _ -. Two keys may share it, while one replaces the other.
        scopes: One or more of enqueue, read, operate.
        pbxs: Those it may use; none means all.
        requests: How many it may send in *window_s* seconds.
        window_s: See *requests*.

    Returns:
        The key, and what its owner sends: shown now and never again.

    Raises:
        InputRefused: With one sentence per wrong value; nothing was stored.
        redis.exceptions.RedisError: If Redis does not answer.
    """
    problems = [*_problems(name, scopes, requests, window_s), *_unknown(pbxs, settings)]
    if problems:
        raise InputRefused(problems)
    secret = secrets.token_urlsafe(32)
    ordered = tuple(scope for scope in SCOPES if scope in scopes)
    key = ApiKey(secrets.token_hex(6), name, ordered, tuple(sorted(pbxs)) or (EVERY_PBX,), requests, window_s)
    if not hopper.new_key(key, sha256(secret.encode()).hexdigest()):
        raise InputRefused([f"id: {key.id} is taken by chance; try again"])
    return key, f"outdial_{key.id}_{secret}"


def _problems(name: str, scopes: Collection[str], requests: int, window_s: int) -> list[str]:
    problems = []
    if not _NAME.fullmatch(name):
        problems.append(f"name: {name[:60]!r} is not right; give 1 to 40 letters, digits and . _ -")
    problems += [f"scope: {scope!r} is none; give {', '.join(SCOPES)}" for scope in scopes if scope not in SCOPES]
    if not scopes:
        problems.append(f"scope: is missing; give one or more of {', '.join(SCOPES)}")
    if not 1 <= requests <= _MOST_REQUESTS:
        problems.append(f"requests: {requests} is not right; give 1 to {_MOST_REQUESTS:,}")
    if not 1 <= window_s <= _LONGEST_WINDOW_S:
        problems.append(f"per: {window_s} is not right; give 1 to {_LONGEST_WINDOW_S:,} seconds")
    return problems


def _unknown(pbxs: Collection[str], settings: Settings) -> list[str]:
    names = ", ".join(list(settings.pbx)[:20])
    return [f"pbx: {pbx!r} is not in the settings; choose of {names}" for pbx in pbxs if pbx not in settings.pbx]
