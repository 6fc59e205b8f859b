"""A control plane over either database; `on_sqlite` is over SQLite alone, for what never reaches SQL."""

from collections.abc import Iterator

import pytest

from aditus.store.database import Database, open_database
from tests.control_plane import ControlPlane
from tests.databases import database, fresh_url, postgres, shared_url, sqlite_template, sqlite_url

__all__ = [
    "database",
    "fresh_url",
    "on_sqlite",
    "plane",
    "postgres",
    "shared_url",
    "sqlite_template",
    "sqlite_url",
]


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    return ControlPlane(database)


@pytest.fixture
def on_sqlite(sqlite_url: str) -> Iterator[ControlPlane]:
    opened = open_database(sqlite_url)
    yield ControlPlane(opened)
    opened.close()
