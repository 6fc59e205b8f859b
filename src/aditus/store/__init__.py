"""Truth in SQL: schema, migrations, and one body of queries for SQLite and PostgreSQL."""
