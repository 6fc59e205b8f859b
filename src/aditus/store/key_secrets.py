"""The secrets of keys, as public keys: which are live, which were replaced, and when the first use was."""

from collections.abc import Sequence

from sqlalchemy import and_, delete, or_, select, update

from aditus.domain.relays import KeyUse
from aditus.store.database import Transaction, insert_if_absent
from aditus.store.schema import key_secrets

REMEMBERED_SECONDS = 30 * 86_400.0
"""How long a replaced secret is told `replaced`, rather than that nobody knows it."""
REMEMBERED = 8
"""Replaced secrets of a key that are remembered: a relay may have to check one more signature for each."""
CHUNK = 500


def add(
    tx: Transaction, key_id: str, public_key: bytes, grace: float, now: float, *, ends_at: float | None
) -> bool:
    """Store a second secret of a key, which is locked; the live ones before it get this grace, or end.

    False: the key has, or had, this secret already.
    """
    if not insert_if_absent(tx, key_secrets, key_id=key_id, public_key=public_key, created_at=now):
        return False
    of_key = key_secrets.c.key_id == key_id
    others = and_(of_key, key_secrets.c.public_key != public_key)
    live = or_(key_secrets.c.ends_at.is_(None), key_secrets.c.ends_at > now)
    tx.execute(update(key_secrets).where(others, live).values(grace=grace, ends_at=ends_at))
    kept = tx.execute(
        select(key_secrets.c.public_key)
        .where(others, key_secrets.c.ends_at <= now, key_secrets.c.ends_at > now - REMEMBERED_SECONDS)
        .order_by(key_secrets.c.ends_at.desc(), key_secrets.c.created_at.desc())
        .limit(REMEMBERED)
    ).scalars()
    forgotten = and_(others, key_secrets.c.ends_at <= now, key_secrets.c.public_key.not_in(list(kept)))
    tx.execute(delete(key_secrets).where(forgotten))
    return True


def unused(tx: Transaction, uses: Sequence[KeyUse]) -> tuple[KeyUse, ...]:
    """Those of these uses that are the first of their secret."""
    key_ids = sorted({use.key_id for use in uses})
    found: set[tuple[str, bytes]] = set()
    for start in range(0, len(key_ids), CHUNK):
        rows = tx.execute(
            select(key_secrets.c.key_id, key_secrets.c.public_key).where(
                key_secrets.c.key_id.in_(key_ids[start : start + CHUNK]),
                key_secrets.c.first_used_at.is_(None),
            )
        )
        found |= {(row.key_id, bytes(row.public_key)) for row in rows}
    return tuple(use for use in uses if (use.key_id, use.public_key) in found)


def first_use(tx: Transaction, key_id: str, public_key: bytes, at: float) -> float | None:
    """Note the first use of a secret. If that starts the grace of an older one: when this will end."""
    secret = and_(key_secrets.c.key_id == key_id, key_secrets.c.public_key == public_key)
    is_newest = tx.execute(select(key_secrets.c.grace).where(secret)).scalar_one() is None
    tx.execute(update(key_secrets).where(secret).values(first_used_at=at))
    replaced = and_(
        key_secrets.c.key_id == key_id, key_secrets.c.grace.is_not(None), key_secrets.c.ends_at.is_(None)
    )
    grace: float | None = tx.execute(select(key_secrets.c.grace).where(replaced)).scalar()
    if not is_newest or grace is None:
        return None
    tx.execute(update(key_secrets).where(replaced).values(ends_at=at + grace))
    return at + grace
