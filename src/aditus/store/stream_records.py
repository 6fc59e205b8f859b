"""Finished streams: added, listed, and forgotten when they are too old or too many."""

import dataclasses
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, delete, func, insert, select

from aditus.domain.relays import StreamRecord
from aditus.store.database import Transaction
from aditus.store.schema import stream_records

KEPT_SECONDS = 7 * 86_400.0
KEPT = 1_000_000
"""Records of one database, about 300 MB; the oldest go first."""
PRUNED_AT_ONCE = 1_000
"""Records in one step: a few milliseconds, for which other writers wait."""

_FIELDS = tuple(field.name for field in dataclasses.fields(StreamRecord) if field.name != "record_id")


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """Which records of a subscription: all of it must be so; what is empty or None is not asked.

    `since` (included) and `until` (not) are Unix seconds of the end of the stream.
    """

    access_key_id: str = ""
    port: int | None = None
    reason: str = ""
    since: float | None = None
    until: float | None = None
    key_id: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Traffic:
    """What finished streams carried together: payload, in = from apps, out = to them."""

    streams: int
    bytes_in: int
    bytes_out: int


def add(tx: Transaction, records: Sequence[StreamRecord]) -> None:
    """Add records; their `record_id` is not used but given by the database."""
    if records:
        rows = [{name: getattr(record, name) for name in _FIELDS} for record in records]
        tx.execute(insert(stream_records), rows)


def page(
    tx: Transaction, subscription_id: str, wanted: Wanted, now: float, *, before: int | None, limit: int
) -> tuple[StreamRecord, ...]:
    """Records of a subscription that are not too old, newest first, from before record_id `before`."""
    table = stream_records.c
    conditions: list[ColumnElement[bool]] = [
        table.subscription_id == subscription_id,
        table.finished_at >= max(wanted.since or 0.0, now - KEPT_SECONDS),
    ]
    if wanted.access_key_id:
        conditions.append(table.access_key_id == wanted.access_key_id)
    if wanted.key_id:
        conditions.append(table.key_id == wanted.key_id)
    if wanted.port is not None:
        conditions.append(table.port == wanted.port)
    if wanted.reason:
        conditions.append(table.reason == wanted.reason)
    if wanted.until is not None:
        conditions.append(table.finished_at < wanted.until)
    if before is not None:
        conditions.append(table.record_id < before)
    query = select(stream_records).where(*conditions).order_by(table.record_id.desc()).limit(limit)
    return tuple(StreamRecord(**row._mapping) for row in tx.execute(query))


def traffic(tx: Transaction, subscription_id: str, region: str, since: float) -> Traffic:
    """Of a subscription's streams in a region that finished since then."""
    table = stream_records.c
    sums = (func.coalesce(func.sum(column), 0) for column in (table.bytes_in, table.bytes_out))
    query = select(func.count(), *sums).where(
        table.subscription_id == subscription_id, table.region == region, table.finished_at >= since
    )
    return Traffic(*map(int, tx.execute(query).one()))


def prune(tx: Transaction, now: float) -> bool:
    """Forget some of the records that are too old or too many. True: there may be more of them."""
    table = stream_records.c
    old = select(table.record_id).where(table.finished_at < now - KEPT_SECONDS).order_by(table.finished_at)
    newest = tx.execute(select(func.max(table.record_id))).scalar()
    many = select(table.record_id).where(table.record_id <= (newest or 0) - KEPT).order_by(table.record_id)
    counts = [_forget(tx, which) for which in (old, many)]
    return max(counts) == PRUNED_AT_ONCE


def _forget(tx: Transaction, which: Select[tuple[int]]) -> int:
    found = tx.execute(which.limit(PRUNED_AT_ONCE)).scalars().all()
    if found:
        tx.execute(delete(stream_records).where(stream_records.c.record_id.in_(found)))
    return len(found)
