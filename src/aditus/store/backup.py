"""A backup of an SQLite database while others write to it: one moment, whole, in a file of its own."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from aditus.domain.errors import AditusError, Code, invalid

BUSY_SECONDS = 10.0


def write(database: Path, file: Path) -> None:
    """Write what `database` holds now to `file` (mode 0600), durably. Only reads; its writer need not stop.

    Never over a file that is there. Raises `AditusError`: conflict `backup-exists`, invalid `backup-failed`.
    """
    if not database.is_file():
        raise invalid(
            "no-database",
            f"There is no database {database}.",
            remedy="Give --data the folder of `aditus serve`.",
            field="data",
        )
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            _copy(database, partial)
            os.link(partial, file)  # unlike a rename it fails when the name is taken
            if os.name == "posix":  # elsewhere no folder can be opened
                _sync(file.absolute().parent, os.O_RDONLY)
        finally:
            partial.unlink()
    except FileExistsError:
        raise AditusError(
            Code.CONFLICT,
            "backup-exists",
            f"There is a file {file} already, and backups are never overwritten.",
            remedy="Choose another name, or move that file away.",
        ) from None
    except (OSError, sqlite3.Error) as error:
        why = (error.strerror or "it failed").lower() if isinstance(error, OSError) else str(error)
        raise invalid(
            "backup-failed",
            f"The backup {file} could not be written: {why}.",
            remedy="See that its folder is there, can be written, and has room.",
        ) from error


def _copy(database: Path, partial: Path) -> None:
    # Read only, so that nothing here can ever write to it or move its log into it.
    source = f"{database.absolute().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(source, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as reader,
        closing(sqlite3.connect(partial, isolation_level=None)) as written,
    ):
        reader.execute("PRAGMA query_only = ON")
        reader.backup(written)  # all pages in one step: one moment, whoever writes
        found = written.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError("the database is damaged")
        written.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
    _sync(partial, os.O_RDWR)  # Windows flushes only what may be written


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
