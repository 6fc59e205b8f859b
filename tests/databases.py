"""Both databases for tests: an SQLite file, and a PostgreSQL that the whole run shares."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete

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
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with its tables, to be copied."""
    template = tmp_path_factory.mktemp("template") / "aditus.db"
    open_database(f"sqlite:///{template}").close()
    return template


@pytest.fixture(scope="session")
def shared_url(postgres: PostgresServer) -> str:
    """A PostgreSQL database with its tables, for the tests that only look at rows."""
    url = postgres.create_database(f"shared_{uuid.uuid4().hex}")
    open_database(url).close()
    return url


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """An SQLite file of its own, with its tables."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path)}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, sqlite_url: str, shared_url: str) -> Iterator[Database]:
    """An open database with its tables, all of them empty."""
    opened = open_database(sqlite_url if request.param == "sqlite" else shared_url)
    with opened.write() as tx:
        for table in reversed(metadata.sorted_tables):
            tx.execute(delete(table))
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer) -> str:
    """A database of its own for a test, not yet opened."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/fresh.db"
    return postgres.create_database(f"fresh_{uuid.uuid4().hex}")
