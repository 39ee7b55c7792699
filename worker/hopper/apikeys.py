"""The hopper's steps about API keys: who may use the HTTP intake, for what, and how often."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from worker.hopper.audit import noted
from worker.hopper.looking import Looking


@dataclass(frozen=True, slots=True)
class ApiKey:
    """
    One API key, without its secret.

    `scopes` are words of enqueue, read, operate; `pbxs` the names it may use, `*` for all. It may be used for
    `requests` in `window_s` seconds. Times are unix seconds, 0 for never; `revoked_by` and `created_by` say who.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    pbxs: tuple[str, ...]
    requests: int
    window_s: int
    created_at: float = 0.0
    created_by: str = ""
    revoked_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Admission:
    """
    What is known of the API key of one request; whether its secret is right is still to be decided by `digest`.

    `left` requests may follow at once, `full_in_s` seconds from now all may; `retry_in_s` above 0 says that this
    one is over the limit.
    """

    key: ApiKey
    digest: str
    left: int
    full_in_s: float
    retry_in_s: float


class ApiKeys(Looking):
    """Part of `worker.hopper.Hopper`."""

    def new_key(self, key: ApiKey, digest: str) -> bool:
        """Store an API key under its id, with the SHA-256 of its secret as hex; False if there is one already."""
        fields = ["digest", digest, "name", key.name, "scopes", " ".join(key.scopes), "pbxs", " ".join(key.pbxs)]
        fields += ["requests", str(key.requests), "window_s", str(key.window_s)]
        return bool(self._scripts.run("new_key", key.id, *fields))

    def revoke_key(self, key_id: str, *, reason: str = "") -> Literal["revoked", "again", "gone"]:
        """Refuse an API key from the next request on; the audit keeps *reason*."""
        word: Literal["revoked", "again", "gone"] = self._scripts.run("revoke_key", key_id, noted(reason))
        return word

    def api_keys(self) -> list[ApiKey]:
        """Return all API keys, revoked ones too, oldest first."""
        ids = sorted(self._client.smembers(self.keys.api_keys))
        with self._client.pipeline(transaction=False) as pipe:
            for key_id in ids:
                pipe.hgetall(self.keys.api_key(key_id))
            found = zip(ids, pipe.execute(), strict=True)
        return sorted((_key(key_id, held) for key_id, held in found if held), key=lambda key: key.created_at)

    def admit(self, requests: Sequence[tuple[str, str]]) -> list[Admission | None]:
        """
        Count requests, and return what is known of their API keys; None for one that is unknown or revoked.

        Args:
            requests: For each the id of its key, and the SHA-256 of the secret it brought as hex. One with a wrong
                secret is not counted.
        """
        answers = json.loads(self._scripts.run("admit", *(part for request in requests for part in request)))
        return [
            _admission(key_id, answer) if answer else None
            for (key_id, _), answer in zip(requests, answers, strict=True)
        ]


def _admission(key_id: str, answer: dict[str, str]) -> Admission:
    left, full_in_s, retry_in_s = int(answer["left"]), float(answer["full_in_s"]), float(answer["retry_in_s"])
    return Admission(_key(key_id, answer), answer["digest"], left, full_in_s, retry_in_s)


def _key(key_id: str, held: dict[str, str]) -> ApiKey:
    return ApiKey(
        key_id,
        held["name"],
        tuple(held["scopes"].split()),
        tuple(held["pbxs"].split()),
        int(held["requests"]),
        int(held["window_s"]),
        float(held.get("created_at", 0)),
        held.get("created_by", ""),
        float(held.get("revoked_at", 0)),
    )
