"""A control plane over either database; `on_sqlite` is over SQLite alone, for what never reaches SQL."""

import pytest

from aditus.store.database import Database
from tests.control_plane import ControlPlane
from tests.databases import database, fresh_url, opened_postgres, opened_sqlite, postgres, sqlite

__all__ = ["database", "fresh_url", "opened_postgres", "opened_sqlite", "postgres", "sqlite"]


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    return ControlPlane(database)


@pytest.fixture
def on_sqlite(sqlite: Database) -> ControlPlane:
    return ControlPlane(sqlite)
