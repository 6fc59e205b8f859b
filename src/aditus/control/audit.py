"""Who did what to what: written in the transaction of the deed, so that neither is without the other."""

from collections.abc import Mapping

from aditus.domain.model import AuditEvent, Caller, Role, Subscription
from aditus.store import events
from aditus.store.database import Transaction


def system(organization_id: str) -> Caller:
    """Who acts when time or a relay does, and no person."""
    return Caller("aditus", "aditus", organization_id, Role.OWNER)


def relay(organization_id: str, region: str) -> Caller:
    """Who acts when the relays of a region refuse somebody."""
    return Caller("relay", f"relay of {region}", organization_id, Role.OWNER)


def operator(organization_id: str) -> Caller:
    """Who acts at the server's own machine, with `aditus admin`."""
    return Caller("operator", "operator", organization_id, Role.OWNER)


def record(
    tx: Transaction,
    caller: Caller,
    action: str,
    object_id: str,
    object_name: str,
    now: float,
    *,
    subscription: Subscription | None = None,
    region: str = "",
    details: Mapping[str, str | int | bool | None] | None = None,
) -> None:
    """Append what `caller` just did. Never a secret, and nobody's free text but names, in any argument."""
    event = AuditEvent(
        event_id=0,
        at=now,
        actor_id=caller.caller_id,
        actor=caller.name,
        action=action,
        object_id=object_id,
        object_name=object_name,
        region=region,
        details=dict(details or {}),
    )
    events.add(tx, caller.organization_id, subscription.subscription_id if subscription else None, event)
