"""A control plane over either database; `on_sqlite` is over SQLite alone, for what never reaches SQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aditus.store.database import Database, open_database
from tests.control_plane import ControlPlane
from tests.databases import database, fresh_url, postgres, shared_url

__all__ = ["database", "fresh_url", "on_sqlite", "plane", "postgres", "shared_url"]


@pytest.fixture
def plane(database: Database) -> ControlPlane:
    return ControlPlane(database)


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[ControlPlane]:
    opened = open_database(f"sqlite:///{tmp_path}/aditus.db")
    yield ControlPlane(opened)
    opened.close()
