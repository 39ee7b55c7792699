"""`outdial api`: the HTTP intake."""

from pathlib import Path

import click

from producers.commands import chosen_config, config_option


@click.command("api")
@config_option
@click.option("--host", help="Address to listen on; else the settings say, else 127.0.0.1.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; else the settings say, else 8080. 0: a free one."
)
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Certificate chain in PEM form: serve HTTPS.")
@click.option(
    "--tls-key", type=click.Path(path_type=Path), help="Its private key, if that is in a file of its own."
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="Tell metrics there, apart from the intake; else the settings say. 0: nowhere.",
)
def api_command(
    config: str | None,
    *,
    host: str | None,
    port: int | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    metrics_port: int | None,
) -> None:
    """Serve the HTTP intake until SIGTERM or Ctrl-C; writes one line of JSON when it listens."""
    # Half a second to import, for those who serve only.
    from producers.api import server  # noqa: PLC0415

    chosen = chosen_config(config)
    server.run(chosen, address=host, port=port, tls_cert=tls_cert, tls_key=tls_key, metrics_port=metrics_port)
