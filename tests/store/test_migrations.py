"""Up and down again over 10,000 rows: what the older schema can hold is there, and equal."""

from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Column, Table, insert, inspect, select, text
from sqlalchemy.types import JSON, Double, Integer, LargeBinary

from aditus.domain.audit_chain import Head, Verifier
from aditus.domain.model import AuditEvent
from aditus.store import audit_chain, events
from aditus.store.database import Database, Transaction, open_database
from aditus.store.schema import audit_events, audit_heads, metadata

ROWS = 10_000
AUDIT = {audit_events.name, audit_heads.name}
Rows = dict[str, list[dict[str, Any]]]


def value(column: Column[Any], number: int) -> object:
    """One that fits: every text is the number, so that all references lead to the row of this number."""
    if column.name == "role":
        return "team_admin"
    if column.name == "state":
        return "active"
    if column.name == "revoked_at" and column.table.name == "access_keys":
        return None
    if column.nullable and number % 2 and not column.foreign_keys and column.name != "connect_id":
        return None
    if isinstance(column.type, JSON):
        return [number, number + 1]
    if isinstance(column.type, LargeBinary):
        return number.to_bytes(32, "big")
    if isinstance(column.type, Double):
        return 1_800_000_000.1 + number
    return number if isinstance(column.type, Integer) else f"{number:06}"


def fill(database: Database) -> None:
    """Rows in every table."""
    each = -(-ROWS // (len(metadata.tables) - 1))
    with database.write() as tx:
        for table in metadata.sorted_tables:
            if table.name not in AUDIT:
                rows = [
                    {column.name: value(column, number) for column in table.columns}
                    for number in range(1, each + 1)
                ]
                tx.execute(insert(table), rows)
        for number in range(each):
            details: dict[str, str | int | bool | None] = {"number": number, "name": "Zürich", "no": None}
            entry = AuditEvent(0, 1.8e9 + number / 7, "u", "owner", "test", "x", "x", "local", details)
            events.add(tx, f"org{number % 3}", None if number % 2 else "sub", entry)


def rows_of(tx: Transaction) -> Rows:
    """What is there, as far as the database has a table and column for it."""
    found: Rows = {}
    there = inspect(tx)
    for table in metadata.sorted_tables:
        if there.has_table(table.name):
            names = {column["name"] for column in there.get_columns(table.name)}
            found[table.name] = _rows(tx, table, names)
    return found


def _rows(tx: Transaction, table: Table, names: set[str]) -> list[dict[str, Any]]:
    query = select(*(column for column in table.columns if column.name in names))
    return [dict(row) for row in tx.execute(query.order_by(*table.primary_key)).mappings()]


def narrowed(rows: Rows, like: Rows) -> Rows:
    """The same rows with the tables and columns alone that there are in `like`."""
    return {
        name: [{column: row[column] for column in shape} for row in rows[name]]
        for name, (shape, *_) in like.items()
    }


def migrate(database: Database, revision: str, *, down: bool = False) -> Rows:
    """Go there; what is left then."""
    config = Config()
    config.set_main_option("script_location", "aditus.store:migrations")
    config.set_main_option("path_separator", "os")
    with database.exclusive() as tx:
        config.attributes["connection"] = tx
        (command.downgrade if down else command.upgrade)(config, revision)
    with database.read() as tx:
        return rows_of(tx)


@pytest.mark.timeout(180)
def test_down_and_up_again_leaves_all_that_the_older_schema_can_hold(fresh_url: str) -> None:
    database = open_database(fresh_url)
    fill(database)
    with database.read() as tx:
        before = rows_of(tx)
    assert sum(map(len, before.values())) >= ROWS
    assert all(before.values())

    without_credentials = migrate(database, "0003", down=True)
    assert without_credentials.keys() == before.keys() - {"app_credentials", "app_changes"}
    assert without_credentials == narrowed(before, without_credentials)
    without_chain = migrate(database, "0002", down=True)
    assert without_chain.keys() == without_credentials.keys() - {"audit_heads"}
    assert without_chain == narrowed(before, without_chain)
    assert migrate(database, "0003") == without_credentials  # also each hash: made anew, and the same

    oldest = migrate(database, "0001", down=True)
    assert {"sessions", "relays", "audit_heads"} & oldest.keys() == set()
    assert oldest == narrowed(before, oldest)
    after = migrate(database, "head")
    assert narrowed(after, oldest) == oldest
    assert (after["audit_events"], after["audit_heads"]) == (before["audit_events"], before["audit_heads"])

    with database.read() as tx:
        for organization_id in ("org0", "org1", "org2"):
            verifier = Verifier()
            for entry in audit_chain.page(tx, organization_id, after=0, limit=ROWS):
                verifier.see(entry.content, entry.hash)
            assert verifier.end(audit_chain.head(tx, organization_id) or Head()).ok
        if tx.dialect.name == "sqlite":
            assert tx.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
            assert not tx.execute(text("PRAGMA foreign_key_check")).all()
    database.close()
