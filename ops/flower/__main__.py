"""`outdial flower`: runs Flower on the broker the settings name."""

import json
import logging
import os
import secrets
import signal

import click
from celery import Celery
from flower.app import Flower
from flower.command import apply_env_options, extract_settings, setup_logging
from flower.urls import settings as web_settings
from tornado.ioloop import IOLoop
from tornado.options import Error, options, parse_command_line

from ops.flower import pages
from ops.flower.jobs import page_of
from ops.flower.listening import MOST_WORKERS, UNSEEN_S, Listener
from worker import logs
from worker.app import build_app
from worker.errors import ConfigurationError
from worker.extras import require_extras_of
from worker.hopper import Hopper
from worker.secret_reader import Role
from worker.settings import FlowerSettings, Settings

# What came of a job beside its id and state; the name is that of all.
_COLUMNS = "uuid,state,result,received,runtime,retries,kwargs,worker,name"


def _basic_auth(flower: FlowerSettings) -> str | None:
    """
    Return `user:password`, or None where only OAuth asks who is there; see docs/flower.md.

    A password nobody set is made up and told once, on stderr.
    """
    if flower.password is not None:
        password = flower.password.get_secret_value()
    elif os.environ.get("FLOWER_AUTH") and os.environ.get("FLOWER_AUTH_PROVIDER"):
        return None
    else:
        password = secrets.token_urlsafe(12)
        click.echo(
            f"Flower: log in as {flower.username} with {password} (set flower.password_env to choose)", err=True
        )
    if "," in password or not password.isascii():
        raise ConfigurationError(
            ["flower.password: has a comma or a letter beyond ASCII, which Flower cannot check; choose another"]
        )
    return f"{flower.username}:{password}"


def _set_options(flower: FlowerSettings, *, port: int | None, operate: bool, more: tuple[str, ...]) -> None:
    """
    Give Flower its options: its environment variables first, then ours, then those of the command line.

    Raises:
        ConfigurationError: If there is no such option.
    """
    # By environment and not as an argument, which any user of the host could read.
    if login := _basic_auth(flower):
        os.environ["FLOWER_BASIC_AUTH"] = login
    ours = [
        f"--address={flower.address}",
        f"--port={flower.port if port is None else port}",
        f"--read-only={not operate}",
        f"--url-prefix={flower.url_prefix}",
        f"--max-tasks={flower.max_tasks}",
        f"--max-workers={MOST_WORKERS}",
        f"--purge-offline-workers={UNSEEN_S}",
        f"--tasks-columns={_COLUMNS}",
        # Our workers send events of every job by themselves (see worker.results).
        "--enable-events=False",
    ]
    try:
        apply_env_options()
        parse_command_line(["outdial flower", *ours, *more])
    except (Error, KeyError, ValueError) as wrong:
        raise ConfigurationError([f"flower: {wrong}"]) from None
    options.format_task = page_of
    extract_settings()
    setup_logging()


def _serve(app: Celery, settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, and save at the end."""
    flower = settings.flower
    listener = Listener(
        app,
        IOLoop.current(),
        Hopper.from_settings(settings),
        max_tasks=options.max_tasks,
        database=flower.database,
        save_every_s=flower.save_every_s,
    )
    site = Flower(capp=app, options=options, events=listener, **web_settings)
    pages.answer_any_login()
    site.add_handlers(r".*", pages.handlers(options.url_prefix))
    port = site.start_http_server()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: site.io_loop.add_callback_from_signal(site.stop))
    prefix = f"/{options.url_prefix}/" if options.url_prefix else "/"
    scheme = "https" if "ssl_options" in web_settings else "http"
    click.echo(json.dumps({"url": f"{scheme}://{options.address or '127.0.0.1'}:{port}{prefix}"}))
    site.start()


@click.command("flower", context_settings={"ignore_unknown_options": True})
@click.option("--config", type=click.Path(), default=None, help="Settings file; else OUTDIAL_CONFIG names it.")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port; else flower.port.")
@click.option("--operate", is_flag=True, help="Allow control of workers; read-only without.")
@click.argument("more", nargs=-1, type=click.UNPROCESSED)
def main(config: str | None, port: int | None, operate: bool, more: tuple[str, ...]) -> None:  # noqa: FBT001  a flag
    """
    Run Flower; further options (such as --certfile=FILE) go to Flower itself.

    Its address goes to stdout as a line of JSON once it listens. See docs/flower.md.
    """
    try:
        settings = Settings.load(config, roles=frozenset({Role.FLOWER}))
        require_extras_of(settings)
        database = settings.flower.database
        if database is not None and not os.access(database.parent, os.W_OK):
            raise ConfigurationError(
                [f"flower.database: {database.parent} is not a folder one can write to; name a file in one"]
            )
        _set_options(settings.flower, port=port, operate=operate, more=more)
    except ConfigurationError as wrong:
        click.echo(str(wrong), err=True)
        raise SystemExit(2) from None
    logs.set_up(settings.log_level, settings.log_format, process="flower", libraries="info")
    # A line for each page looked at, and none of them news; what is refused or breaks is told.
    logging.getLogger("tornado.access").setLevel(logging.WARNING)
    _serve(build_app(settings), settings)
    # Threads of Celery's that wait for a Redis that is away would hold this process up; all is saved.
    os._exit(0)


if __name__ == "__main__":
    main(prog_name="outdial flower")
