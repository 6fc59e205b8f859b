"""Sessions of people. A session lives until it was idle, or has lasted, for too long; then it is no more."""

from sqlalchemy import ColumnElement, and_, delete, insert, select, update

from aditus.domain.people import SignedIn
from aditus.store.database import Transaction
from aditus.store.schema import sessions

IDLE_SECONDS = 30 * 60.0
LIFE_SECONDS = 8 * 3600.0
MAX_SESSIONS = 50  # of one user; beyond them, the one that was unused for longest ends


def add(
    tx: Transaction,
    session_id: str,
    secret_hash: bytes,
    user_id: str,
    source: str,
    user_agent: str,
    now: float,
) -> None:
    """Begin a session, and forget those that are over."""
    tx.execute(delete(sessions).where(~_lives(now)))
    spare = (
        select(sessions.c.session_id)
        .where(sessions.c.user_id == user_id)
        .order_by(sessions.c.seen_at.desc(), sessions.c.session_id)
    )
    crowd = list(tx.execute(spare).scalars())[MAX_SESSIONS - 1 :]
    tx.execute(delete(sessions).where(sessions.c.session_id.in_(crowd)))
    tx.execute(
        insert(sessions).values(
            session_id=session_id,
            secret_hash=secret_hash,
            user_id=user_id,
            created_at=now,
            seen_at=now,
            source=source,
            user_agent=user_agent,
        )
    )


def live(tx: Transaction, secret_hash: bytes, now: float) -> tuple[str, str, float] | None:
    """The session_id, the user_id and `seen_at` of a live session."""
    query = select(sessions.c.session_id, sessions.c.user_id, sessions.c.seen_at)
    row = tx.execute(query.where(sessions.c.secret_hash == secret_hash, _lives(now))).one_or_none()
    return None if row is None else (row.session_id, row.user_id, row.seen_at)


def seen(tx: Transaction, session_id: str, now: float) -> None:
    """Note that the session is used."""
    tx.execute(update(sessions).where(sessions.c.session_id == session_id).values(seen_at=now))


def of_user(tx: Transaction, user_id: str, current: bytes | None, now: float) -> tuple[SignedIn, ...]:
    """The live sessions of a user, newest first; the one with the hash `current` is marked."""
    rows = tx.execute(
        select(sessions)
        .where(sessions.c.user_id == user_id, _lives(now))
        .order_by(sessions.c.created_at.desc(), sessions.c.session_id)
    )
    return tuple(
        SignedIn(
            row.session_id,
            row.created_at,
            row.seen_at,
            row.source,
            row.user_agent,
            row.secret_hash == current,
        )
        for row in rows
    )


def end(tx: Transaction, user_id: str, session_id: str) -> bool:
    """End a session of this user. False: there is none such."""
    which = and_(sessions.c.user_id == user_id, sessions.c.session_id == session_id)
    return tx.execute(delete(sessions).where(which)).rowcount > 0


def end_all(tx: Transaction, user_id: str, besides: bytes | None = None) -> int:
    """End all sessions of a user, but the one with this hash. How many that were."""
    which = sessions.c.user_id == user_id
    if besides is not None:
        which = and_(which, sessions.c.secret_hash != besides)
    return tx.execute(delete(sessions).where(which)).rowcount


def _lives(now: float) -> ColumnElement[bool]:
    return and_(sessions.c.seen_at > now - IDLE_SECONDS, sessions.c.created_at > now - LIFE_SECONDS)
