"""Regions and their epochs."""

from sqlalchemy import insert, select, update

from aditus.domain.model import Region
from aditus.store import notices
from aditus.store.database import Transaction
from aditus.store.schema import regions


def every(tx: Transaction) -> tuple[Region, ...]:
    """All regions, by name."""
    rows = tx.execute(select(regions.c.name, regions.c.relay_url).order_by(regions.c.name))
    return tuple(Region(row.name, row.relay_url) for row in rows)


def add(tx: Transaction, region: Region, now: float) -> None:
    """Make a region, at epoch 0."""
    tx.execute(insert(regions).values(name=region.name, relay_url=region.relay_url, epoch=0, created_at=now))


def set_relay_url(tx: Transaction, region: Region) -> None:
    """Change where its agents dial; Connect URLs follow, because they are made from it."""
    tx.execute(update(regions).where(regions.c.name == region.name).values(relay_url=region.relay_url))


def epoch(tx: Transaction, region: str) -> int:
    """The epoch of the last change of a key of this region, or of an app; 0 for an unknown region."""
    return tx.execute(select(regions.c.epoch).where(regions.c.name == region)).scalar_one_or_none() or 0


def lock_epoch(tx: Transaction, region: str) -> int:
    """The epoch, locked until this transaction ends: nobody else changes keys or apps of the region."""
    query = select(regions.c.epoch).where(regions.c.name == region).with_for_update()
    locked: int = tx.execute(query).scalar_one()
    return locked


def set_epoch(tx: Transaction, region: str, epoch: int) -> None:
    """Raise the epoch, which `lock_epoch` must have locked; after the commit all who listen hear of it."""
    tx.execute(update(regions).where(regions.c.name == region).values(epoch=epoch))
    notices.notify(tx, region)
