"""Access keys in SQL. A key's state `expired` follows from its `expires_at` and `now` (Unix seconds)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_network
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from aditus.domain.connect_url import parse_relay_url
from aditus.domain.model import AccessKey, KeyState, Rotation
from aditus.domain.policy import WARNING_DAYS, expiry_warning
from aditus.domain.relays import KeyUse, RelayKey, RelaySecret
from aditus.store.database import Transaction
from aditus.store.schema import access_keys, apps, associations, key_secrets, regions, unrevoked

REMEMBERED_SECONDS = 30 * 86_400.0
"""How long relays remember a dead key, to tell its agents `revoked` rather than "unknown"."""
WARNED_AT_ONCE = 500
REMEMBERED_KEYS = 10_000  # of a region, the newest; bounds a relay's memory


class Sort(StrEnum):
    """By what keys are put in order."""

    NAME = "id"
    CAPABILITY = "capability"
    STATE = "state"
    CREATED = "created"
    USED = "used"
    EXPIRES = "expires"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which keys of a region, and in what order: all of it must be so; what is empty is not asked."""

    text: str = ""  # in the access_key_id or the description, in capital letters or not
    state: KeyState | None = None  # None: every key that is not revoked
    capability: str = ""
    sort: Sort = Sort.CREATED
    descending: bool = True


def find(
    tx: Transaction, subscription_id: str, region: str, access_key_id: str, now: float
) -> AccessKey | None:
    """The unrevoked key of this name, else the newest revoked one."""
    return find_many(tx, subscription_id, region, [access_key_id], now).get(access_key_id)


def find_many(
    tx: Transaction, subscription_id: str, region: str, access_key_ids: Sequence[str], now: float
) -> dict[str, AccessKey]:
    """As `find`, for at most some hundred names; by name."""
    place = and_(
        access_keys.c.subscription_id == subscription_id,
        access_keys.c.region == region,
        access_keys.c.access_key_id.in_(access_key_ids),
    )
    return {key.access_key_id: key for key in _newest(tx, place, now)}


def find_in_any_region(
    tx: Transaction, subscription_id: str, access_key_id: str, now: float
) -> tuple[AccessKey, ...]:
    """As `find`, in each region that has such a key, by region."""
    place = and_(
        access_keys.c.subscription_id == subscription_id, access_keys.c.access_key_id == access_key_id
    )
    return _newest(tx, place, now)


def page(
    tx: Transaction,
    subscription_id: str,
    region: str,
    now: float,
    *,
    state: KeyState | None,
    after: tuple[float, str] | None,
    limit: int,
) -> tuple[AccessKey, ...]:
    """Keys in order of (created_at, key_id), from behind `after`."""
    query = _select(now).where(
        access_keys.c.subscription_id == subscription_id, access_keys.c.region == region
    )
    if state is not None:
        query = query.where(_state(now) == state.value)
    if after is not None:
        query = query.where(tuple_(access_keys.c.created_at, access_keys.c.key_id) > tuple_(*after))
    query = query.order_by(access_keys.c.created_at, access_keys.c.key_id).limit(limit)
    return _keys(tx, query, now)


def search(
    tx: Transaction, subscription_id: str, region: str, wanted: Wanted, now: float, *, offset: int, limit: int
) -> tuple[int, tuple[AccessKey, ...]]:
    """How many keys are wanted, and those from the `offset`-th on. Of equals the oldest comes first."""
    conditions = [access_keys.c.subscription_id == subscription_id, access_keys.c.region == region]
    if wanted.state is None:
        conditions.append(unrevoked)
    else:
        conditions.append(_state(now) == wanted.state.value)
    if wanted.capability:
        conditions.append(access_keys.c.capability == wanted.capability)
    if wanted.text:
        text = wanted.text.lower()
        conditions.append(
            or_(
                func.lower(access_keys.c.access_key_id).contains(text, autoescape=True),
                func.lower(access_keys.c.description).contains(text, autoescape=True),
            )
        )
    total = tx.execute(select(func.count()).select_from(access_keys).where(*conditions)).scalar_one()
    by = _sorted_by(wanted.sort, now)
    order = (by.desc() if wanted.descending else by.asc()).nulls_last()
    query = (
        _select(now)
        .where(*conditions)
        .order_by(order, access_keys.c.created_at, access_keys.c.key_id)
        .offset(offset)
        .limit(limit)
    )
    return total, _keys(tx, query, now)


def by_id(tx: Transaction, key_ids: Iterable[str], now: float) -> dict[str, AccessKey]:
    """Keys by their key_id."""
    found = _keys(tx, _select(now).where(access_keys.c.key_id.in_(list(key_ids))), now)
    return {key.key_id: key for key in found}


def add(tx: Transaction, key: AccessKey, connect_id: str, public_key: bytes, epoch: int) -> None:
    """Store a new active key; its `connect_url` and `relay_url` are not stored but follow from the region."""
    tx.execute(
        insert(access_keys).values(
            key_id=key.key_id,
            access_key_id=key.access_key_id,
            subscription_id=key.subscription_id,
            region=key.region,
            capability=key.capability,
            description=key.description,
            state=KeyState.ACTIVE.value,
            connect_id=connect_id,
            epoch=epoch,
            created_at=key.created_at,
            created_by=key.created_by,
            expires_at=key.expires_at,
            revoked_by="",
            allowed_ports=None if key.allowed_ports is None else list(key.allowed_ports),
            allowed_sources=None if key.allowed_sources is None else list(key.allowed_sources),
        )
    )
    tx.execute(
        insert(key_secrets).values(key_id=key.key_id, public_key=public_key, created_at=key.created_at)
    )


def change(tx: Transaction, key_id: str, epoch: int, values: Mapping[str, Any]) -> None:
    """Change columns of an unrevoked key: what an administrator may, `state` being active or suspended."""
    tx.execute(update(access_keys).where(access_keys.c.key_id == key_id).values(**values, epoch=epoch))


def revoke(tx: Transaction, key_ids: Sequence[str], epoch: int, now: float, by: str) -> None:
    """Make keys dead for good, and their Connect URLs unknown."""
    rows = [{"dying": key_id} for key_id in sorted(key_ids)]  # as `used` takes them: neither waits in turn
    if rows:
        tx.execute(
            update(access_keys)
            .where(access_keys.c.key_id == bindparam("dying"), unrevoked)
            .values(
                state=KeyState.REVOKED.value, connect_id=None, epoch=epoch, revoked_at=now, revoked_by=by
            ),
            rows,
        )


def used(tx: Transaction, uses: Iterable[KeyUse]) -> None:
    """Note when, from where and by what keys were last used; raises no epoch."""
    rows = [
        {
            "used_key_id": use.key_id,
            "at": use.at,
            "source": use.source,
            "instance": use.instance,
            "version": use.version,
        }
        for use in sorted(uses, key=lambda use: (use.key_id, use.at))  # in the order of `revoke`
    ]
    if rows:
        tx.execute(
            update(access_keys)
            .where(
                access_keys.c.key_id == bindparam("used_key_id"),
                func.coalesce(access_keys.c.last_used_at, 0.0) <= bindparam("at"),
            )
            .values(
                last_used_at=bindparam("at"),
                last_used_from=bindparam("source"),
                last_used_instance=bindparam("instance"),
                last_used_version=bindparam("version"),
            ),
            rows,
        )


def to_warn(tx: Transaction, now: float) -> tuple[tuple[str, int], ...]:
    """Keys that come nearer to their end than was told of them: (key_id, 14, 7, 1 or, expired, 0)."""
    rows = tx.execute(
        select(access_keys.c.key_id, access_keys.c.expires_at, access_keys.c.warned_days)
        .where(unrevoked, access_keys.c.expires_at <= now + max(WARNING_DAYS) * 86_400.0)
        .order_by(access_keys.c.expires_at)
        .limit(WARNED_AT_ONCE)
        .where(or_(access_keys.c.warned_days.is_(None), access_keys.c.warned_days > _days_left(now)))
    )
    return tuple((row.key_id, expiry_warning(row.expires_at, now) or 0) for row in rows)


def warned(tx: Transaction, key_id: str, days: int) -> bool:
    """Note that it was told that a key expires within so many days. False: somebody did so before."""
    told = tx.execute(
        update(access_keys)
        .where(
            access_keys.c.key_id == key_id,
            or_(access_keys.c.warned_days.is_(None), access_keys.c.warned_days > days),
        )
        .values(warned_days=days),
        execution_options={"preserve_rowcount": True},
    )
    return told.rowcount == 1


def relay_keys(tx: Transaction, key_ids: Sequence[str]) -> tuple[RelayKey, ...]:
    """What relays know of these keys, in the order given."""
    found = {key.key_id: key for key in _relay_keys(tx, access_keys.c.key_id.in_(key_ids))}
    return tuple(found[key_id] for key_id in key_ids)


def changed_since(tx: Transaction, region: str, since: int) -> tuple[RelayKey, ...]:
    """All keys of a region that changed after this epoch, dead ones included however old."""
    return _relay_keys(tx, and_(access_keys.c.region == region, access_keys.c.epoch > since))


def worth_knowing(tx: Transaction, region: str, now: float) -> tuple[RelayKey, ...]:
    """The unrevoked keys of a region, and of the dead ones the newest, as long as they are remembered."""
    dead = (
        select(access_keys.c.key_id)
        .where(access_keys.c.region == region, access_keys.c.revoked_at > now - REMEMBERED_SECONDS)
        .order_by(access_keys.c.revoked_at.desc(), access_keys.c.key_id)
        .limit(REMEMBERED_KEYS)
    )
    return _relay_keys(
        tx, and_(access_keys.c.region == region, or_(unrevoked, access_keys.c.key_id.in_(dead)))
    )


def _state(now: float) -> ColumnElement[str]:
    """What cannot be undone comes first, as in `policy.key_verdict`."""
    return case(
        (~unrevoked, KeyState.REVOKED.value),
        (access_keys.c.expires_at <= now, KeyState.EXPIRED.value),
        else_=access_keys.c.state,
    )


def _sorted_by(sort: Sort, now: float) -> ColumnElement[Any]:
    if sort is Sort.STATE:
        return _state(now)
    columns: dict[Sort, ColumnElement[Any]] = {
        Sort.NAME: func.lower(access_keys.c.access_key_id),
        Sort.CAPABILITY: access_keys.c.capability,
        Sort.CREATED: access_keys.c.created_at,
        Sort.USED: access_keys.c.last_used_at,
        Sort.EXPIRES: access_keys.c.expires_at,
    }
    return columns[sort]


def _days_left(now: float) -> ColumnElement[int]:
    """As `policy.expiry_warning`, 0 for what has expired."""
    nearest = [(access_keys.c.expires_at - now <= days * 86_400.0, days) for days in WARNING_DAYS]
    return case((access_keys.c.expires_at <= now, 0), *nearest, else_=max(WARNING_DAYS) + 1)


def _select(now: float) -> Select[tuple[object, ...]]:
    return select(access_keys, _state(now).label("state_now"), regions.c.relay_url).join(
        regions, regions.c.name == access_keys.c.region
    )


def _newest(tx: Transaction, which: ColumnElement[bool], now: float) -> tuple[AccessKey, ...]:
    """Of each name in each region the unrevoked key, else the one revoked last; by region and name."""
    rank = (
        func.row_number()
        .over(
            partition_by=(access_keys.c.region, access_keys.c.access_key_id),
            order_by=(
                case((unrevoked, 0), else_=1),
                access_keys.c.revoked_at.desc(),
                access_keys.c.created_at.desc(),
                access_keys.c.key_id,
            ),
        )
        .label("rank")
    )
    ranked = select(access_keys.c.key_id, rank).where(which).subquery()
    newest = select(ranked.c.key_id).where(ranked.c.rank == 1)
    query = _select(now).where(access_keys.c.key_id.in_(newest))
    return _keys(tx, query.order_by(access_keys.c.region, access_keys.c.access_key_id), now)


def _keys(tx: Transaction, query: Select[tuple[object, ...]], now: float) -> tuple[AccessKey, ...]:
    rows = tx.execute(query).all()
    rotations = _rotations(tx, [row.key_id for row in rows], now)
    names: dict[str, list[str]] = defaultdict(list)
    for app in tx.execute(
        select(associations.c.key_id, apps.c.name)
        .join(apps, apps.c.app_id == associations.c.app_id)
        .where(associations.c.key_id.in_([row.key_id for row in rows]))
        .order_by(apps.c.name)
    ):
        names[app.key_id].append(app.name)
    return tuple(_key(row, tuple(names[row.key_id]), rotations.get(row.key_id), now) for row in rows)


def _rotations(tx: Transaction, key_ids: Sequence[str], now: float) -> dict[str, Rotation]:
    live = or_(key_secrets.c.ends_at.is_(None), key_secrets.c.ends_at > now)
    rows = tx.execute(
        select(key_secrets)
        .where(key_secrets.c.key_id.in_(key_ids), live)
        .order_by(key_secrets.c.key_id, key_secrets.c.created_at)
    ).all()
    newest = {row.key_id: row.created_at for row in rows}
    return {
        row.key_id: Rotation(newest[row.key_id], row.grace, row.ends_at)
        for row in rows
        if row.grace is not None
    }


def _key(
    row: Row[tuple[object, ...]], app_names: tuple[str, ...], rotation: Rotation | None, now: float
) -> AccessKey:
    state = KeyState(row.state_now)
    connect_url = str(parse_relay_url(row.relay_url).connect(row.connect_id)) if row.connect_id else ""
    return AccessKey(
        key_id=row.key_id,
        access_key_id=row.access_key_id,
        subscription_id=row.subscription_id,
        region=row.region,
        capability=row.capability,
        description=row.description,
        state=state,
        connect_url=connect_url,
        relay_url=row.relay_url,
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
        apps=app_names,
        allowed_ports=None if row.allowed_ports is None else tuple(row.allowed_ports),
        allowed_sources=None if row.allowed_sources is None else tuple(row.allowed_sources),
        last_used_at=row.last_used_at,
        last_used_from=row.last_used_from or "",
        last_used_instance=row.last_used_instance or "",
        last_used_version=row.last_used_version or "",
        expiry_warning=None if state is KeyState.REVOKED else expiry_warning(row.expires_at, now),
        rotation=None if state is KeyState.REVOKED else rotation,
        epoch=row.epoch,
    )


def count_expiring(tx: Transaction, now: float, seconds: float) -> int:
    """How many unrevoked keys, of all, expire within so many seconds and have not yet."""
    query = (
        select(func.count())
        .select_from(access_keys)
        .where(unrevoked, access_keys.c.expires_at > now, access_keys.c.expires_at <= now + seconds)
    )
    return tx.execute(query).scalar_one()


def _relay_keys(tx: Transaction, which: ColumnElement[bool]) -> tuple[RelayKey, ...]:
    rows = tx.execute(
        select(access_keys, key_secrets.c.public_key, key_secrets.c.ends_at)
        .join(key_secrets, key_secrets.c.key_id == access_keys.c.key_id)
        .where(which)
        .order_by(
            access_keys.c.epoch,
            access_keys.c.key_id,
            key_secrets.c.created_at,
            case((key_secrets.c.grace.is_(None), 1), else_=0),  # the newest has none
            key_secrets.c.ends_at,
        )
    )
    found: dict[str, list[Row[tuple[object, ...]]]] = defaultdict(list)
    for row in rows:
        found[row.key_id].append(row)
    return tuple(
        RelayKey(
            key_id=key_id,
            access_key_id=same[0].access_key_id,
            subscription_id=same[0].subscription_id,
            region=same[0].region,
            state=KeyState(same[0].state),
            secrets=tuple(RelaySecret(bytes(row.public_key), row.ends_at) for row in same),
            connect_id=same[0].connect_id or "",
            expires_at=same[0].expires_at,
            allowed_ports=None if same[0].allowed_ports is None else frozenset(same[0].allowed_ports),
            allowed_sources=None
            if same[0].allowed_sources is None
            else tuple(map(ip_network, same[0].allowed_sources)),
        )
        for key_id, same in found.items()
    )
