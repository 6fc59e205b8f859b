"""Appending to the audit chains, which is the last thing that a transaction does, and reading them.

So the head of an organisation's chain is the last lock that a transaction takes, several of them in one
order, and it is held for as long as the commit takes: no two transactions wait for each other here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Text, cast, func, insert, select, text, type_coerce, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.types import NullType

from aditus.domain.audit_chain import NOTHING, Entry, Head, digest, entry
from aditus.store.schema import audit_events, audit_heads

_PENDING = "aditus.audit"

Values = Mapping[str, Any]
"""The columns of an entry, without its id and place in the chain."""


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as it is stored, whatever somebody may have made of it, and the hash that stands beside it."""

    sequence: int
    content: Entry
    hash: str


def begin(tx: Connection) -> None:
    """A transaction begins: nothing is to be appended yet."""
    tx.info[_PENDING] = []


def later(tx: Connection, values: Values) -> None:
    """Append this at the end of the transaction."""
    tx.info[_PENDING].append(values)


def append(tx: Connection) -> None:
    """Append what is to be appended. Nothing else may follow in this transaction."""
    pending = sorted(tx.info.pop(_PENDING), key=lambda values: str(values["organization_id"]))
    for organization_id, entries in groupby(pending, key=lambda values: str(values["organization_id"])):
        _append(tx, organization_id, list(entries))


def head(tx: Connection, organization_id: str, *, lock: bool = False) -> Head | None:
    """The end of an organisation's chain; None when it was never begun. `lock`: until the commit."""
    query = select(audit_heads.c.sequence, audit_heads.c.hash).where(
        audit_heads.c.organization_id == organization_id
    )
    row = tx.execute(query.with_for_update() if lock else query).one_or_none()
    return Head(row.sequence, row.hash.hex()) if row else None


def page(tx: Connection, organization_id: str, *, after: int, limit: int) -> tuple[StoredEntry, ...]:
    """Entries of an organisation in their order, from after sequence `after`."""
    # As they stand there, without conversion: a value that nobody can convert is to be found, too.
    columns = [
        cast(column, Text).label("details")
        if column is audit_events.c.details
        else type_coerce(column, NullType()).label(column.name)
        for column in audit_events.c
    ]
    rows = tx.execute(
        select(*columns)
        .where(audit_events.c.organization_id == organization_id, audit_events.c.sequence > after)
        .order_by(audit_events.c.sequence)
        .limit(limit)
    )
    return tuple(_stored(row._asdict()) for row in rows)


def before(tx: Connection, organization_id: str, since: float) -> int:
    """The sequence of the last entry before the first one since then (Unix seconds)."""
    query = select(func.min(audit_events.c.sequence)).where(
        audit_events.c.organization_id == organization_id, audit_events.c.at >= since
    )
    first: int | None = tx.execute(query).scalar_one()
    if first is None:
        end = head(tx, organization_id)
        return end.sequence if end else 0
    return first - 1


def _append(tx: Connection, organization_id: str, pending: list[Values]) -> None:
    end = head(tx, organization_id, lock=True)
    if end is None:
        end = _begun(tx, organization_id)
    rows: list[dict[str, Any]] = []
    for event_id, values in zip(_event_ids(tx, len(pending)), pending, strict=True):
        place = {"event_id": event_id, "sequence": end.sequence + 1}
        new = digest(entry({**values, **place}, end.hash))
        rows.append({**values, **place, "previous_hash": bytes.fromhex(end.hash), "hash": bytes.fromhex(new)})
        end = Head(end.sequence + 1, new)
    tx.execute(insert(audit_events), rows)
    tx.execute(
        update(audit_heads)
        .where(audit_heads.c.organization_id == organization_id)
        .values(sequence=end.sequence, hash=bytes.fromhex(end.hash))
    )


def _begun(tx: Connection, organization_id: str) -> Head:
    """Begin a chain, or wait for whoever begins it now; its end is locked."""
    build = sqlite_insert if tx.dialect.name == "sqlite" else postgresql_insert
    nothing = {"organization_id": organization_id, "sequence": 0, "hash": bytes.fromhex(NOTHING)}
    tx.execute(build(audit_heads).values(**nothing).on_conflict_do_nothing())
    return head(tx, organization_id, lock=True) or Head()


def _event_ids(tx: Connection, count: int) -> list[int]:
    """The next ones: they stand in what is hashed, so they are needed before the rows are there."""
    if tx.dialect.name == "postgresql":
        query = text(
            "SELECT nextval(pg_get_serial_sequence('audit_events', 'event_id')) FROM generate_series(1, :n)"
        )
        return list(tx.execute(query, {"n": count}).scalars())
    last: int = tx.execute(select(func.coalesce(func.max(audit_events.c.event_id), 0))).scalar_one()
    return list(range(last + 1, last + count + 1))


def _stored(row: Mapping[str, Any]) -> StoredEntry:
    values = dict(row)
    try:
        values["details"] = json.loads(values["details"])
    except (ValueError, TypeError, RecursionError):  # not what was written: then the hash is not, either
        values["details"] = None
    return StoredEntry(values["sequence"], entry(values, _hex(values["previous_hash"])), _hex(values["hash"]))


def _hex(stored: object) -> str:
    return stored.hex() if isinstance(stored, bytes) else ""
