"""Bringing a database to the newest schema, from inside the package: there is no alembic.ini."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from aditus.domain.errors import invalid


def to_newest(tx: Connection) -> None:
    """Run what is missing of the migrations, within `tx`: all of them or none.

    Raises `AditusError` `database-newer` when a later version of Aditus has been here.
    """
    config = Config()
    config.set_main_option("script_location", "aditus.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = tx  # for migrations/env.py
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(tx).get_current_revision()
    if current == scripts.get_current_head():
        return
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        raise invalid(
            "database-newer",
            "The database was written by a newer version of Aditus.",
            remedy="Start that version, or put back the backup that was made before the upgrade.",
        )
    command.upgrade(config, "head")
