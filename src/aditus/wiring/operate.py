"""The programs of `aditus admin` that change the database: opened, and closed behind them."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from aditus.control.service.operate import Operate
from aditus.domain.errors import AditusError, Code, invalid
from aditus.domain.keytext import SecretText
from aditus.store.database import open_database
from aditus.wiring import data_folder

DATABASE = "aditus.db"


@contextmanager
def opened(data: Path | None, database_url: SecretText | None) -> Iterator[Operate]:
    """The operator's use cases over this PostgreSQL, else over the SQLite database in `data`.

    A PostgreSQL may be in use meanwhile. SQLite may not: two processes that write to one file could damage
    it (before 3.51.3), so the folder is locked. Raises `AditusError`.
    """
    with ExitStack() as stack:
        if database_url is not None:
            url = database_url.reveal()
        elif data is not None:
            url = f"sqlite:///{stack.enter_context(_locked(data.absolute())) / DATABASE}"
        else:
            raise invalid(
                "no-database",
                "No database is named.",
                remedy="Give --data the folder of `aditus serve`, or --database-url-file for PostgreSQL.",
                field="data",
            )
        database = open_database(url)
        stack.callback(database.close)
        yield Operate(database, time.time)


@contextmanager
def _locked(data: Path) -> Iterator[Path]:
    if not (data / DATABASE).is_file():  # else the folder and an empty database would be made
        raise invalid(
            "no-database",
            f"There is no database {data / DATABASE}.",
            remedy="Give --data the folder of `aditus serve`, which makes the database when it first starts.",
            field="data",
        )
    with ExitStack() as stack:
        try:
            stack.enter_context(data_folder.held(data))
        except AditusError as error:
            if error.reason != "data-folder-locked":
                raise
            raise AditusError(
                Code.CONFLICT,
                "data-folder-locked",
                f"`aditus serve` runs with {data}, and an SQLite database has one writer.",
                remedy="Stop it, run this again and start it: agents come back by themselves. "
                "With PostgreSQL it may run meanwhile.",
                field="data",
            ) from error
        yield data
