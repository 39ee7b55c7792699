"""Which errors of Redis pass by themselves or by an operator's hand, and what that hand should do."""

import re

import redis
import structlog
from redis.exceptions import InvalidResponse
from redis.sentinel import MasterNotFoundError

from worker import metrics
from worker.pulse import PULSE
from worker.redis_tls import tls_problem

log = structlog.get_logger()

# The first word of a server's refusal: Redis has no other codes. Valkey and Redis 7 agree on these.
# Source: redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors, and shared.* in Redis's server.c.
_HINTS = {
    "LOADING": "Redis reads its data; it will answer when it has",
    "READONLY": "this Redis is a replica; wait for the fail-over to end, or name the primary by redis_url",
    "UNBLOCKED": "this Redis has just become a replica; wait for the fail-over to end",
    "MASTERDOWN": "this Redis is a replica without its primary; name the primary by redis_url",
    "NOREPLICAS": "fewer replicas are connected than min-replicas-to-write asks for; bring them back",
    "OOM": "Redis is full: no call is begun until it has room; raise maxmemory",
    "MISCONF": "Redis cannot write to its disk; make room there and see its log",
    "BUSY": "a script that is not ours keeps Redis busy; see SCRIPT KILL",
    "NOAUTH": "check user name and password in redis_url",
    "WRONGPASS": "check user name and password in redis_url",
    "NOPERM": "the user in redis_url may not do this; give it the rules of ops/redis/users.acl",
    "DENIED": "Redis is in protected mode; give it a password",
    "CLUSTERDOWN": "Redis Cluster cannot hold jobs; name a single server or a sentinel group by redis_url",
    "TRYAGAIN": "Redis Cluster cannot hold jobs; name a single server or a sentinel group by redis_url",
}
# Redis 7.0 has no word of its own for what its user may not do within a script (script.c, scriptVerifyACL).
_FORBIDDEN_IN_SCRIPT = "The user executing the script can't"
_NO_PRIMARY = "no sentinel names a primary: check the sentinels, and master and sentinel_password in redis_url"


def is_away(error: BaseException) -> bool:
    """
    Whether *error* says that Redis cannot do its part for now, so that the same step may succeed later.

    False for what is wrong with the step or its data (a wrong type, an error in a script, bad arguments): the
    same again would fail the same way for ever.
    """
    if isinstance(error, redis.ConnectionError | redis.TimeoutError | InvalidResponse):
        return True
    return isinstance(error, redis.ResponseError) and _word(error) in _HINTS


def is_silence(error: BaseException) -> bool:
    """Whether *error* is that nobody answered; any other is a refusal, by the server or the network."""
    # Of the kernel's own time-out redis-py makes a plain ConnectionError, with the OSError as its context.
    return isinstance(error, redis.TimeoutError | TimeoutError) or isinstance(error.__context__, TimeoutError)


def hint_for(error: BaseException) -> str:
    """Return what an operator should do about an error that `is_away`; empty where Redis is just not there."""
    if isinstance(error, MasterNotFoundError):
        return _NO_PRIMARY
    if isinstance(error, redis.AuthenticationError):
        return _HINTS["WRONGPASS"]
    return tls_problem(error) or _HINTS.get(_word(error), "")


def tell(error: redis.RedisError, **fields: object) -> None:
    """
    Log an error of Redis: `redis_away` with a hint, or `redis_refused` for what no waiting mends.

    The server's own text stays out, for it may quote what was sent; of a script's error the place is kept.
    """
    if is_away(error):
        metrics.redis_was_away()
        hint = {"hint": text} if (text := hint_for(error)) else {}
        log.warning("redis_away", error=type(error).__name__, **hint, **fields)
        return
    place = re.search(r"user_script:\d+", str(error))
    notes = getattr(error, "__notes__", [])
    log.error(
        "redis_refused",
        error=_word(error) or type(error).__name__,
        at=" ".join([*notes, *([place.group()] if place else [])]),
        **fields,
    )


class AwayLog:
    """
    Tells once that Redis is away, again if for another reason, and once that it is back.

    Args:
        thread: Whose steps these are.
    """

    def __init__(self, thread: str) -> None:
        self._thread = thread
        self._told: tuple[str, str, str] | None = None

    def away(self, error: redis.RedisError) -> None:
        """A step failed."""
        if not is_silence(error):
            PULSE.refused(self._thread)
        reason = (type(error).__name__, _word(error), hint_for(error))
        if reason != self._told:
            tell(error, thread=self._thread)
        self._told = reason

    def back(self) -> None:
        """A step succeeded."""
        PULSE.answered(self._thread)
        if self._told:
            log.info("redis_back", thread=self._thread)
        self._told = None


def _word(error: BaseException) -> str:
    if str(error).startswith(_FORBIDDEN_IN_SCRIPT):
        return "NOPERM"
    # redis-py takes the word off the text of the errors it has a class for.
    word = getattr(error, "status_code", None) or str(error).partition(" ")[0]
    return word if re.fullmatch(r"[A-Z]{2,20}", word) else ""
