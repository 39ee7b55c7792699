"""Serves the intake: one process, one port, until it is told to stop."""

import asyncio
import ipaddress
import json
import os
import resource
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from producers.api.app import build
from producers.api.connections import Connection, within
from producers.api.patience import Patience
from producers.crm import Adapter
from producers.crm.registry import adapters
from producers.enqueue import Dialer
from producers.numbers import prepare
from worker import signals, tracing
from worker.errors import ConfigurationError, ServiceUnreachable
from worker.logs import set_up
from worker.metrics.serving import told_by_intake
from worker.reloading import Reloader
from worker.secret_reader import Role
from worker.settings import ApiSettings, Settings

log = structlog.get_logger()

_STOP_WITHIN_S = 10
# Open connections of one process, which cost about 10 KiB each; and files it needs for other things.
_CONNECTIONS, _OTHER_FILES = 5000, 200
# Of TLS; most clients answer no farewell.
_HANDSHAKE_WITHIN_S, _FAREWELL_WITHIN_S = 10.0, 1.0
# Between two looks at all connections, in ticks of uvicorn: half a second.
_TICKS = 5
# Redis answers within milliseconds. Whoever waits for us would not wait for the ten seconds that workers do.
_REPLY_WITHIN_S = 4.0


def run(
    config: str | None,
    *,
    address: str | None,
    port: int | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    metrics_port: int | None = None,
) -> None:
    """
    Serve until SIGTERM or SIGINT; when it listens, a line of JSON with its `url` goes to stdout.

    A SIGHUP, or `outdial reload`, makes it read its settings again.

    Args:
        config: The settings file; None as in `Settings.load`.
        address: Where to listen; None takes what the settings say, and so do the others.
        port: 0 takes a free one.
        tls_cert: Certificate chain in PEM form.
        tls_key: Its private key.
        metrics_port: Where metrics are told; 0: nowhere.

    Raises:
        ConfigurationError: If the settings cannot work.
        ServiceUnreachable: If the address is taken.
    """
    signals.block()
    roles = frozenset({Role.INTAKE})
    dialer = Dialer.from_config(config, actor="api", roles=roles)
    dialer.hopper.client.connection_pool.connection_kwargs["socket_timeout"] = _REPLY_WITHIN_S
    set_up(dialer.settings.log_level, dialer.settings.log_format, process="api")
    asked = {"address": address, "port": port, "tls_cert": tls_cert, "tls_key": tls_key}
    settings = dialer.settings.api.model_copy(
        update={name: value for name, value in asked.items() if value is not None}
    )
    most = _allowed_files()
    # The first delivery of a CRM has less than a second, as all others have.
    prepare()
    made = _sources(dialer.settings)
    _warn(made)
    app = build(dialer, dialer.current.derived(_sources))
    # The threads that talk to Redis need Python's lock for microseconds, and would wait 5 ms for it each time.
    sys.setswitchinterval(0.0005)
    connection = within(Patience(connections=min(_CONNECTIONS, most - _OTHER_FILES)))
    told_at = dialer.settings.metrics.api_port if metrics_port is None else metrics_port
    tracing.set_up(dialer.settings.tracing, process="api")
    read = partial(Settings.load, config, roles=roles)
    name = f"api.{os.getpid()}@{socket.gethostname()}"
    reloader = Reloader(dialer.current, read, dialer.hopper, name=name, check=_sources)
    try:
        with told_by_intake(dialer.current, told_at):
            reloader.start()
            Server(app, settings, let_go=app.state.intake.stop, connection=connection).run()
    finally:
        reloader.stop()
        tracing.shut_down()


def _sources(settings: Settings) -> dict[str, Adapter]:
    return adapters(settings.source, pbxs=settings.pbx)


def _warn(sources: dict[str, Adapter]) -> None:
    for source in sources.values():
        for warning in source.warnings():
            log.warning("source_warning", source=source.name, warning=warning)


class Server(uvicorn.Server):
    """
    uvicorn's server on a listener of our own.

    Args:
        app: An ASGI application.
        settings: Where to listen.
        let_go: Called when it shall stop, before requests under way are waited for.
        connection: What a connection is served by.

    Raises:
        ConfigurationError: If the certificate cannot be used.
    """

    def __init__(
        self,
        app: Any,
        settings: ApiSettings,
        *,
        let_go: Callable[[], None],
        connection: type[Connection] = Connection,
    ) -> None:
        super().__init__(_config(app, connection))
        self._settings = settings
        self._tls = _tls(settings)
        self._let_go = let_go

    async def startup(self, sockets: Any = None) -> None:  # noqa: ARG002 - it opens its own
        """
        Listen, and say where: port 0 is nobody's to guess.

        Raises:
            ServiceUnreachable: If the address is not to be had.
        """
        await self.lifespan.startup()
        where = f"{self._settings.address}:{self._settings.port}"
        try:
            listener = await asyncio.get_running_loop().create_server(
                self._connection,
                self._settings.address,
                self._settings.port,
                ssl=self._tls,
                ssl_handshake_timeout=_HANDSHAKE_WITHIN_S if self._tls else None,
                ssl_shutdown_timeout=_FAREWELL_WITHIN_S if self._tls else None,
                backlog=self.config.backlog,
            )
        except OSError as error:
            await self.lifespan.shutdown()
            reason = (error.strerror or str(error)).lower()
            raise ServiceUnreachable(f"the intake cannot listen on {where} ({reason}); choose another") from None
        self.servers = [listener]
        self.started = True
        self._say(listener.sockets[0].getsockname()[1])

    async def on_tick(self, counter: int) -> bool:
        """Look at all connections a few times a second."""
        if counter % _TICKS == 0:
            now = time.monotonic()
            for connection in tuple(self.server_state.connections):
                connection.look(now)  # type: ignore[union-attr]  # they are ours
        return await super().on_tick(counter)

    async def shutdown(self, sockets: Any = None) -> None:
        """Let requests under way end, those that only wait at once."""
        self._let_go()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal; uvicorn would then die of it, though it did as it was told."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    def _connection(self) -> Connection:
        made: Connection = self.config.http_protocol_class(  # type: ignore[assignment, call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    def _say(self, port: int) -> None:
        address = self._settings.address
        host = f"[{address}]" if ":" in address else address
        sys.stdout.write(json.dumps({"url": f"{'https' if self._tls else 'http'}://{host}:{port}"}) + "\n")
        sys.stdout.flush()
        for origin in self._settings.unprotected_origins:
            hint = "its pages can be changed on the network, and API keys typed into them be read: use https"
            log.warning("cors_origin_without_tls", origin=origin, hint=hint)
        behind_tls = (self._settings.public_url or "").startswith("https:")
        if not (self._tls or behind_tls or _is_loopback(address)):
            log.warning(
                "listens_without_tls",
                address=address,
                hint="API keys can be read on the network: give tls_cert, or the https public_url of a proxy",
            )


def _config(app: Any, connection: type[Connection]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=connection,
        ws="none",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        # Our connections look after that themselves; this one is for what they may have missed.
        timeout_keep_alive=int(connection.patience.idle_s) + 1,
        timeout_graceful_shutdown=_STOP_WITHIN_S,
        backlog=2048,
    )


def _tls(settings: ApiSettings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password OpenSSL would ask for one on the terminal, where there is one.
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password="")
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror if isinstance(error, FileNotFoundError) else getattr(error, "reason", None)
        key = f" with the key {settings.tls_key}" if settings.tls_key else ""
        sentence = f"api.tls_cert: {settings.tls_cert}{key} cannot be used ({reason or error}); give PEM files"
        raise ConfigurationError([f"{sentence} of a certificate chain and its unencrypted key"]) from None
    return context


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _allowed_files() -> int:
    """Allow this process as many open files as it may allow itself, and return how many that are."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return _CONNECTIONS + _OTHER_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most
