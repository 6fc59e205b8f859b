"""Organisations, their subscriptions, and what these may use where."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, func, insert, select

from aditus.domain.model import Quota, Subscription
from aditus.store.database import Transaction
from aditus.store.schema import (
    access_keys,
    capabilities,
    organizations,
    subscription_regions,
    subscriptions,
    unrevoked,
)


def organization_name(tx: Transaction, organization_id: str) -> str | None:
    """The name of an organisation."""
    query = select(organizations.c.name).where(organizations.c.organization_id == organization_id)
    return tx.execute(query).scalar_one_or_none()


def organization_exists(tx: Transaction) -> bool:
    """Whether there is any organisation yet."""
    return tx.execute(select(organizations.c.name).limit(1)).first() is not None


def add_organization(tx: Transaction, organization_id: str, name: str, now: float) -> None:
    """Make an organisation."""
    tx.execute(insert(organizations).values(organization_id=organization_id, name=name, created_at=now))


def add(tx: Transaction, subscription: Subscription, key_quota: int, now: float) -> None:
    """Make a subscription with all its capabilities in each of its regions, which must exist."""
    tx.execute(
        insert(subscriptions).values(
            subscription_id=subscription.subscription_id,
            organization_id=subscription.organization_id,
            locator=subscription.locator,
            name=subscription.name,
            created_at=now,
        )
    )
    for region in subscription.regions:
        open_region(tx, subscription.subscription_id, region, subscription.capabilities, key_quota)


def open_region(
    tx: Transaction, subscription_id: str, region: str, names: Iterable[str], key_quota: int
) -> None:
    """Let a subscription use a region, which must exist, with these capabilities."""
    place = {"subscription_id": subscription_id, "region": region}
    tx.execute(insert(subscription_regions).values(**place, key_quota=key_quota))
    for name in names:
        tx.execute(insert(capabilities).values(**place, name=name))


def of_organization(tx: Transaction, organization_id: str) -> tuple[Subscription, ...]:
    """The subscriptions of an organisation, oldest first."""
    return _subscriptions(tx, subscriptions.c.organization_id == organization_id)


def by_locator(tx: Transaction, locator: str) -> Subscription | None:
    """The subscription with this locator, whosever it is."""
    found = _subscriptions(tx, subscriptions.c.locator == locator)
    return found[0] if found else None


def by_ids(tx: Transaction, subscription_ids: Iterable[str]) -> dict[str, Subscription]:
    """Subscriptions by their id, whosever they are."""
    found = _subscriptions(tx, subscriptions.c.subscription_id.in_(list(subscription_ids)))
    return {one.subscription_id: one for one in found}


def capabilities_in(tx: Transaction, subscription_id: str, region: str) -> tuple[str, ...]:
    """What a subscription may generate keys for in one region, by name."""
    query = (
        select(capabilities.c.name)
        .where(capabilities.c.subscription_id == subscription_id, capabilities.c.region == region)
        .order_by(capabilities.c.name)
    )
    return tuple(tx.execute(query).scalars())


def lock_regions(tx: Transaction, subscription_id: str) -> tuple[str, ...]:
    """The regions of a subscription, by name; until this transaction ends nobody else opens one to it.

    A weak lock: rows that refer to the subscription are made and removed meanwhile.
    """
    tx.execute(
        select(subscriptions.c.subscription_id)
        .where(subscriptions.c.subscription_id == subscription_id)
        .with_for_update(key_share=True)
    )
    query = (
        select(subscription_regions.c.region)
        .where(subscription_regions.c.subscription_id == subscription_id)
        .order_by(subscription_regions.c.region)
    )
    return tuple(tx.execute(query).scalars())


def lock_quota(tx: Transaction, subscription_id: str, region: str) -> Quota:
    """How many unrevoked keys there are, of how many; locked until this transaction ends."""
    limit = tx.execute(
        select(subscription_regions.c.key_quota)
        .where(
            subscription_regions.c.subscription_id == subscription_id,
            subscription_regions.c.region == region,
        )
        .with_for_update()
    ).scalar_one()
    used = tx.execute(
        select(func.count())
        .select_from(access_keys)
        .where(
            access_keys.c.subscription_id == subscription_id,
            access_keys.c.region == region,
            unrevoked,
        )
    ).scalar_one()
    return Quota(region, used, limit)


def quotas(tx: Transaction, subscription_id: str) -> tuple[Quota, ...]:
    """How much of each region's quota of keys is used, by region."""
    used = (
        select(access_keys.c.region, func.count().label("used"))
        .where(access_keys.c.subscription_id == subscription_id, unrevoked)
        .group_by(access_keys.c.region)
        .subquery()
    )
    query = (
        select(
            subscription_regions.c.region,
            subscription_regions.c.key_quota,
            func.coalesce(used.c.used, 0).label("used"),
        )
        .outerjoin(used, used.c.region == subscription_regions.c.region)
        .where(subscription_regions.c.subscription_id == subscription_id)
        .order_by(subscription_regions.c.region)
    )
    return tuple(Quota(row.region, row.used, row.key_quota) for row in tx.execute(query))


def all_quotas(tx: Transaction) -> dict[tuple[str, str], Quota]:
    """How much of each quota of keys is used, by region and the locator of the subscription."""
    used = (
        select(access_keys.c.subscription_id, access_keys.c.region, func.count().label("used"))
        .where(unrevoked)
        .group_by(access_keys.c.subscription_id, access_keys.c.region)
        .subquery()
    )
    query = (
        select(
            subscriptions.c.locator,
            subscription_regions.c.region,
            subscription_regions.c.key_quota,
            func.coalesce(used.c.used, 0).label("used"),
        )
        .join(subscriptions, subscriptions.c.subscription_id == subscription_regions.c.subscription_id)
        .outerjoin(
            used,
            (used.c.subscription_id == subscription_regions.c.subscription_id)
            & (used.c.region == subscription_regions.c.region),
        )
    )
    return {
        (row.region, row.locator): Quota(row.region, row.used, row.key_quota) for row in tx.execute(query)
    }


def _subscriptions(tx: Transaction, which: ColumnElement[bool]) -> tuple[Subscription, ...]:
    rows = tx.execute(
        select(subscriptions).where(which).order_by(subscriptions.c.created_at, subscriptions.c.locator)
    ).all()
    ids = [row.subscription_id for row in rows]
    places: dict[str, set[str]] = {subscription_id: set() for subscription_id in ids}
    labels: dict[str, set[str]] = {subscription_id: set() for subscription_id in ids}
    for place in tx.execute(
        select(subscription_regions).where(subscription_regions.c.subscription_id.in_(ids))
    ):
        places[place.subscription_id].add(place.region)
    for label in tx.execute(select(capabilities).where(capabilities.c.subscription_id.in_(ids))):
        labels[label.subscription_id].add(label.name)
    return tuple(
        Subscription(
            row.subscription_id,
            row.organization_id,
            row.locator,
            row.name,
            tuple(sorted(labels[row.subscription_id])),
            tuple(sorted(places[row.subscription_id])),
        )
        for row in rows
    )
