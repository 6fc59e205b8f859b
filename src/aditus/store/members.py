"""Users as members of an organisation: listed, changed, removed. The last owner is guarded by a lock."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, insert, select, update

from aditus.domain.model import Role
from aditus.domain.people import Member
from aditus.store.database import Transaction
from aditus.store.schema import api_tokens, organizations, roles, sessions, subscriptions, users


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A user with the password's hash (Argon2id) and the ids of the administrated subscriptions."""

    user_id: str
    email: str
    organization_id: str
    role: Role
    password_hash: str
    team_admin_of: frozenset[str]


def by_email(tx: Transaction, email: str) -> StoredUser | None:
    """The user with this address, of whatever organisation."""
    return _user(tx, users.c.email == email)


def by_id(tx: Transaction, user_id: str) -> StoredUser | None:
    """The user with this id, of whatever organisation."""
    return _user(tx, users.c.user_id == user_id)


def lock(tx: Transaction, organization_id: str) -> None:
    """Let nobody else change members of the organisation until this transaction ends."""
    tx.execute(
        select(organizations.c.organization_id)
        .where(organizations.c.organization_id == organization_id)
        .with_for_update()
    )


def every(tx: Transaction, organization_id: str) -> tuple[Member, ...]:
    """The members of an organisation, oldest first."""
    rows = tx.execute(
        select(users)
        .where(users.c.organization_id == organization_id)
        .order_by(users.c.created_at, users.c.user_id)
    ).all()
    of = select(roles.c.user_id, subscriptions.c.locator).join(
        subscriptions, subscriptions.c.subscription_id == roles.c.subscription_id
    )
    administrated: dict[str, list[str]] = {row.user_id: [] for row in rows}
    for row in tx.execute(of.where(subscriptions.c.organization_id == organization_id)):
        administrated.setdefault(row.user_id, []).append(row.locator)
    return tuple(
        Member(
            row.user_id,
            row.email,
            Role(row.role),
            row.created_at,
            tuple(sorted(administrated[row.user_id])),
        )
        for row in rows
    )


def set_role(tx: Transaction, user_id: str, role: Role) -> None:
    """Change the role in the organisation. `lock` comes first."""
    tx.execute(update(users).where(users.c.user_id == user_id).values(role=role.value))


def set_team_admin_of(tx: Transaction, user_id: str, subscription_ids: Iterable[str]) -> None:
    """Make the user team administrator of these subscriptions and no others."""
    tx.execute(delete(roles).where(roles.c.user_id == user_id))
    for subscription_id in subscription_ids:
        tx.execute(
            insert(roles).values(user_id=user_id, subscription_id=subscription_id, role=Role.TEAM_ADMIN.value)
        )


def set_password(tx: Transaction, user_id: str, password_hash: str) -> None:
    """Store another password's hash."""
    tx.execute(update(users).where(users.c.user_id == user_id).values(password_hash=password_hash))


def remove(tx: Transaction, user_id: str) -> None:
    """Forget a user with all sessions, tokens and roles; what the audit says of the user stays."""
    for table in (sessions, api_tokens, roles, users):
        tx.execute(delete(table).where(table.c.user_id == user_id))


def _user(tx: Transaction, which: ColumnElement[bool]) -> StoredUser | None:
    row = tx.execute(select(users).where(which)).one_or_none()
    if row is None:
        return None
    administrated = tx.execute(
        select(roles.c.subscription_id).where(
            roles.c.user_id == row.user_id, roles.c.role == Role.TEAM_ADMIN.value
        )
    ).scalars()
    return StoredUser(
        row.user_id,
        row.email,
        row.organization_id,
        Role(row.role),
        row.password_hash,
        frozenset(administrated),
    )
