"""Both databases for tests: an SQLite file, and a PostgreSQL that the whole run shares."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import delete, text

from aditus.store.database import Database, Transaction, open_database
from aditus.store.schema import metadata
from demo.postgres import PostgresServer

_SERVER = pytest.StashKey[PostgresServer]()


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> PostgresServer:
    """One server for all rooms that import this fixture; it ends with the run."""
    if _SERVER not in pytestconfig.stash:
        server = PostgresServer({"fsync": "off"})  # nobody cuts the power in these tests
        server.start()
        pytestconfig.add_cleanup(server.stop)
        pytestconfig.stash[_SERVER] = server
    return pytestconfig.stash[_SERVER]


@pytest.fixture(scope="session")
def opened_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """An SQLite file with its tables, opened once; what was closed opens again when it is used."""
    opened = open_database(f"sqlite:///{tmp_path_factory.mktemp('shared')}/aditus.db")
    opened.close()
    return opened


@pytest.fixture(scope="session")
def opened_postgres(postgres: PostgresServer) -> Database:
    """The same on PostgreSQL."""
    opened = open_database(postgres.create_database(f"shared_{uuid.uuid4().hex}"))
    opened.close()
    return opened


@contextmanager
def unprotected(tx: Transaction) -> Iterator[None]:
    """As somebody who owns the database and takes the triggers away that keep the audit as it is."""
    if tx.dialect.name == "postgresql":
        tx.execute(text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
        yield
        tx.execute(text("ALTER TABLE audit_events ENABLE TRIGGER USER"))
        return
    triggers = tx.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
    assert triggers
    for name, _ in triggers:
        tx.execute(text(f"DROP TRIGGER {name}"))
    yield
    for _, statement in triggers:
        tx.exec_driver_sql(statement)


@contextmanager
def emptied(opened: Database) -> Iterator[Database]:
    """Its tables without rows, and afterwards no connection left."""
    with opened.write() as tx, unprotected(tx):
        for table in reversed(metadata.sorted_tables):
            tx.execute(delete(table))
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, opened_sqlite: Database, opened_postgres: Database
) -> Iterator[Database]:
    """An open database with its tables, all of them empty: for the tests that look at rows."""
    with emptied(opened_sqlite if request.param == "sqlite" else opened_postgres) as empty:
        yield empty


@pytest.fixture
def sqlite(opened_sqlite: Database) -> Iterator[Database]:
    """The same, on SQLite alone: for what does not depend on which database it is."""
    with emptied(opened_sqlite) as empty:
        yield empty


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer) -> str:
    """A database of its own for a test, not yet opened."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/fresh.db"
    return postgres.create_database(f"fresh_{uuid.uuid4().hex}")
