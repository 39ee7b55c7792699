"""Serves the intake: one process, one port, until it is told to stop."""

import json
import sys
from pathlib import Path

import structlog
import uvicorn

from producers.api.app import build
from producers.crm import Adapter
from producers.crm.registry import adapters
from producers.enqueue import Dialer
from worker.errors import ServiceUnreachable
from worker.logs import set_up
from worker.settings import ApiSettings

log = structlog.get_logger()

_STOP_WITHIN_S = 10


def run(
    config: str | None, *, address: str | None, port: int | None, tls_cert: Path | None, tls_key: Path | None
) -> None:
    """
    Serve until SIGTERM or SIGINT; when it listens, a line of JSON with its `url` goes to stdout.

    Args:
        config: The settings file; None as in `Settings.load`.
        address: Where to listen; None takes what the settings say, and so do the others.
        port: 0 takes a free one.
        tls_cert: Certificate chain in PEM form.
        tls_key: Its private key.

    Raises:
        ConfigurationError: If the settings cannot work.
        ServiceUnreachable: If the address is taken.
    """
    dialer = Dialer.from_config(config, actor="api")
    set_up(dialer.settings.log_level)
    asked = {"address": address, "port": port, "tls_cert": tls_cert, "tls_key": tls_key}
    settings = dialer.settings.api.model_copy(
        update={name: value for name, value in asked.items() if value is not None}
    )
    server = _Server(_config(build(dialer, _sources(dialer)), settings), settings)
    # The threads that talk to Redis need Python's lock for microseconds, and would wait 5 ms for it each time.
    sys.setswitchinterval(0.0005)
    try:
        server.run()
    except SystemExit:  # uvicorn's word for an address it cannot have
        where = f"{settings.address}:{settings.port}"
        raise ServiceUnreachable(f"the intake cannot listen on {where}; is the port taken?") from None


def _sources(dialer: Dialer) -> dict[str, Adapter]:
    made = adapters(dialer.settings.source, pbxs=dialer.settings.pbx)
    for source in made.values():
        for warning in source.warnings():
            log.warning("source_warning", source=source.name, warning=warning)
    return made


def _config(app: object, settings: ApiSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an ASGI application
        host=settings.address,
        port=settings.port,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=_STOP_WITHIN_S,
        backlog=2048,
    )


class _Server(uvicorn.Server):
    """Tells where it listens: port 0 is nobody's to guess."""

    def __init__(self, config: uvicorn.Config, settings: ApiSettings) -> None:
        super().__init__(config)
        self._settings = settings

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Listen, and say so."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1]
            scheme = "https" if self._settings.tls_cert else "http"
            host = self._settings.address if ":" not in self._settings.address else f"[{self._settings.address}]"
            sys.stdout.write(json.dumps({"url": f"{scheme}://{host}:{port}"}) + "\n")
            sys.stdout.flush()

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Stop; streams that would never end are told first, for uvicorn waits for them."""
        self.config.app.state.stop()  # type: ignore[union-attr]  # `build` made it
        await super().shutdown(sockets)  # type: ignore[arg-type]
