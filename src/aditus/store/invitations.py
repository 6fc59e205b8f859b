"""Invitations to an organisation: good for one acceptance, within their time."""

from sqlalchemy import and_, delete, insert, select, update

from aditus.domain.model import Role
from aditus.domain.people import Invitation
from aditus.store.database import Transaction
from aditus.store.schema import invitations, subscriptions


def add(
    tx: Transaction,
    invitation: Invitation,
    secret_hash: bytes,
    organization_id: str,
    subscription_id: str | None,
) -> None:
    """Store an invitation and its secret's hash."""
    tx.execute(
        insert(invitations).values(
            invitation_id=invitation.invitation_id,
            secret_hash=secret_hash,
            organization_id=organization_id,
            email=invitation.email,
            role=invitation.role.value,
            subscription_id=subscription_id,
            created_at=invitation.created_at,
            created_by=invitation.created_by,
            expires_at=invitation.expires_at,
        )
    )


def of_organization(tx: Transaction, organization_id: str, now: float) -> tuple[Invitation, ...]:
    """The open invitations of an organisation, oldest first."""
    rows = tx.execute(
        select(invitations, subscriptions.c.locator)
        .outerjoin(subscriptions, subscriptions.c.subscription_id == invitations.c.subscription_id)
        .where(
            invitations.c.organization_id == organization_id,
            invitations.c.accepted_at.is_(None),
            invitations.c.expires_at > now,
        )
        .order_by(invitations.c.created_at, invitations.c.invitation_id)
    )
    return tuple(
        Invitation(
            row.invitation_id,
            row.email,
            Role(row.role),
            row.created_at,
            row.created_by,
            row.expires_at,
            row.locator or "",
        )
        for row in rows
    )


def accept(tx: Transaction, secret_hash: bytes, now: float) -> tuple[str, str, str, Role, str | None] | None:
    """Use an open invitation up: its id, organization_id, email, role and subscription_id.

    None: it is none, or used, or over. Of two that come at once, one gets it.
    """
    open_now = and_(
        invitations.c.secret_hash == secret_hash,
        invitations.c.accepted_at.is_(None),
        invitations.c.expires_at > now,
    )
    row = tx.execute(
        update(invitations)
        .where(open_now)
        .values(accepted_at=now)
        .returning(
            invitations.c.invitation_id,
            invitations.c.organization_id,
            invitations.c.email,
            invitations.c.role,
            invitations.c.subscription_id,
        )
    ).one_or_none()
    if row is None:
        return None
    return row.invitation_id, row.organization_id, row.email, Role(row.role), row.subscription_id


def remove(tx: Transaction, organization_id: str, invitation_id: str) -> str | None:
    """Take an open invitation back; the address that it was for, or None where there is none such."""
    return tx.execute(
        delete(invitations)
        .where(
            invitations.c.organization_id == organization_id,
            invitations.c.invitation_id == invitation_id,
            invitations.c.accepted_at.is_(None),
        )
        .returning(invitations.c.email)
    ).scalar_one_or_none()


def is_open(tx: Transaction, secret_hash: bytes, now: float) -> bool:
    """Whether `accept` would find this invitation now."""
    query = select(invitations.c.invitation_id).where(
        invitations.c.secret_hash == secret_hash,
        invitations.c.accepted_at.is_(None),
        invitations.c.expires_at > now,
    )
    return tx.execute(query).first() is not None
