"""The subcommand that lists and writes the files which come with outdial: files."""

from pathlib import Path

import click

from producers.installed_files import installed_files, programs_folder, write_installed_files

# The units have ProtectHome=yes.
_HOMES = ("/home/", "/root/", "/run/user/")


@click.command("files")
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace files in DIR that have other contents.")
def files_command(folder: Path | None, *, force: bool) -> None:
    """
    List the files that come with outdial, or write them to DIR.

    They are units, example settings, users of Redis, alert rules, dashboards, files for containers and Kubernetes,
    the runbook and all documents, in the folders that they have in the repository. The units start this outdial.
    DIR is made if need be. If one of its files has other contents, nothing is written, unless --force is given.
    """
    if folder is None:
        if force:
            raise click.UsageError("Give DIR with --force.")
        listed = installed_files()
        width = max((len(file.path) for file in listed), default=0)
        click.echo("\n".join(f"{file.path:<{width}}  {file.purpose}" for file in listed))
        return
    written = write_installed_files(folder, force=force)
    click.echo(f"{len(written)} files are in {folder}; begin with {folder / 'ops/runbook.md'}.", err=True)
    programs = programs_folder()
    if str(programs).startswith(_HOMES):
        click.echo(
            f"The units start {programs / 'outdial'}, and services see no home directory; for services, install "
            "outdial in /opt/outdial.",
            err=True,
        )
