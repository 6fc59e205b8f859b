"""Both databases for tests: an SQLite file, and a PostgreSQL that the whole run shares."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from aditus.store.database import Database, open_database
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
def shared_url(postgres: PostgresServer) -> str:
    """A PostgreSQL database with its tables, for the tests that only look at rows."""
    url = postgres.create_database(f"shared_{uuid.uuid4().hex}")
    open_database(url).close()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path, shared_url: str) -> Iterator[Database]:
    """An open database with its tables, all of them empty."""
    opened = open_database(f"sqlite:///{tmp_path}/aditus.db" if request.param == "sqlite" else shared_url)
    if request.param == "postgresql":
        with opened.write() as tx:
            tx.execute(text(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY"))
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer) -> str:
    """A database of its own for a test, not yet opened."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/fresh.db"
    return postgres.create_database(f"fresh_{uuid.uuid4().hex}")
