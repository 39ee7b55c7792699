"""Who may come in: nothing is served without an API key but health, the pages themselves and CRM hooks."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import redis
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from producers.api.batching import NoAnswer, Together
from producers.api.problems import QUOTA_EXCEEDED, Problem, unavailable
from producers.apikeys import EVERY_PBX, Credential
from producers.apikeys import Scope as Permission
from worker.hopper import Admission

Admit = Together[tuple[str, str], Admission | None]

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="outdial"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is: the API key it came with, and what is left of its quota."""

    admission: Admission

    @property
    def origin(self) -> str:
        """What is written to the jobs it brings."""
        return f"api:{self.admission.key.name}"

    @property
    def actor(self) -> str:
        """Who acted, for timelines."""
        return f"{self.admission.key.name}@api"

    def may(self, *scopes: Permission) -> bool:
        """Whether the key has one of some scopes."""
        return any(scope in self.admission.key.scopes for scope in scopes)

    def may_use(self, pbx: str) -> bool:
        """Whether the key may see and use a PBX; jobs that were refused before they had one are everybody's."""
        return not pbx or not self.pbxs or pbx in self.pbxs

    @property
    def pbxs(self) -> tuple[str, ...]:
        """The PBXs it may use; empty for all."""
        return () if EVERY_PBX in self.admission.key.pbxs else self.admission.key.pbxs

    @property
    def only_pbx(self) -> str | None:
        """The PBX of jobs that name none, where the key leaves no choice."""
        return self.pbxs[0] if len(self.pbxs) == 1 else None


def needs(*scopes: Permission) -> Callable[[Request], Awaitable["Caller"]]:
    """Return what gives a route its caller, or refuses one whose key has none of some scopes."""

    async def caller_of(request: Request) -> Caller:
        caller: Caller = request.state.caller
        if not caller.may(*scopes):
            raise Problem(
                403, f"scope: this API key has not the scope {' or '.join(scopes)}; ask for one that has it"
            )
        return caller

    return caller_of


class Guard:
    """
    Stands in front of all routes and lets no request through without an API key, but to open paths.

    Args:
        app: What is behind it.
        admit: Asks the hopper about keys.
        is_open: Tells the paths that need none.
    """

    def __init__(self, app: ASGIApp, *, admit: Admit, is_open: Callable[[str], bool]) -> None:
        self._app = app
        self._admit = admit
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or self._is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            admission = await self._admission(Headers(scope=scope))
        except Problem as problem:
            await problem.response(scope["path"])(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = Caller(admission)

        async def send_with_quota(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(quota_headers(admission))
            await send(message)

        await self._app(scope, receive, send_with_quota)

    async def _admission(self, headers: Headers) -> Admission:
        kind, _, text = headers.get("authorization", "").partition(" ")
        credential = Credential.of(text.strip()) if kind.lower() == "bearer" else None
        if credential is None:
            raise Problem(
                401, "Authorization: send `Bearer` and an API key (`outdial keys create`)", headers=_CHALLENGE
            )
        try:
            admission = await self._admit((credential.key_id, credential.digest))
        except (redis.RedisError, NoAnswer):
            raise unavailable("Redis does not answer; nothing was done") from None
        if admission is None or not credential.opens(admission):
            raise Problem(401, "Authorization: this API key is not known, or was revoked", headers=_CHALLENGE)
        if admission.retry_in_s > 0:
            raise _over_quota(admission)
        return admission


def quota_headers(admission: Admission) -> dict[str, str]:
    """
    Return the headers that tell a key's quota.

    Source: draft-ietf-httpapi-ratelimit-headers-11; q requests in w seconds, r left, all back in t seconds.
    """
    key = admission.key
    return {
        "RateLimit-Policy": f'"default";q={key.requests};w={key.window_s}',
        "RateLimit": f'"default";r={admission.left};t={math.ceil(admission.full_in_s)}',
    }


def _over_quota(admission: Admission) -> Problem:
    key, seconds = admission.key, math.ceil(admission.retry_in_s)
    detail = f"this API key may send {key.requests:,} requests in {key.window_s} s; try again in {seconds} s"
    headers = {"Retry-After": str(seconds), **quota_headers(admission)}
    return Problem(429, detail, headers=headers, type=QUOTA_EXCEEDED)
