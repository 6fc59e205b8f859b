"""The relays that serve a region now, each a process of its own, and up to which epoch they know its keys.

All times are the database's: those of the processes may differ by more than what is measured here.
"""

from collections.abc import Collection

from sqlalchemy import Double, delete, insert, literal_column, select, update
from sqlalchemy.sql.elements import ColumnElement

from aditus.store.database import Transaction
from aditus.store.schema import relays

SEEN_SECONDS = 30.0
"""Who was not seen for so long is taken for gone."""
FORGOTTEN_SECONDS = 86_400.0
"""Rows that no process removed are kept for so long, for people to look at."""


def register(tx: Transaction, relay_id: str, region: str, name: str) -> None:
    """A relay is there, and knows nothing yet. Forgets others that are long gone.

    The new row refers to its region's, so this waits for whoever is just changing keys of the region, and
    what the relay reads afterwards has that change.
    """
    tx.execute(delete(relays).where(relays.c.seen_at < _now(tx) - FORGOTTEN_SECONDS))
    tx.execute(insert(relays).values(relay_id=relay_id, region=region, name=name, epoch=0, seen_at=_now(tx)))


def acknowledge(tx: Transaction, relay_id: str, epoch: int) -> bool:
    """The relay knows all keys up to this epoch, and has cut what they forbid. False: there is no row."""
    statement = update(relays).where(relays.c.relay_id == relay_id).values(epoch=epoch, seen_at=_now(tx))
    return tx.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1


def remove(tx: Transaction, relay_id: str) -> None:
    """The relay has stopped."""
    tx.execute(delete(relays).where(relays.c.relay_id == relay_id))


def others(tx: Transaction, region: str, relay_id: str) -> dict[str, str]:
    """The names, by relay_id, of all relays of a region that were seen lately, but this one."""
    query = (
        select(relays.c.relay_id, relays.c.name)
        .where(
            relays.c.region == region,
            relays.c.relay_id != relay_id,
            relays.c.seen_at > _now(tx) - SEEN_SECONDS,
        )
        .order_by(relays.c.name, relays.c.relay_id)
    )
    return {row.relay_id: row.name for row in tx.execute(query)}


def behind(tx: Transaction, relay_ids: Collection[str], epoch: int) -> frozenset[str]:
    """Those of these relays that have not acknowledged the epoch. Who has stopped is not among them."""
    query = select(relays.c.relay_id).where(relays.c.relay_id.in_(relay_ids), relays.c.epoch < epoch)
    return frozenset(tx.execute(query).scalars())


def _now(tx: Transaction) -> ColumnElement[float]:
    if tx.dialect.name == "postgresql":
        return literal_column("extract(epoch FROM clock_timestamp())::float8", Double)
    return literal_column("(julianday('now') - 2440587.5) * 86400.0", Double)
