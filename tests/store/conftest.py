"""The store's tests run over both databases."""

from tests.databases import database, fresh_url, postgres, shared_url, sqlite_template, sqlite_url

__all__ = ["database", "fresh_url", "postgres", "shared_url", "sqlite_template", "sqlite_url"]
