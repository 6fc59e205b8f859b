"""Both databases for tests: an SQLite file, and a PostgreSQL that the whole run shares."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from aditus.store.database import Database, open_database
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


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer) -> str:
    """An empty database of its own for each test."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/aditus.db"
    return postgres.create_database(f"test_{uuid.uuid4().hex}")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The same, opened, with its tables."""
    opened = open_database(database_url)
    yield opened
    opened.close()
