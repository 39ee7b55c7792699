"""The server that holds the jobs, as far as somebody on call wants to know."""

from dataclasses import dataclass

from worker.hopper.looking import Looking


@dataclass(frozen=True, slots=True)
class ServerView:
    """
    One Redis at a glance.

    `memory_limit_bytes` is 0 where there is none; `is_append_only`: a restart loses nothing; `replicas` are those
    connected; `is_replica`: it takes no jobs.
    """

    version: str
    memory_bytes: int
    memory_limit_bytes: int
    is_append_only: bool
    replicas: int
    is_replica: bool


def server_view(hopper: Looking) -> ServerView:
    """
    Return how the server of these jobs fares, in one round trip.

    Raises:
        redis.exceptions.RedisError: If it does not answer.
    """
    seen = hopper.client.info()
    return ServerView(
        version=str(seen.get("valkey_version") or seen.get("redis_version") or ""),
        memory_bytes=int(seen.get("used_memory", 0)),
        memory_limit_bytes=int(seen.get("maxmemory", 0)),
        is_append_only=bool(seen.get("aof_enabled")),
        replicas=int(seen.get("connected_slaves", 0)),
        is_replica=seen.get("role") == "slave",
    )
