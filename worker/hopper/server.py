"""The server that holds the jobs, as far as somebody on call wants to know."""

from dataclasses import dataclass

from worker.hopper.looking import Looking

# Of maxmemory. What clients send takes some of it, so that a full Redis swings a little below its limit.
_NEARLY_FULL, _FULL = 0.8, 0.98


@dataclass(frozen=True, slots=True)
class ServerView:
    """
    One Redis at a glance.

    `memory_limit_bytes` is 0 where there is none; `is_append_only`: a restart loses nothing; `replicas` are those
    connected; `is_replica`: it takes no jobs. `late_writes`: how often since its start it answered before what it
    had done was in its file, for its disk was busy (`aof_delayed_fsync`; never with `appendfsync always`).
    """

    version: str
    memory_bytes: int
    memory_limit_bytes: int
    is_append_only: bool
    replicas: int
    is_replica: bool
    late_writes: int = 0

    @property
    def memory_share(self) -> float:
        """How much of its limit is used; 0 where there is none."""
        return self.memory_bytes / self.memory_limit_bytes if self.memory_limit_bytes else 0.0

    @property
    def is_nearly_full(self) -> bool:
        """Whether somebody should give it more memory; also where it `is_full`."""
        return self.memory_share >= _NEARLY_FULL

    @property
    def is_full(self) -> bool:
        """Whether it takes no jobs, and no call is begun."""
        return self.memory_share >= _FULL


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
        late_writes=int(seen.get("aof_delayed_fsync", 0)),
    )
