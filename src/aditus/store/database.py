"""Opening the database: one writer and many readers over SQLite, or a pool over PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

Transaction = Connection
"""An open transaction, as every query of this room takes it first."""


class Database:
    """The open database. Safe for use from many threads."""

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A read-only transaction that sees one moment."""
        raise NotImplementedError
        yield

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that is durable when the block has ended, and undone when the block raises."""
        raise NotImplementedError
        yield

    def close(self) -> None:
        """Close every connection; the last SQLite connection leaves no write-ahead log behind."""
        raise NotImplementedError


def open_database(url: str) -> Database:
    """Open `sqlite:////absolute/path` or `postgresql://user:password@host/name`, check it and migrate it.

    Raises `AditusError`: `database-damaged`, `database-newer`, `database-url`, `database-unavailable`.
    """
    raise NotImplementedError
