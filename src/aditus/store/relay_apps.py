"""What relays know of apps: their associations and credentials, and which changed since an epoch of a region.

Of an app that never had a credential no relay knows, and nothing is kept here.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Subquery, and_, or_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from aditus.domain.relays import RelayApp, RelayCredential
from aditus.store.app_credentials import REMEMBERED, rank
from aditus.store.database import Transaction
from aditus.store.keys import REMEMBERED_SECONDS
from aditus.store.schema import (
    access_keys,
    app_changes,
    app_credentials,
    apps,
    associations,
    subscription_regions,
)

REMEMBERED_CREDENTIALS = 10_000  # revoked ones of a region, the newest; bounds a relay's memory


def is_known(tx: Transaction, app_id: str) -> bool:
    """Whether an app has, or ever had, a credential."""
    query = select(app_credentials.c.credential_id).where(app_credentials.c.app_id == app_id).limit(1)
    return tx.execute(query).first() is not None


def changed(tx: Transaction, region: str, app_ids: Iterable[str], epoch: int) -> None:
    """Note that these apps changed in this epoch of a region, which is locked."""
    rows = [{"region": region, "app_id": app_id, "epoch": epoch} for app_id in app_ids]
    if rows:
        build = sqlite_insert if tx.dialect.name == "sqlite" else postgresql_insert
        statement = build(app_changes)
        tx.execute(
            statement.on_conflict_do_update(
                index_elements=[app_changes.c.region, app_changes.c.app_id],
                set_={"epoch": statement.excluded.epoch},
            ),
            rows,
        )


def of_subscription(tx: Transaction, subscription_id: str) -> tuple[str, ...]:
    """The app_ids of a subscription that have, or had, a credential."""
    query = (
        select(app_credentials.c.app_id)
        .where(app_credentials.c.subscription_id == subscription_id)
        .distinct()
        .order_by(app_credentials.c.app_id)
    )
    return tuple(tx.execute(query).scalars())


def relay_apps(tx: Transaction, app_ids: Sequence[str], now: float) -> tuple[RelayApp, ...]:
    """What relays know of these apps, deleted ones too."""
    return _of(tx, app_credentials.c.app_id.in_(app_ids), now)


def changed_since(tx: Transaction, region: str, since: int, now: float) -> tuple[RelayApp, ...]:
    """All apps that changed after this epoch of a region, deleted ones included however long ago."""
    after = select(app_changes.c.app_id).where(app_changes.c.region == region, app_changes.c.epoch > since)
    return _of(tx, app_credentials.c.app_id.in_(after), now)


def worth_knowing(tx: Transaction, region: str, now: float) -> tuple[RelayApp, ...]:
    """The apps that may use a region and have an unrevoked credential, or one that is remembered."""
    here = app_credentials.c.subscription_id.in_(
        select(subscription_regions.c.subscription_id).where(subscription_regions.c.region == region)
    )
    dead = _remembered(here, now)
    newest = (
        select(dead.c.credential_id)
        .where(dead.c.rank <= REMEMBERED)
        .order_by(dead.c.revoked_at.desc(), dead.c.credential_id)
        .limit(REMEMBERED_CREDENTIALS)
    )
    told = and_(here, or_(_ALIVE, app_credentials.c.credential_id.in_(newest)))
    return _relay_apps(tx, told, told)


_ALIVE = app_credentials.c.revoked_at.is_(None)


def _of(tx: Transaction, which: ColumnElement[bool], now: float) -> tuple[RelayApp, ...]:
    """All apps of these credentials, with those of them that relays are told: a relay forgets the others."""
    dead = _remembered(which, now)
    newest = select(dead.c.credential_id).where(dead.c.rank <= REMEMBERED)
    return _relay_apps(tx, which, and_(which, or_(_ALIVE, app_credentials.c.credential_id.in_(newest))))


def _remembered(which: ColumnElement[bool], now: float) -> Subquery:
    dead = app_credentials.c.revoked_at > now - REMEMBERED_SECONDS
    query = select(app_credentials.c.credential_id, app_credentials.c.revoked_at, rank).where(which, dead)
    return query.subquery()


def _relay_apps(
    tx: Transaction, which: ColumnElement[bool], told: ColumnElement[bool]
) -> tuple[RelayApp, ...]:
    """The apps of the credentials `which`, with those credentials that are `told`; the last revoked last."""
    ids = (
        select(app_credentials.c.app_id, app_credentials.c.subscription_id).where(which).distinct().subquery()
    )
    rows = tx.execute(
        select(ids.c.app_id, ids.c.subscription_id, apps.c.name, associations.c.key_id, access_keys.c.region)
        .outerjoin(apps, apps.c.app_id == ids.c.app_id)
        .outerjoin(associations, associations.c.app_id == ids.c.app_id)
        .outerjoin(access_keys, access_keys.c.key_id == associations.c.key_id)
        .select_from(ids)
        .order_by(ids.c.app_id)
    ).all()
    if not rows:
        return ()
    credentials: dict[str, list[RelayCredential]] = defaultdict(list)
    revoked_at: dict[str, float] = {}
    for row in tx.execute(
        select(app_credentials)
        .where(told)
        .order_by(app_credentials.c.app_id, app_credentials.c.created_at, app_credentials.c.credential_id)
    ):
        credentials[row.app_id].append(
            RelayCredential(row.credential_id, bytes(row.public_key), row.revoked_at is not None)
        )
        revoked_at[row.app_id] = max(revoked_at.get(row.app_id, 0.0), row.revoked_at or 0.0)
    return tuple(
        RelayApp(
            app_id=row.app_id,
            name=row.name or "",
            subscription_id=row.subscription_id,
            key_id=row.key_id or "",
            region=row.region or "",
            credentials=tuple(credentials[row.app_id]),
        )
        for row in sorted(rows, key=lambda row: revoked_at.get(row.app_id, 0.0))
    )
