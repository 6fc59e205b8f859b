"""Sign-in of people: sessions, and the password that begins one."""

import hashlib
import secrets
import threading

from aditus.control import audit
from aditus.control.service.context import Context, organization_permitted
from aditus.control.service.hashing import hashed, verified
from aditus.crypto.keys import random_id
from aditus.crypto.passwords import needs_rehash
from aditus.domain import people as rules
from aditus.domain.errors import AditusError, Code, invalid
from aditus.domain.keytext import SecretText
from aditus.domain.model import Caller
from aditus.domain.people import SignedIn
from aditus.domain.policy import Operation
from aditus.store import members, people, sessions
from aditus.store.database import Transaction
from aditus.store.members import StoredUser

COOKIE_BYTES = 32
MAX_COOKIE = 64  # characters looked at
MAX_USER_AGENT = 200
MAX_REFUSED = 1_000  # users and sources told apart between two records; beyond, the source is left out


class SignIn:
    """The use cases of sessions and passwords. Those that check a password take 50 ms and 64 MiB."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._refused: dict[tuple[str, str], tuple[StoredUser, int]] = {}

    def sign_in(self, email: str, password: str, *, source: str, user_agent: str) -> SecretText:
        """Begin a session; the text is for the cookie, and is here this once.

        Raises unauthenticated `bad-sign-in`: one answer, after the same time, whether it is the email or the
        password that is wrong. Of known users both outcomes are recorded, refusals by `keep_refused`: were
        they written here, the time that it takes would tell who is known.
        """
        now = self._context.now()
        try:
            address = rules.email(email)
        except AditusError:
            address = ""  # nobody's
        with self._context.database.read() as tx:
            user = members.by_email(tx, address)
        good = verified(password, user.password_hash if user else None)
        if user is None:
            raise _bad_sign_in()
        if not good:
            self._note_refused(user, source)
            raise _bad_sign_in()
        renewed = hashed(password) if needs_rehash(user.password_hash) else None
        secret = secrets.token_urlsafe(COOKIE_BYTES)
        session_id = random_id()
        with self._context.database.write() as tx:
            members.lock(tx, user.organization_id)
            known = members.by_id(tx, user.user_id)
            if known is None or known.password_hash != user.password_hash:
                raise _bad_sign_in()  # removed, or another password, since it was looked at
            if renewed is not None:
                members.set_password(tx, user.user_id, renewed)
            sessions.add(
                tx,
                session_id,
                cookie_hash(secret),
                user.user_id,
                source,
                "".join(char for char in user_agent if char.isprintable())[:MAX_USER_AGENT],
                now,
            )
            audit.record(
                tx,
                _caller(user),
                "session.begin",
                session_id,
                user.email,
                now,
                details={"source": source},
            )
        return SecretText(secret)

    def keep_refused(self) -> None:
        """Record the refusals since the last time: one entry per user and source, with their number."""
        with self._lock:
            refused, self._refused = self._refused, {}
        if not refused:
            return
        with self._context.database.write() as tx:
            for (_, source), (user, count) in refused.items():
                audit.record(
                    tx,
                    _caller(user),
                    "session.refused",
                    user.user_id,
                    user.email,
                    self._context.now(),
                    details={"source": source, "refusals": count},
                )

    def _note_refused(self, user: StoredUser, source: str) -> None:
        with self._lock:
            entry = (user.user_id, source if len(self._refused) < MAX_REFUSED else "")
            _, count = self._refused.get(entry, (user, 0))
            self._refused[entry] = (user, count + 1)

    def sign_out(self, caller: Caller, cookie: str) -> None:
        """End the session of this cookie, if it is one of the caller's."""
        now = self._context.now()
        with self._context.database.write() as tx:
            found = sessions.live(tx, cookie_hash(cookie), now)
            if found is not None and found[1] == _user(tx, caller).user_id:
                sessions.end(tx, found[1], found[0])
                audit.record(tx, caller, "session.end", found[0], caller.name, now)

    def list(self, caller: Caller, cookie: str = "") -> tuple[SignedIn, ...]:
        """The caller's live sessions, newest first; that of `cookie` is marked as the current one."""
        organization_permitted(caller, Operation.SESSIONS_LIST)
        with self._context.database.read() as tx:
            user = _user(tx, caller)
            return sessions.of_user(tx, user.user_id, cookie_hash(cookie), self._context.now())

    def end(self, caller: Caller, session_id: str) -> None:
        """End one of the caller's sessions."""
        organization_permitted(caller, Operation.SESSIONS_END)
        with self._context.database.write() as tx:
            if not sessions.end(tx, _user(tx, caller).user_id, session_id):
                raise AditusError(
                    Code.NOT_FOUND,
                    "not-found",
                    "You have no such session.",
                    remedy="`GET /v1/sessions` lists those that you have.",
                )
            audit.record(tx, caller, "session.end", session_id, caller.name, self._context.now())

    def change_password(self, caller: Caller, current: str, new: str, cookie: str = "") -> None:
        """Set another password, and end all sessions of the caller but that of `cookie`.

        Raises forbidden `wrong-password`, and invalid `bad-password`.
        """
        organization_permitted(caller, Operation.PASSWORD_CHANGE)
        rules.new_password(new, "new")
        with self._context.database.read() as tx:
            user = _user(tx, caller)
        if not verified(current, user.password_hash):
            raise AditusError(
                Code.FORBIDDEN,
                "wrong-password",
                "The current password is another one.",
                remedy="Type it again; the operator can set a new one (`aditus admin reset-password`).",
                field="current",
            )
        if current == new:
            raise invalid(
                "same-password", "That is the password that you have.", remedy="Choose another.", field="new"
            )
        stored = hashed(new)
        with self._context.database.write() as tx:
            members.lock(tx, user.organization_id)
            if _user(tx, caller).password_hash != user.password_hash:
                raise AditusError(
                    Code.CONFLICT,
                    "password-changed",
                    "The password was changed meanwhile, from elsewhere.",
                    remedy="Sign in with the new one.",
                )
            members.set_password(tx, user.user_id, stored)
            ended = sessions.end_all(tx, user.user_id, besides=cookie_hash(cookie))
            audit.record(
                tx,
                caller,
                "password.change",
                user.user_id,
                user.email,
                self._context.now(),
                details={"sessions_ended": ended},
            )


def cookie_hash(cookie: str) -> bytes:
    """How a session is known: the SHA-256 of its 256 random bits."""
    return hashlib.sha256(cookie[:MAX_COOKIE].encode("utf-8", "surrogatepass")).digest()


def _caller(user: StoredUser) -> Caller:
    return Caller(user.user_id, user.email, user.organization_id, user.role, user.team_admin_of)


def _user(tx: Transaction, caller: Caller) -> StoredUser:
    user_id = people.user_of(tx, caller.caller_id)
    user = members.by_id(tx, user_id) if user_id else None
    if user is None:
        raise RuntimeError("a caller is a user, or the token of one")
    return user


def _bad_sign_in() -> AditusError:
    return AditusError(
        Code.UNAUTHENTICATED,
        "bad-sign-in",
        "Email and password do not belong together.",
        remedy="Type them again; the operator can set a new password (`aditus admin reset-password`).",
    )
