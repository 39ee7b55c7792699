"""A primary, its replica, and three sentinels that replace a dead primary: real servers, our own children."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from ops.children import Ensemble, child
from ops.embedded_redis import EmbeddedRedis, server_program
from ops.ports import reserve_port
from worker.errors import ServiceUnreachable

MASTER = "outdial"
_SENTINELS = 3  # two of them must agree that the primary is gone
_PATIENCE_S = 120.0
# A sentinel that a busy machine keeps waiting for so long takes a healthy server for dead.
_WATCHFUL_S, _CALM_S = 1.0, 600.0


class RedisGroup(Ensemble):
    """
    Two servers that hold the same data, and the sentinels that say which of them is the primary.

    The servers share one password, the sentinels another; both are in `url`. The sentinels replace a primary only
    during `fail_over` and `fail_back`, so that a busy machine causes no fail-over of its own.

    Args:
        folder: Where data, logs and the sentinels' configurations lie.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder.resolve()
        self._password, self._sentinel_password = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self.sentinel_ports = [reserve_port() for _ in range(_SENTINELS)]
        login = [f"masterauth {self._password}", "repl-diskless-sync-delay 0", "repl-ping-replica-period 1"]
        login.append("appendfsync always")  # a killed primary comes back with all that it answered
        first = EmbeddedRedis(self.folder / "a", password=self._password, more=login)
        follows = f"replicaof 127.0.0.1 {first.port}"
        second = EmbeddedRedis(self.folder / "b", password=self._password, more=[*login, follows])
        self.servers = (first, second)

    @property
    def url(self) -> str:
        """Where it answers; holds both passwords."""
        return self.url_of_database(0)

    def url_of_database(self, number: int) -> str:
        """Return the address of one of the 16 databases."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinel_ports)
        login = f"sentinel_password={self._sentinel_password}"
        return f"sentinel://:{self._password}@{hosts}/{number}?master={MASTER}&{login}"

    def primary(self) -> EmbeddedRedis:
        """
        Return the server that the sentinels call the primary now.

        Raises:
            redis.exceptions.RedisError: If the first sentinel does not answer.
        """
        _, port = self._ask(self.sentinel_ports[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return next(server for server in self.servers if server.port == int(port))

    def replica(self) -> EmbeddedRedis:
        """Return the other one."""
        primary = self.primary()
        return next(server for server in self.servers if server is not primary)

    def bring_in_step(self) -> None:
        """Have the primary take no more writes, and wait until the replica has all that it took."""
        with (
            redis.Redis.from_url(self.primary().url) as primary,
            redis.Redis.from_url(self.replica().url) as replica,
        ):
            primary.client_pause(int(_PATIENCE_S * 1000), all=False)
            written = primary.info("replication")["master_repl_offset"]
            self._wait(lambda: bool(replica.info("replication")["slave_repl_offset"] >= written))

    def fail_over(self) -> EmbeddedRedis:
        """
        Kill the primary, and return the new one once every sentinel calls it that.

        The sentinels notice the death by themselves, and watch that closely only until then. A former primary
        comes back as a primary, and the sentinels make it a replica some ten seconds later. If they took the new
        primary for dead meanwhile, they would promote the former one, with the data that it died with.

        Raises:
            ServiceUnreachable: If that takes longer than two minutes.
        """
        old, new = self.primary(), self.replica()
        old.end_process(kill=True)
        self._watch(_WATCHFUL_S)
        self._wait(lambda: self._is_agreed(new))
        self._watch(_CALM_S)
        # Until then a further fail-over may be under way; it comes to nothing, for there is no other server yet.
        self._wait(lambda: all(self._view(port)["flags"] == "master" for port in self.sentinel_ports))
        return new

    def fail_back(self) -> EmbeddedRedis:
        """
        Have the sentinels promote the other server, although the primary is well, and return it.

        If the new primary fails too soon after a fail-over, sentinels do the same: see `fail_over`.

        Raises:
            ServiceUnreachable: If that takes longer than two minutes.
        """
        promoted = self.replica()
        self._wait(lambda: self.primary() is promoted or self._order_failover())
        self._wait(lambda: self._is_agreed(promoted))
        return promoted

    def is_whole(self) -> bool:
        """Return whether every sentinel knows the others and a replica that is in step."""
        for port in self.sentinel_ports:
            seen = self._view(port)
            if (int(seen["num-slaves"]), int(seen["num-other-sentinels"])) != (1, _SENTINELS - 1):
                return False
        with redis.Redis.from_url(self.replica().url, decode_responses=True) as replica:
            try:
                return replica.info("replication").get("master_link_status") == "up"
            except redis.ConnectionError:  # a server that becomes a replica closes its connections
                return False

    def _start(self) -> None:
        for server in self.servers:
            self._stack.enter_context(server)
        for port in self.sentinel_ports:
            self._start_sentinel(port)
        self._wait(self.is_whole)

    def _start_sentinel(self, port: int) -> None:
        folder = self.folder / f"sentinel-{port}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = [
            f"port {port}",
            "bind 127.0.0.1",
            f'dir "{folder}"',
            f"requirepass {self._sentinel_password}",  # they ask each other with it, too
            f"sentinel monitor {MASTER} 127.0.0.1 {self.servers[0].port} 2",
            f"sentinel auth-pass {MASTER} {self._password}",
            f"sentinel down-after-milliseconds {MASTER} {int(_CALM_S * 1000)}",
            f"sentinel failover-timeout {MASTER} {int(5 * _WATCHFUL_S * 1000)}",
        ]
        # A sentinel writes what it learns into its configuration, so that must be a file.
        file = folder / "sentinel.conf"
        file.touch(mode=0o600)
        file.write_text("\n".join(lines) + "\n")
        log = self._stack.enter_context((folder / "sentinel.log").open("ab"))
        self._stack.enter_context(child([server_program(), str(file), "--sentinel"], stdout=log, stderr=log))

    def _watch(self, down_after_s: float) -> None:
        for port in self.sentinel_ports:
            self._ask(port, "SENTINEL", "SET", MASTER, "down-after-milliseconds", str(int(down_after_s * 1000)))

    def _is_agreed(self, primary: EmbeddedRedis) -> bool:
        return all(self._view(port)["port"] == str(primary.port) for port in self.sentinel_ports)

    def _order_failover(self) -> bool:
        """Have the first sentinel begin, unless it is at it; returns False, for it takes a while."""
        try:
            self._ask(self.sentinel_ports[0], "SENTINEL", "FAILOVER", MASTER)
        except redis.ResponseError as error:
            # Of the other server's return it hears within a second or two.
            if not any(word in str(error) for word in ("INPROG", "NOGOODSLAVE")):
                raise
        return False

    def _view(self, port: int) -> dict[str, str]:
        """Return what a sentinel knows of the primary."""
        flat = self._ask(port, "SENTINEL", "MASTER", MASTER)
        return flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))

    def _ask(self, port: int, *command: str) -> Any:
        with redis.Redis(
            port=port, password=self._sentinel_password, socket_timeout=10, decode_responses=True
        ) as sentinel:
            return sentinel.execute_command(*command)

    def _wait(self, look: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if look():
                    return
            except (redis.ConnectionError, redis.TimeoutError):
                pass
            time.sleep(0.05)
        raise ServiceUnreachable(f"the sentinels did not agree in time; see their logs in {self.folder}")
