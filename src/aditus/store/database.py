"""Opening the database: one writer and many readers over SQLite, or a pool over PostgreSQL."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from aditus.domain.errors import AditusError, Code, invalid
from aditus.store import audit_chain, migrate

Transaction = Connection
"""An open transaction, as every query of this room takes it first."""

SQLITE = "sqlite:///"
POSTGRES_NAMES = ("postgresql", "postgres", "postgresql+psycopg")

BUSY_SECONDS = 10.0  # how long a request waits for its turn at the writer or for a connection
READERS = 16  # SQLite connections; requests beyond wait
POOL = 20  # PostgreSQL connections of this process; requests beyond wait

# A PostgreSQL that went away without a word is noticed after half a minute, not after the kernel's hours.
POSTGRES_LIVENESS = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
EXCLUSIVE_LOCK = 0x61646974  # "adit": the advisory lock of migration and first start


class Database:
    """The open database. Safe for use from many threads, not across a fork."""

    def __init__(self, writer: Engine, reader: Engine) -> None:
        self._writer = writer
        self._reader = reader
        self.timed: Callable[[str, float], None] = lambda kind, seconds: None
        """Told of each transaction: `read` or `write`, and the seconds with the wait for its turn."""

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A read-only transaction that sees one moment. Raises `AditusError` `database-unavailable`."""
        with _failures_named(), self._timed("read"), self._reader.begin() as tx:
            yield tx

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that is durable when the block has ended, and undone when the block raises.

        What it tells the audit is appended last. On SQLite there is one at a time. Raises `AditusError`
        `database-unavailable`.
        """
        with _failures_named(), self._timed("write"), self._writer.begin() as tx:
            audit_chain.begin(tx)
            yield tx
            audit_chain.append(tx)

    @contextmanager
    def exclusive(self) -> Iterator[Transaction]:
        """As `write`, one at a time among all processes that use this database."""
        with self.write() as tx:
            if tx.dialect.name == "postgresql":
                tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": EXCLUSIVE_LOCK})
            yield tx

    @property
    def shared(self) -> bool:
        """Whether other processes may use this database meanwhile."""
        return self._writer.dialect.name == "postgresql"

    def own_connection(self) -> "psycopg.Connection[Any]":
        """A connection besides the pool, in autocommit, for the caller to close. Only of a shared database.

        Raises `AditusError` `database-unavailable`.
        """
        with _failures_named():
            connection = self._writer.connect().execution_options(isolation_level="AUTOCOMMIT")
            driver = connection.connection.driver_connection
            connection.detach()
        if not isinstance(driver, psycopg.Connection):
            raise TypeError("only PostgreSQL has connections of one's own")
        return driver

    @contextmanager
    def _timed(self, kind: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.timed(kind, time.monotonic() - began)

    def check(self) -> None:
        """Ask for a sign of life. Raises `AditusError` `database-unavailable`."""
        with self.read() as tx:
            tx.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every connection. On SQLite the writer goes last and takes the write-ahead log along."""
        self._reader.dispose()
        self._writer.dispose()


def open_database(url: str) -> Database:
    """Open `sqlite:////absolute/path` or `postgresql://user:password@host/name`, check it and migrate it.

    Raises `AditusError`: `database-url`, `database-damaged`, `database-newer`, `database-unavailable`.
    """
    file = url.removeprefix(SQLITE)
    if file != url and Path(file).is_absolute():
        database = _open_sqlite(Path(file))  # taken as it stands: a folder may have a ? or % in its name
    else:
        database = _open_postgres(_postgres_url(url))
    try:
        with database.exclusive() as tx:
            migrate.to_newest(tx)
    except BaseException:
        database.close()
        raise
    return database


def insert_if_absent(tx: Transaction, table: Table, **values: str | float | bytes | None) -> bool:
    """Insert a row, unless one with the same primary key or unique columns is there: then False.

    Waits for another transaction that is about to commit or undo such a row.
    """
    build = sqlite_insert if tx.dialect.name == "sqlite" else postgresql_insert
    statement = build(table).values(**values).on_conflict_do_nothing()
    return tx.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1


def _open_sqlite(path: Path) -> Database:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # the log and its index take its mode
    except OSError as error:
        raise invalid(
            "database-unwritable",
            f"The database {path} cannot be opened for writing: {error.strerror}.",
            remedy="Give this user the right to write the file and its folder, or choose another folder.",
        ) from error
    writer = _sqlite_engine(path, "BEGIN IMMEDIATE", connections=1)
    reader = _sqlite_engine(path, "BEGIN", connections=READERS, read_only=True)
    try:
        with writer.begin() as tx:
            found = tx.execute(text("PRAGMA integrity_check(1)")).scalar_one()
    except DatabaseError as error:
        writer.dispose()
        raise _sqlite_failure(path, error) from error
    if found != "ok":
        writer.dispose()
        raise _damaged(path)
    return Database(writer, reader)


def _sqlite_engine(path: Path, begin: str, *, connections: int, read_only: bool = False) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},  # we begin ourselves, see below
        pool_size=connections,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: object) -> None:
        _write_ahead(connection)
        for pragma in (
            "synchronous = FULL",
            "foreign_keys = ON",
            "mmap_size = 0",
            f"query_only = {'ON' if read_only else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        # A transaction that starts as a reader and turns writer can fail halfway; a writer says so at once.
        connection.exec_driver_sql(begin)

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    # SQLite's own waiting does not cover this switch, which two first starts may do at once.
    given_up_at = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > given_up_at:
                raise
            time.sleep(0.01)
        else:
            return


def _postgres_url(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise _bad_url() from None
    if url.drivername not in POSTGRES_NAMES or not (url.host or url.query.get("host")):
        raise _bad_url()
    return url


def _open_postgres(url: URL) -> Database:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={name: value for name, value in POSTGRES_LIVENESS.items() if name not in url.query},
        pool_size=POOL,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    try:
        with engine.begin() as tx:
            tx.execute(text("SELECT 1"))
    except DBAPIError as error:
        engine.dispose()
        why = str(error.orig).partition("\n")[0]
        raise AditusError(
            Code.UNAVAILABLE,
            "database-unavailable",
            f"PostgreSQL cannot be used: {why}.",
            remedy="Check that it runs and that the database URL is right.",
        ) from error
    return Database(engine, reader)


@contextmanager
def _failures_named() -> Iterator[None]:
    """Tell a database that cannot answer now (an `AditusError`) from a statement that is wrong (a defect)."""
    try:
        yield
    except PoolTimeoutError as error:
        raise unavailable() from error
    except DBAPIError as error:
        if _is_passing(error.orig):
            raise unavailable() from error
        raise


def _is_passing(error: Any) -> bool:
    if isinstance(error, sqlite3.OperationalError):  # also raised for wrong SQL, with the code SQLITE_ERROR
        return error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_ERROR
    return isinstance(error, psycopg.OperationalError)


def unavailable() -> AditusError:
    """The database cannot be asked now; it may be later."""
    return AditusError(
        Code.UNAVAILABLE,
        "database-unavailable",
        "The database does not answer now, or has no room left.",
        remedy="Try again; if it stays so, the server's log tells more.",
    )


def _sqlite_failure(path: Path, error: DatabaseError) -> AditusError:
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return _damaged(path)
    return invalid(
        "database-unusable",
        f"The database {path} cannot be used: {error.orig}.",
        remedy="Check that its folder can be written and is not used by another process.",
    )


def _damaged(path: Path) -> AditusError:
    return invalid(
        "database-damaged",
        f"The database {path} is damaged.",
        remedy="Put a backup in its place, or move it away to start anew (all keys are then unknown).",
    )


def _bad_url() -> AditusError:
    return invalid(
        "database-url",
        "The database URL is neither sqlite:////absolute/path nor postgresql://user:password@host/name.",
        remedy="Write it in one of these forms.",
        field="database_url",
    )
