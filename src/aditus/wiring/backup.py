"""The program `aditus admin backup`: the database of a data folder into one file, also while `serve` runs."""

from pathlib import Path

from aditus.config.serve import DATABASE_VARIABLE
from aditus.config.surroundings import Surroundings
from aditus.domain.errors import invalid
from aditus.store import backup


def run(data: Path, file: Path, surroundings: Surroundings) -> None:
    """Write the backup. The folder's lock does not matter: this reads. Raises `AditusError`."""
    if surroundings.variable(DATABASE_VARIABLE):
        raise invalid(
            "not-sqlite",
            f"The database is a PostgreSQL ({DATABASE_VARIABLE} is set), which has backups of its own.",
            remedy="Use pg_dump --format=custom, or the backups of whoever runs it for you.",
        )
    backup.write(data / "aditus.db", file)
