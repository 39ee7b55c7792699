"""Tells all metrics at `GET /metrics`, on a port of their own."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from worker.hopper import Hopper
from worker.metrics import counting, files
from worker.metrics.catalogue import Source, families_of
from worker.metrics.host import HostCollector
from worker.metrics.installation import InstallationCollector, State
from worker.settings import Current, Settings
from worker.webhooks.targets import target_names

log = structlog.get_logger()

PATH = "/metrics"
# A whole scrape is answered within two seconds: less than any scrape_timeout in use.
_REDIS_WITHIN_S = 1.3
_CLIENT_WITHIN_S = 5.0
# Another process that is about to end may have the port still.
_LISTEN_AGAIN_S = 1.0


@contextmanager
def told_by_workers(settings: Settings | Current, port: int) -> Iterator[Mapping[str, str]]:
    """
    Tell what the processes of one supervisor count, and the installation's state, for the length of the block.

    Nothing of it keeps anybody from dialing: what fails is logged, and counted in memory or tried again.

    Args:
        settings: Where Redis is, and on which address to listen.
        port: 0: nothing is told, and nothing done.

    Yields:
        What the environment of those processes has to have.
    """
    if not port:
        yield {}
        return
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(files.folder())
        except OSError as error:
            log.error(
                "metrics_without_folder", error=error.strerror, hint="set TMPDIR to a folder that can be written"
            )
            folder = None
        stack.enter_context(_told(settings, "worker", port, folder))
        yield {files.VARIABLE: str(folder)} if folder else {}


@contextmanager
def told_by_intake(settings: Settings | Current, port: int) -> Iterator[None]:
    """
    Tell what this process counts, and the installation's state, for the length of the block.

    Args:
        settings: As in `told_by_workers`.
        port: 0: nothing is told.
    """
    with _told(settings, "api", port, None) if port else nullcontext():
        yield


@contextmanager
def _told(present: Settings | Current, source: Source, port: int, folder: Path | None) -> Iterator[None]:
    current = Current.of(present)
    settings = current.settings
    names = {"pbx": list(settings.pbx), "endpoint": target_names(settings)}
    meters = counting.begin_in_memory([name for some in names.values() for name in some])
    hopper = _impatient(Hopper.from_settings(settings, actor="metrics"))
    state = State(
        hopper,
        pbxs=lambda: list(current.settings.pbx),
        endpoints=lambda: target_names(current.settings),
    )
    registry = CollectorRegistry()
    registry.register(InstallationCollector(state.ask, within_s=_REDIS_WITHIN_S))
    families = families_of(source, "both")
    registry.register(HostCollector(families, meters, folder=folder, names=names, version=version("outdial")))
    exposition = Exposition(registry, address=settings.metrics.address, port=port)
    exposition.start()
    try:
        yield
    finally:
        exposition.stop()
        hopper.client.close()


def _impatient(hopper: Hopper) -> Hopper:
    options = hopper.client.connection_pool.connection_kwargs
    # A socket in the file system has no time-out for connecting.
    options |= {name: _REDIS_WITHIN_S for name in ("socket_timeout", "socket_connect_timeout") if name in options}
    return hopper


class Exposition:
    """
    Serves a registry's metrics from a thread; where the port is taken it tries again until it is not.

    Args:
        registry: What is told.
        address: Where to listen.
        port: The port, 1 or more.
    """

    def __init__(self, registry: CollectorRegistry, *, address: str, port: int) -> None:
        self._app = _only_metrics(make_wsgi_app(registry))
        self._address = address
        self._port = port
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics-http", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Serve no more; requests under way are left to end by themselves."""
        self._stopping.set()
        self._thread.join(2)

    def _run(self) -> None:
        server = self._listening()
        if server is None:
            return
        with server:
            server.timeout = 0.2
            while not self._stopping.is_set():
                server.handle_request()

    def _listening(self) -> Any:
        is_told = False
        while not self._stopping.is_set():
            try:
                server = make_server(self._address, self._port, self._app, _Server, _Handler)
            except OSError as error:
                if not is_told:
                    hint = (
                        "another process has the port, or this host lacks the address; tried again until it works"
                    )
                    log.warning(
                        "metrics_not_told", address=self._address, port=self._port, error=error.strerror, hint=hint
                    )
                is_told = True
                self._stopping.wait(_LISTEN_AGAIN_S)
            else:
                log.info("metrics_told", address=self._address, port=self._port, path=PATH)
                return server
        return None


class _Server(ThreadingWSGIServer):
    """One thread for each scrape, of whatever address family the address is."""

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family = found[0][0]
        super().__init__(address, handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - its signature
        """A client that went away is no news."""
        log.debug("scrape_broken_off")


class _Handler(WSGIRequestHandler):
    """Notes nothing, and waits for nobody who sends nothing."""

    timeout = _CLIENT_WITHIN_S

    def log_message(self, *_args: Any) -> None:
        """Log nothing: Prometheus comes every few seconds."""


def _only_metrics(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    def served(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == PATH:
            return app(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"see /metrics\n"]

    return served
