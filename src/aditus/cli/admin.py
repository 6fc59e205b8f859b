"""`aditus admin`: what the operator does at the machine itself."""

from pathlib import Path

import click

from aditus.cli import operate
from aditus.cli.output import say
from aditus.config.surroundings import Surroundings


@click.group()
def command() -> None:
    """Administer the server at its own machine."""


for _command in (
    operate.region,
    operate.organization,
    operate.subscription,
    operate.capability,
    operate.user,
    operate.reset_password,
):
    command.add_command(_command)


@command.command(
    epilog="""\b
Example:
  aditus admin backup --data /var/lib/aditus /backup/aditus-monday.db"""
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--data", required=True, type=click.Path(path_type=Path), help="The folder of `serve`.")
def backup(file: Path, data: Path) -> None:
    """Write the SQLite database into FILE.

    The server may run meanwhile.
    """
    from aditus.wiring import backup as program

    program.run(data, file, Surroundings.of_process())
    say(f"Written to {file}. To restore it, put it in an empty data folder as aditus.db (mode 0600).")
