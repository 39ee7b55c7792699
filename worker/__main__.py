"""`python -m worker`: what `outdial worker` and `outdial doctor` run."""

from itertools import chain

import click
import structlog

from worker import logs, signals
from worker.errors import ConfigurationError
from worker.extras import require_extras_of
from worker.health import Finding, examine
from worker.hopper import Hopper
from worker.metrics.serving import told_by_workers
from worker.node import reading
from worker.reloading import Reloader
from worker.secret_reader import Role
from worker.service_manager import Manager
from worker.settings import Current, Settings
from worker.supervisor import Supervisor
from worker.watchdog import Watchdog
from worker.webhooks.targets import anybody_listens

log = structlog.get_logger()

# Said where this process has no passwords of the PBXs, as in every container but that of the workers.
_ELSEWHERE = Finding(
    "warning",
    "secrets",
    "the PBXs are left out, for their passwords are not here",
    "run it where the workers run (in containers: docker compose exec worker outdial doctor), or with --no-pbxs",
)
_MARKS = {"ok": "ok  ", "warning": "warn", "bad": "BAD "}


@click.group()
@click.option("--config", type=click.Path(), default=None, help="Settings file; else OUTDIAL_CONFIG names it.")
@click.pass_context
def main(context: click.Context, config: str | None) -> None:
    """Run workers, or check that they could run."""
    context.obj = config


@main.command()
@click.option("--processes", type=click.IntRange(1, 256), default=None, help="Worker processes.")
@click.option("--concurrency", type=click.IntRange(1, 256), default=None, help="Calls placed at once by each.")
@click.option(
    "--metrics-port", type=click.IntRange(0, 65535), default=None, help="Tell metrics there; 0: nowhere."
)
@click.pass_obj
def worker(
    config: str | None,
    processes: int | None,
    concurrency: int | None,
    metrics_port: int | None,
) -> None:
    """
    Start worker processes and look after them until SIGTERM or Ctrl-C.

    \b
    Signals, to this process:
      SIGTERM, SIGINT   stop; calls under way end first. A second one kills.
      SIGHUP            read the settings again, here and in the worker
                        processes; no call is cut (see `outdial reload`)
      SIGUSR1, SIGUSR2  nothing
    """  # noqa: D301  click reads the mark
    signals.block()
    # What its processes would miss is said here once.
    roles = (Role.DIALING, Role.TELLING)
    settings = _loaded(config, *roles)
    _require(settings)
    current = Current(settings)
    count = processes or settings.worker.processes
    slots = concurrency or settings.worker.concurrency
    grace_s = settings.worker.stop_grace_s
    log.info("starting", processes=count, concurrency=slots)
    port = settings.metrics.port if metrics_port is None else metrics_port
    with told_by_workers(current, port) as environment:
        supervisor = Supervisor(
            config,
            processes=count,
            concurrency=slots,
            stop_grace_s=grace_s,
            webhooks=lambda: _tellers(current.settings),
            environment=environment,
            watchdog=Watchdog.on(settings),
            manager=Manager.from_environment(),
        )
        hopper = Hopper.from_settings(settings, actor="supervisor")
        reloader = Reloader(current, reading(config, *roles), hopper, hung_up=supervisor.pass_on)
        reloader.start()
        try:
            code = supervisor.run()
        finally:
            reloader.stop()
        raise SystemExit(code)


@main.command()
@click.option("--no-pbxs", is_flag=True, help="Leave the PBXs alone, as where their passwords are not.")
@click.pass_obj
def doctor(config: str | None, *, no_pbxs: bool) -> None:
    """Check settings, Redis and PBXs; one line each, with what to do."""
    settings, missing = (_loaded(config), []) if no_pbxs else _as_far_as_secrets_go(config)
    worst = 2 if missing else 0
    for finding in chain(missing, examine(settings, pbxs=not (no_pbxs or missing))):
        advice = f"  -> {finding.advice}" if finding.advice else ""
        click.echo(f"{_MARKS[finding.level]} {finding.subject}: {finding.text}{advice}")
        if finding.level == "bad" and finding not in missing:
            worst = 3
    raise SystemExit(worst)


def _tellers(settings: Settings) -> tuple[int, int]:
    if not anybody_listens(settings):
        return 0, 0
    return settings.webhooks.processes, settings.webhooks.concurrency


def _as_far_as_secrets_go(config: str | None) -> tuple[Settings, list[Finding]]:
    """Return the settings; where only secrets of PBXs are missing, those without them, and why as findings."""
    try:
        return _load(config, Role.DIALING), []
    except ConfigurationError as wrong:
        try:
            settings = _load(config)
        except ConfigurationError:
            raise _refused(wrong) from None
        return settings, [*(Finding("bad", "secrets", problem) for problem in wrong.problems), _ELSEWHERE]


def _loaded(config: str | None, *roles: Role) -> Settings:
    try:
        return _load(config, *roles)
    except ConfigurationError as wrong:
        raise _refused(wrong) from None


def _require(settings: Settings) -> None:
    try:
        require_extras_of(settings)
    except ConfigurationError as wrong:
        raise _refused(wrong) from None


def _load(config: str | None, *roles: Role) -> Settings:
    settings = Settings.load(config, roles=frozenset(roles))
    logs.set_up(settings.log_level, settings.log_format, process="supervisor")
    return settings


def _refused(wrong: ConfigurationError) -> SystemExit:
    click.echo(str(wrong), err=True)
    return SystemExit(2)


if __name__ == "__main__":
    main(prog_name="outdial")
