"""The store's tests run over both databases."""

from tests.databases import database, fresh_url, opened_postgres, opened_sqlite, postgres

__all__ = ["database", "fresh_url", "opened_postgres", "opened_sqlite", "postgres"]
