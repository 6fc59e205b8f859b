"""Users, their roles, and their API tokens."""

from dataclasses import dataclass

from sqlalchemy import Row, and_, insert, or_, select, update

from aditus.domain.model import ApiToken, Role
from aditus.store.database import Transaction, insert_if_absent
from aditus.store.schema import api_tokens, roles, subscriptions, users


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token as it is checked: its user's rights now, and how the token narrows them."""

    token_id: str
    name: str
    secret_hash: bytes
    role: Role
    subscription_id: str | None
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None
    user_id: str
    email: str
    organization_id: str
    user_role: Role
    team_admin_of: frozenset[str]  # of the user; subscription ids


def add_user(
    tx: Transaction,
    user_id: str,
    organization_id: str,
    email: str,
    password_hash: str,
    role: Role,
    now: float,
) -> bool:
    """Make a user of an organisation. False: there is one with this email address."""
    return insert_if_absent(
        tx,
        users,
        user_id=user_id,
        organization_id=organization_id,
        email=email,
        password_hash=password_hash,
        role=role.value,
        created_at=now,
    )


def add_token(
    tx: Transaction,
    token_id: str,
    user_id: str,
    name: str,
    secret_hash: bytes,
    role: Role,
    subscription_id: str | None,
    expires_at: float | None,
    now: float,
) -> None:
    """Store a token's hash."""
    tx.execute(
        insert(api_tokens).values(
            token_id=token_id,
            user_id=user_id,
            name=name,
            secret_hash=secret_hash,
            role=role.value,
            subscription_id=subscription_id,
            created_at=now,
            expires_at=expires_at,
        )
    )


def stored_token(tx: Transaction, token_id: str) -> StoredToken | None:
    """What is needed to check a token, whatever its state."""
    row = tx.execute(
        select(api_tokens, users.c.email, users.c.organization_id, users.c.role.label("user_role"))
        .join(users, users.c.user_id == api_tokens.c.user_id)
        .where(api_tokens.c.token_id == token_id)
    ).one_or_none()
    if row is None:
        return None
    team_admin_of = tx.execute(
        select(roles.c.subscription_id).where(
            roles.c.user_id == row.user_id, roles.c.role == Role.TEAM_ADMIN.value
        )
    ).scalars()
    return StoredToken(
        row.token_id,
        row.name,
        row.secret_hash,
        Role(row.role),
        row.subscription_id,
        row.expires_at,
        row.revoked_at,
        row.last_used_at,
        row.user_id,
        row.email,
        row.organization_id,
        Role(row.user_role),
        frozenset(team_admin_of),
    )


def token_used(tx: Transaction, token_id: str, now: float, before: float) -> None:
    """Note that a token was used, unless that was noted since `before`."""
    tx.execute(
        update(api_tokens)
        .where(
            api_tokens.c.token_id == token_id,
            or_(api_tokens.c.last_used_at.is_(None), api_tokens.c.last_used_at <= before),
        )
        .values(last_used_at=now)
    )


def user_of(tx: Transaction, caller_id: str) -> str | None:
    """The user_id behind a caller: the user's own, or that of the token that calls."""
    query = select(users.c.user_id).where(
        or_(
            users.c.user_id == caller_id,
            users.c.user_id.in_(select(api_tokens.c.user_id).where(api_tokens.c.token_id == caller_id)),
        )
    )
    return tx.execute(query).scalar_one_or_none()


def tokens_of(tx: Transaction, user_id: str) -> tuple[ApiToken, ...]:
    """The unrevoked tokens of a user, oldest first."""
    rows = tx.execute(
        select(api_tokens, users.c.email, subscriptions.c.locator)
        .join(users, users.c.user_id == api_tokens.c.user_id)
        .outerjoin(subscriptions, subscriptions.c.subscription_id == api_tokens.c.subscription_id)
        .where(and_(api_tokens.c.user_id == user_id, api_tokens.c.revoked_at.is_(None)))
        .order_by(api_tokens.c.created_at, api_tokens.c.token_id)
    )
    return tuple(_token(row) for row in rows)


def revoke_token(tx: Transaction, token_id: str, now: float) -> None:
    """From the next request on, the token is unknown."""
    tx.execute(update(api_tokens).where(api_tokens.c.token_id == token_id).values(revoked_at=now))


def _token(row: Row[tuple[object, ...]]) -> ApiToken:
    return ApiToken(
        row.token_id,
        row.name,
        Role(row.role),
        row.created_at,
        row.email,
        row.locator or "",
        row.expires_at,
        row.last_used_at,
    )
