"""`outdial flower`: starts Flower on the broker the settings name."""

import os
import secrets

import click

from worker.app import build_app
from worker.errors import ConfigurationError
from worker.settings import FlowerSettings, Settings

# Flower keeps this many tasks in memory and forgets the oldest; about 40 MB.
_MOST_TASKS = 10_000


def _basic_auth(flower: FlowerSettings) -> str:
    """Return `user:password`; a password nobody set is made up and told once, on stderr."""
    if flower.password is not None:
        password = flower.password.get_secret_value()
    else:
        password = secrets.token_urlsafe(12)
        click.echo(
            f"Flower: log in as {flower.username} with {password} (set flower.password_env to choose)", err=True
        )
    if "," in password:
        raise ConfigurationError(
            ["flower.password: has a comma, at which Flower would cut it; choose one without"]
        )
    return f"{flower.username}:{password}"


@click.command("flower", context_settings={"ignore_unknown_options": True})
@click.option("--config", type=click.Path(), default=None, help="Settings file; else OUTDIAL_CONFIG names it.")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port; else flower.port.")
@click.option("--operate", is_flag=True, help="Allow control of workers; read-only without.")
@click.argument("more", nargs=-1, type=click.UNPROCESSED)
def main(config: str | None, port: int | None, operate: bool, more: tuple[str, ...]) -> None:  # noqa: FBT001  a flag
    """
    Run Flower; further options (such as --url-prefix=flower) go to Flower itself.

    Its /metrics and /healthcheck pages ask for no password: keep it off public addresses.
    """
    try:
        settings = Settings.load(config)
        # By environment and not as an argument, which any user of the host could read.
        os.environ["FLOWER_BASIC_AUTH"] = _basic_auth(settings.flower)
    except ConfigurationError as wrong:
        click.echo(str(wrong), err=True)
        raise SystemExit(2) from None
    flower = settings.flower
    build_app(settings).start(
        [
            "flower",
            f"--address={flower.address}",
            f"--port={flower.port if port is None else port}",
            f"--read-only={not operate}",
            f"--max-tasks={_MOST_TASKS}",
            # Our workers send events of every job by themselves (see worker.results).
            "--enable-events=False",
            *more,
        ]
    )


if __name__ == "__main__":
    main(prog_name="outdial flower")
