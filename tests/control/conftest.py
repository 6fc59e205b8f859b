"""A control plane over either database; `on_sqlite` is over SQLite alone, for what never reaches SQL."""

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from aditus.crypto import passwords
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


@pytest.fixture(autouse=True, scope="module")
def quick_passwords() -> Iterator[None]:
    """Argon2id with the least memory and passes: what it costs is tests/crypto's matter."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", lambda: quick)
        yield
