"""Apps and their associations in SQL."""

from sqlalchemy import Select, case, delete, insert, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from aditus.domain.model import App
from aditus.store import keys
from aditus.store.database import Transaction, insert_if_absent
from aditus.store.schema import apps, associations


def find(tx: Transaction, subscription_id: str, app: str, now: float, *, lock: bool = False) -> App | None:
    """The app with this app_id, else the one with this name; with `lock` nobody else changes it meanwhile."""
    query = (
        select(apps.c.app_id)
        .where(apps.c.subscription_id == subscription_id, or_(apps.c.app_id == app, apps.c.name == app))
        .order_by(case((apps.c.app_id == app, 0), else_=1))
        .limit(1)
    )
    app_id = tx.execute(query.with_for_update() if lock else query).scalar_one_or_none()
    found = _apps(tx, _select(subscription_id).where(apps.c.app_id == app_id), now)
    return found[0] if found else None


def page(
    tx: Transaction, subscription_id: str, now: float, *, after: tuple[float, str] | None, limit: int
) -> tuple[App, ...]:
    """Apps in order of (created_at, app_id), from behind `after`."""
    query = _select(subscription_id)
    if after is not None:
        query = query.where(tuple_(apps.c.created_at, apps.c.app_id) > tuple_(*after))
    return _apps(tx, query.order_by(apps.c.created_at, apps.c.app_id).limit(limit), now)


def add(tx: Transaction, app: App) -> bool:
    """Store a new app, without its association. False: there is one of this name in the subscription."""
    return insert_if_absent(
        tx,
        apps,
        app_id=app.app_id,
        subscription_id=app.subscription_id,
        name=app.name,
        capability=app.capability,
        created_at=app.created_at,
    )


def rename(tx: Transaction, app_id: str, name: str) -> bool:
    """Give an app, which is locked, another name. False: there is one of this name in the subscription."""
    try:
        with tx.begin_nested():
            tx.execute(update(apps).where(apps.c.app_id == app_id).values(name=name))
    except IntegrityError:
        return False
    return True


def remove(tx: Transaction, app_id: str) -> None:
    """Forget an app and its association."""
    dissociate(tx, app_id)
    tx.execute(delete(apps).where(apps.c.app_id == app_id))


def associate(tx: Transaction, app_id: str, key_id: str, now: float) -> None:
    """Give an app, which is locked, its one key, in place of the one it had."""
    dissociate(tx, app_id)
    tx.execute(insert(associations).values(app_id=app_id, key_id=key_id, created_at=now))


def dissociate(tx: Transaction, app_id: str) -> None:
    """Take an app's key away, if it has one."""
    tx.execute(delete(associations).where(associations.c.app_id == app_id))


def _select(subscription_id: str) -> Select[tuple[object, ...]]:
    return (
        select(apps, associations.c.key_id)
        .outerjoin(associations, associations.c.app_id == apps.c.app_id)
        .where(apps.c.subscription_id == subscription_id)
    )


def _apps(tx: Transaction, query: Select[tuple[object, ...]], now: float) -> tuple[App, ...]:
    rows = tx.execute(query).all()
    found = keys.by_id(tx, [row.key_id for row in rows if row.key_id], now)
    return tuple(
        App(
            app_id=row.app_id,
            name=row.name,
            subscription_id=row.subscription_id,
            capability=row.capability,
            created_at=row.created_at,
            key_id=row.key_id or "",
            access_key_id=found[row.key_id].access_key_id if row.key_id else "",
            region=found[row.key_id].region if row.key_id else "",
            key_state=found[row.key_id].state if row.key_id else None,
        )
        for row in rows
    )
