"""Credentials of apps in SQL: public keys, who made and revoked them, and when they were last used."""

from collections.abc import Iterable

from sqlalchemy import Row, and_, bindparam, func, or_, select, update

from aditus.domain.model import AppCredential
from aditus.domain.relays import CredentialUse
from aditus.store.database import Transaction, insert_if_absent
from aditus.store.schema import app_credentials

REMEMBERED = 100
"""Revoked credentials of one app that are listed and told to relays, the newest: bounds both."""

rank = (
    func.row_number()
    .over(
        partition_by=(app_credentials.c.app_id, app_credentials.c.revoked_at.is_(None)),
        order_by=(app_credentials.c.revoked_at.desc(), app_credentials.c.credential_id),
    )
    .label("rank")
)
"""The place of a credential among the revoked ones of its app, the newest being the first."""


def add(tx: Transaction, credential: AppCredential, subscription_id: str, public_key: bytes) -> bool:
    """Store a new credential of an app, which is locked. False: it has, or had, one with this public key."""
    return insert_if_absent(
        tx,
        app_credentials,
        credential_id=credential.credential_id,
        app_id=credential.app_id,
        subscription_id=subscription_id,
        public_key=public_key,
        created_at=credential.created_at,
        created_by=credential.created_by,
        revoked_by="",
    )


def find(tx: Transaction, app_id: str, credential_id: str) -> AppCredential | None:
    """This credential of an app, also a revoked one."""
    row = tx.execute(
        select(app_credentials).where(
            app_credentials.c.app_id == app_id, app_credentials.c.credential_id == credential_id
        )
    ).one_or_none()
    return None if row is None else _credential(row)


def of_app(tx: Transaction, app_id: str) -> tuple[AppCredential, ...]:
    """The unrevoked credentials of an app and the `REMEMBERED` that were revoked last; oldest first."""
    ranked = select(app_credentials, rank).where(app_credentials.c.app_id == app_id).subquery()
    rows = tx.execute(
        select(ranked)
        .where(or_(ranked.c.revoked_at.is_(None), ranked.c.rank <= REMEMBERED))
        .order_by(ranked.c.created_at, ranked.c.credential_id)
    )
    return tuple(map(_credential, rows))


def unrevoked(tx: Transaction, app_id: str) -> tuple[str, ...]:
    """The ids of an app's unrevoked credentials, oldest first."""
    query = (
        select(app_credentials.c.credential_id)
        .where(app_credentials.c.app_id == app_id, app_credentials.c.revoked_at.is_(None))
        .order_by(app_credentials.c.created_at, app_credentials.c.credential_id)
    )
    return tuple(tx.execute(query).scalars())


def revoke(tx: Transaction, credential_ids: Iterable[str], now: float, by: str) -> None:
    """Make credentials dead for good; those that are dead already stay as they are."""
    for credential_id in sorted(credential_ids):  # as `used` goes through them, so that neither waits in turn
        tx.execute(
            update(app_credentials)
            .where(app_credentials.c.credential_id == credential_id, app_credentials.c.revoked_at.is_(None))
            .values(revoked_at=now, revoked_by=by)
        )


def used(tx: Transaction, uses: Iterable[CredentialUse]) -> None:
    """Note when, from where and by what credentials were last used; that is no change of their apps."""
    rows = [
        {"used_id": use.credential_id, "at": use.at, "source": use.source, "version": use.version}
        for use in sorted(uses, key=lambda use: (use.credential_id, use.at))
    ]
    if rows:
        tx.execute(
            update(app_credentials)
            .where(
                and_(
                    app_credentials.c.credential_id == bindparam("used_id"),
                    func.coalesce(app_credentials.c.last_used_at, 0.0) <= bindparam("at"),
                )
            )
            .values(
                last_used_at=bindparam("at"),
                last_used_from=bindparam("source"),
                last_used_version=bindparam("version"),
            ),
            rows,
        )


def _credential(row: Row[tuple[object, ...]]) -> AppCredential:
    return AppCredential(
        credential_id=row.credential_id,
        app_id=row.app_id,
        created_at=row.created_at,
        created_by=row.created_by,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
        last_used_at=row.last_used_at,
        last_used_from=row.last_used_from or "",
        last_used_version=row.last_used_version or "",
    )
