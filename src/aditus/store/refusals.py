"""Strangers at the relays' doors, counted by source and minute; and which refusals of keys were told of."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from aditus.domain.relays import StrangerRefusal
from aditus.store.database import Transaction
from aditus.store.schema import stranger_refusals

_KEY = ("region", "minute", "source", "reason")


def count(tx: Transaction, region: str, refusals: Sequence[StrangerRefusal]) -> None:
    """Add these to what is counted already."""
    build = sqlite_insert if tx.dialect.name == "sqlite" else postgresql_insert
    statement = build(stranger_refusals)
    statement = statement.on_conflict_do_update(
        index_elements=_KEY,
        set_={"refusals": stranger_refusals.c.refusals + statement.excluded.refusals},
    )
    rows = [
        {
            "region": region,
            "minute": one.minute,
            "source": one.source,
            "reason": one.reason,
            "refusals": one.refusals,
        }
        for one in sorted(refusals, key=lambda one: (one.minute, one.source, one.reason))
    ]
    tx.execute(statement, rows)


def sources_in(tx: Transaction, region: str, minute: int) -> int:
    """How many counts there are of a minute."""
    query = select(func.count()).where(
        stranger_refusals.c.region == region, stranger_refusals.c.minute == minute
    )
    return int(tx.execute(query).scalar_one())


def forget(tx: Transaction, before_minute: int) -> None:
    """Drop what is older."""
    tx.execute(delete(stranger_refusals).where(stranger_refusals.c.minute < before_minute))


def newest(
    tx: Transaction, regions: Sequence[str], *, since_minute: int, limit: int
) -> tuple[StrangerRefusal, ...]:
    """Counts of these regions, newest first, then the largest."""
    rows = tx.execute(
        select(stranger_refusals)
        .where(stranger_refusals.c.region.in_(regions), stranger_refusals.c.minute >= since_minute)
        .order_by(
            stranger_refusals.c.minute.desc(),
            stranger_refusals.c.refusals.desc(),
            stranger_refusals.c.source,
            stranger_refusals.c.reason,
            stranger_refusals.c.region,
        )
        .limit(limit)
    )
    return tuple(StrangerRefusal(row.minute, row.source, row.reason, row.refusals) for row in rows)
