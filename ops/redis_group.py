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
_START_S = 20.0


class RedisGroup(Ensemble):
    """
    Two servers that hold the same data, and the sentinels that say which of them is the primary.

    The servers share one password, the sentinels another; both are in `url`.

    Args:
        folder: Where data, logs and the sentinels' configurations lie.
        down_after_s: A primary that is silent for so long is replaced.
    """

    def __init__(self, folder: Path, *, down_after_s: float = 1.0) -> None:
        super().__init__()
        self.folder = folder.resolve()
        self._down_after_ms = int(down_after_s * 1000)
        self._password, self._sentinel_password = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self.sentinel_ports = [reserve_port() for _ in range(_SENTINELS)]
        login = [f"masterauth {self._password}", "repl-diskless-sync-delay 0", "repl-ping-replica-period 1"]
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

    def _start(self) -> None:
        for server in self.servers:
            self._stack.enter_context(server)
        for port in self.sentinel_ports:
            self._start_sentinel(port)
        self._wait(self._is_whole)

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
            f"sentinel down-after-milliseconds {MASTER} {self._down_after_ms}",
            f"sentinel failover-timeout {MASTER} {5 * self._down_after_ms}",
        ]
        # A sentinel writes what it learns into its configuration, so that must be a file.
        file = folder / "sentinel.conf"
        file.touch(mode=0o600)
        file.write_text("\n".join(lines) + "\n")
        log = self._stack.enter_context((folder / "sentinel.log").open("ab"))
        self._stack.enter_context(child([server_program(), str(file), "--sentinel"], stdout=log, stderr=log))

    def _is_whole(self) -> bool:
        """Whether every sentinel knows the others and a replica that is in step."""
        for port in self.sentinel_ports:
            flat = self._ask(port, "SENTINEL", "MASTER", MASTER)
            seen = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
            if (int(seen["num-slaves"]), int(seen["num-other-sentinels"])) != (1, _SENTINELS - 1):
                return False
        with redis.Redis.from_url(self.servers[1].url, decode_responses=True) as replica:
            return bool(replica.info("replication")["master_link_status"] == "up")

    def _ask(self, port: int, *command: str) -> Any:
        with redis.Redis(
            port=port, password=self._sentinel_password, socket_timeout=2, decode_responses=True
        ) as sentinel:
            return sentinel.execute_command(*command)

    def _wait(self, look: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            try:
                if look():
                    return
            except redis.ConnectionError:
                pass
            time.sleep(0.05)
        raise ServiceUnreachable(f"the sentinels did not come together; see their logs in {self.folder}")
