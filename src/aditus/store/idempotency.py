"""Which Idempotency-Key made which object. Kept for a day, longer than anybody retries one request."""

from sqlalchemy import delete, select, tuple_

from aditus.store.database import Transaction, insert_if_absent
from aditus.store.schema import idempotency_keys

KEPT_SECONDS = 86_400.0


def claim(tx: Transaction, caller_id: str, key: str, object_id: str, now: float) -> str | None:
    """Note that this key of this caller makes `object_id`. If it was used before: what it made then."""
    columns = (idempotency_keys.c.caller_id, idempotency_keys.c.idempotency_key)
    old = select(*columns).where(idempotency_keys.c.created_at < now - KEPT_SECONDS)
    # What another transaction is removing is passed over: who claims has other locks, and would wait in turn.
    tx.execute(delete(idempotency_keys).where(tuple_(*columns).in_(old.with_for_update(skip_locked=True))))
    if insert_if_absent(
        tx, idempotency_keys, caller_id=caller_id, idempotency_key=key, object_id=object_id, created_at=now
    ):
        return None
    query = select(idempotency_keys.c.object_id).where(
        idempotency_keys.c.caller_id == caller_id, idempotency_keys.c.idempotency_key == key
    )
    made_before: str = tx.execute(query).scalar_one()
    return made_before
