"""Organisations, and what their subscriptions may use in which region."""

from sqlalchemy import ColumnElement, delete, func, select, update

from aditus.domain.model import Subscription
from aditus.domain.tenants import Organization, SubscriptionRegion
from aditus.store.database import Transaction, insert_if_absent
from aditus.store.schema import (
    access_keys,
    capabilities,
    organizations,
    subscription_regions,
    subscriptions,
    unrevoked,
)


def every_organization(tx: Transaction) -> tuple[Organization, ...]:
    """All organisations, oldest first."""
    rows = tx.execute(select(organizations).order_by(organizations.c.created_at, organizations.c.name))
    return tuple(Organization(row.organization_id, row.name, row.created_at) for row in rows)


def add_organization(tx: Transaction, organization: Organization) -> bool:
    """Make an organisation. False: there is one of this name."""
    return insert_if_absent(
        tx,
        organizations,
        organization_id=organization.organization_id,
        name=organization.name,
        created_at=organization.created_at,
    )


def add_subscription(tx: Transaction, subscription: Subscription, now: float) -> bool:
    """Make a subscription without regions. False: its organisation has one of this name."""
    return insert_if_absent(
        tx,
        subscriptions,
        subscription_id=subscription.subscription_id,
        organization_id=subscription.organization_id,
        locator=subscription.locator,
        name=subscription.name,
        created_at=now,
    )


def open_region(tx: Transaction, subscription_id: str, region: str, key_quota: int) -> bool:
    """Let a subscription use a region, which must exist. False: it may already, with the quota it has."""
    return insert_if_absent(
        tx, subscription_regions, subscription_id=subscription_id, region=region, key_quota=key_quota
    )


def set_key_quota(tx: Transaction, subscription_id: str, region: str, key_quota: int) -> None:
    """Change how many unrevoked keys there may be; those that are there stay."""
    which = (subscription_regions.c.subscription_id == subscription_id) & (
        subscription_regions.c.region == region
    )
    tx.execute(update(subscription_regions).where(which).values(key_quota=key_quota))


def add_capability(tx: Transaction, subscription_id: str, region: str, name: str) -> bool:
    """Let keys be generated for a capability in an open region. False: they may be already."""
    return insert_if_absent(tx, capabilities, subscription_id=subscription_id, region=region, name=name)


def remove_capability(tx: Transaction, subscription_id: str, region: str, name: str) -> bool:
    """Let no more keys be generated for a capability; those that are there stay. False: it was not there."""
    which = (
        (capabilities.c.subscription_id == subscription_id)
        & (capabilities.c.region == region)
        & (capabilities.c.name == name)
    )
    return tx.execute(delete(capabilities).where(which)).rowcount > 0


def every_subscription_region(tx: Transaction) -> tuple[SubscriptionRegion, ...]:
    """What all subscriptions may use where: by organisation, subscription (oldest first) and region."""
    return _subscription_regions(tx, organizations.c.organization_id.is_not(None))


def regions_of(tx: Transaction, subscription_id: str) -> tuple[SubscriptionRegion, ...]:
    """What one subscription may use where, by region."""
    return _subscription_regions(tx, subscriptions.c.subscription_id == subscription_id)


def _subscription_regions(tx: Transaction, which: ColumnElement[bool]) -> tuple[SubscriptionRegion, ...]:
    used = (
        select(access_keys.c.subscription_id, access_keys.c.region, func.count().label("used"))
        .where(unrevoked)
        .group_by(access_keys.c.subscription_id, access_keys.c.region)
        .subquery()
    )
    rows = tx.execute(
        select(
            subscriptions.c.subscription_id,
            subscriptions.c.locator,
            subscriptions.c.name,
            organizations.c.name.label("organization"),
            subscription_regions.c.region,
            subscription_regions.c.key_quota,
            func.coalesce(used.c.used, 0).label("used"),
        )
        .join(subscriptions, subscriptions.c.subscription_id == subscription_regions.c.subscription_id)
        .join(organizations, organizations.c.organization_id == subscriptions.c.organization_id)
        .outerjoin(
            used,
            (used.c.subscription_id == subscription_regions.c.subscription_id)
            & (used.c.region == subscription_regions.c.region),
        )
        .where(which)
        .order_by(
            organizations.c.name,
            subscriptions.c.created_at,
            subscriptions.c.locator,
            subscription_regions.c.region,
        )
    ).all()
    labels: dict[tuple[str, str], list[str]] = {}
    ids = {row.subscription_id for row in rows}
    query = select(capabilities).where(capabilities.c.subscription_id.in_(ids))
    for label in tx.execute(query.order_by(capabilities.c.name)):
        labels.setdefault((label.subscription_id, label.region), []).append(label.name)
    return tuple(
        SubscriptionRegion(
            row.locator,
            row.name,
            row.organization,
            row.region,
            tuple(labels.get((row.subscription_id, row.region), ())),
            row.used,
            row.key_quota,
        )
        for row in rows
    )
