"""The audit events: appended, listed, never changed."""

from dataclasses import dataclass

from sqlalchemy import func, or_, select

from aditus.domain.model import AuditEvent
from aditus.store import audit_chain
from aditus.store.database import Transaction
from aditus.store.schema import audit_events


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: all of it must be so; what is empty is not asked."""

    text: str = ""  # in the actor, the action or the name of the object, in capital letters or not
    object_id: str = ""


EVERY = Wanted()


def add(tx: Transaction, organization_id: str, subscription_id: str | None, audit_event: AuditEvent) -> None:
    """Append an event at the end of the transaction; its `event_id` is not used but given then."""
    audit_chain.later(
        tx,
        {
            "at": audit_event.at,
            "organization_id": organization_id,
            "subscription_id": subscription_id,
            "region": audit_event.region,
            "actor_id": audit_event.actor_id,
            "actor": audit_event.actor,
            "action": audit_event.action,
            "object_id": audit_event.object_id,
            "object_name": audit_event.object_name,
            "details": audit_event.details,
        },
    )


def page(
    tx: Transaction,
    organization_id: str,
    subscription_id: str,
    *,
    organization_wide: bool,
    wanted: Wanted = EVERY,
    before: int | None,
    limit: int,
) -> tuple[AuditEvent, ...]:
    """Events of a subscription, newest first, from before event_id `before`.

    `organization_wide`: also those that concern no single subscription.
    """
    concerns = audit_events.c.subscription_id == subscription_id
    if organization_wide:
        concerns = or_(concerns, audit_events.c.subscription_id.is_(None))
    query = select(audit_events).where(audit_events.c.organization_id == organization_id, concerns)
    if before is not None:
        query = query.where(audit_events.c.event_id < before)
    if wanted.object_id:
        query = query.where(audit_events.c.object_id == wanted.object_id)
    if wanted.text:
        searched = (audit_events.c.actor, audit_events.c.action, audit_events.c.object_name)
        text = wanted.text.lower()
        query = query.where(or_(*(func.lower(column).contains(text, autoescape=True) for column in searched)))
    rows = tx.execute(query.order_by(audit_events.c.event_id.desc()).limit(limit))
    return tuple(
        AuditEvent(
            row.event_id,
            row.at,
            row.actor_id,
            row.actor,
            row.action,
            row.object_id,
            row.object_name,
            row.region,
            row.details,
        )
        for row in rows
    )
