"""Who asks: from a bearer token or a session's cookie to a `Caller`, with one answer to what is neither."""

from collections.abc import Callable

from aditus.control.service.sign_in import cookie_hash
from aditus.crypto.tokens import token_matches
from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import parse_token
from aditus.domain.model import Caller, Role
from aditus.store import members, people, sessions
from aditus.store.database import Database
from aditus.store.people import StoredToken

USE_NOTED_SECONDS = 60.0  # `last_used_at` is as exact as this, and costs no more writes than that
_NOBODY = bytes(32)  # what an unknown token is compared with, so that it takes as long as a known one


class Authenticator:
    """Checks API tokens and sessions. `now` gives Unix seconds."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def caller(self, token: str) -> Caller:
        """Whose token `adtp_…` this is, with what its user may do now, narrowed by the token's role.

        Raises `AditusError` (unauthenticated, `bad-token`): one answer for everything that is none.
        """
        try:
            parsed = parse_token(token)
        except AditusError:
            raise _unknown() from None
        now = self._now()
        with self._database.read() as tx:
            stored = people.stored_token(tx, parsed.key_id)
        matches = token_matches(parsed.secret, stored.secret_hash if stored else _NOBODY)
        if stored is None or not matches or not _lives(stored, now):
            raise _unknown()
        caller = _caller(stored)
        if caller is None:
            raise _unknown()
        if stored.last_used_at is None or stored.last_used_at <= now - USE_NOTED_SECONDS:
            with self._database.write() as tx:
                people.token_used(tx, stored.token_id, now, now - USE_NOTED_SECONDS)
        return caller

    def person(self, cookie: str, *, is_use: bool = True) -> Caller:
        """Whose session this cookie is, with what the user may do now. A use keeps it from being idle.

        Raises `AditusError` (unauthenticated, `bad-session`): it is none, or it is over.
        """
        now = self._now()
        with self._database.read() as tx:
            found = sessions.live(tx, cookie_hash(cookie), now)
            user = members.by_id(tx, found[1]) if found else None
        if found is None or user is None:
            raise _no_session()
        session_id, _, seen_at = found
        if is_use and seen_at <= now - USE_NOTED_SECONDS:
            with self._database.write() as tx:
                sessions.seen(tx, session_id, now)
        return Caller(
            user.user_id, user.email, user.organization_id, user.role, user.team_admin_of, is_person=True
        )


def _no_session() -> AditusError:
    return AditusError(
        Code.UNAUTHENTICATED,
        "bad-session",
        "You are not signed in, or not any more.",
        remedy="Sign in again.",
    )


def _lives(token: StoredToken, now: float) -> bool:
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now)


def _caller(token: StoredToken) -> Caller | None:
    """The rights that user and token have both; None where that leaves none."""
    team_admin_of: frozenset[str] = frozenset()
    if token.role is Role.OWNER:
        may = token.user_role is Role.OWNER
    elif token.role is Role.MEMBER:
        may = token.user_role in (Role.OWNER, Role.MEMBER)
    else:
        may = token.subscription_id is not None and (
            token.user_role is Role.OWNER or token.subscription_id in token.team_admin_of
        )
        team_admin_of = frozenset({token.subscription_id} if token.subscription_id else ())
    if not may:
        return None
    return Caller(token.token_id, token.email, token.organization_id, token.role, team_admin_of)


def _unknown() -> AditusError:
    return AditusError(
        Code.UNAUTHENTICATED,
        "bad-token",
        "The request has no API token that is valid here.",
        remedy="Send a token of this server that is still good (in ADITUS_TOKEN, for the command line).",
    )
