"""API tokens: each is its user's own, with at most that user's rights."""

import secrets

from aditus.control import audit
from aditus.control.service import inputs
from aditus.control.service.context import Context, permitted
from aditus.control.service.refusals import refusal
from aditus.control.service.replay import claim
from aditus.crypto.keys import random_id
from aditus.crypto.tokens import token_hash
from aditus.domain import names
from aditus.domain.errors import AditusError, Code, invalid
from aditus.domain.keytext import SECRET_BYTES, format_token
from aditus.domain.model import ApiToken, Caller, NewApiToken, Role
from aditus.domain.policy import Denied, Operation, allowed
from aditus.store import members, people
from aditus.store.database import Transaction

MAX_TOKENS = 100  # unrevoked ones of one user

_RIGHTS = (Role.MEMBER, Role.TEAM_ADMIN, Role.OWNER)  # rising


class Tokens:
    """The use cases of API tokens."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(
        self,
        caller: Caller,
        name: str,
        *,
        role: Role | None = None,
        locator: str = "",
        expires_at: float | None = None,
        idempotency_key: str = "",
    ) -> NewApiToken:
        """Make a token of the caller's own. `role` None: the caller's.

        A `team_admin` token is for one subscription: `locator`, by default the caller's own. Raises forbidden
        `more-than-yours` and limit `token-quota`.
        """
        now = self._context.now()
        name = names.app_name(name)
        expires_at = inputs.expiry(expires_at, now)
        role = role or caller.role
        if locator and role is not Role.TEAM_ADMIN:
            raise invalid(
                "needless-locator",
                "Only a token with the role team_admin is for one subscription.",
                remedy="Leave the locator out, or ask for the role team_admin.",
                field="locator",
            )
        token_id, secret = random_id(), secrets.token_bytes(SECRET_BYTES)
        with self._context.database.write() as tx:
            _permitted(caller, Operation.TOKENS_CREATE)
            subscription = None
            if role is Role.TEAM_ADMIN:
                # What a team administrator may do is what tells whether the caller has these rights there.
                subscription = permitted(tx, caller, Operation.KEYS_GENERATE, locator or "0")
            elif role is not caller.role and caller.role is not Role.OWNER:
                raise _more_than_yours("role")
            members.lock(tx, caller.organization_id)  # nobody is removed while a token is made for them
            user_id = _user(tx, caller)
            own = {token.token_id: token for token in people.tokens_of(tx, user_id)}
            if caller.caller_id in own and _ends_later(expires_at, own[caller.caller_id].expires_at):
                raise _more_than_yours("expires_at")
            if len(own) >= MAX_TOKENS:
                raise AditusError(
                    Code.LIMIT,
                    "token-quota",
                    f"All {MAX_TOKENS} tokens of this user are in use.",
                    remedy="Revoke tokens that nobody needs any more.",
                )
            claim(tx, caller, idempotency_key, "token_id", token_id, now)
            people.add_token(
                tx,
                token_id,
                user_id,
                name,
                token_hash(secret),
                role,
                subscription.subscription_id if subscription else None,
                expires_at,
                now,
            )
            audit.record(
                tx,
                caller,
                "token.create",
                token_id,
                name,
                now,
                subscription=subscription,
                details={"role": role.value},
            )
        token = ApiToken(
            token_id,
            name,
            role,
            now,
            caller.name,
            subscription.locator if subscription else "",
            expires_at,
        )
        return NewApiToken(token, format_token(token_id, secret))

    def list(self, caller: Caller) -> tuple[ApiToken, ...]:
        """The caller's unrevoked tokens, oldest first."""
        _permitted(caller, Operation.TOKENS_LIST)
        with self._context.database.read() as tx:
            return people.tokens_of(tx, _user(tx, caller))

    def revoke(self, caller: Caller, token_id: str) -> None:
        """End a token of the caller's, perhaps the very one that asks.

        One of fewer rights cannot end one of more: forbidden `more-than-yours`.
        """
        _permitted(caller, Operation.TOKENS_REVOKE)
        now = self._context.now()
        with self._context.database.write() as tx:
            own = {token.token_id: token for token in people.tokens_of(tx, _user(tx, caller))}
            if token_id not in own:
                raise AditusError(
                    Code.NOT_FOUND,
                    "not-found",
                    "You have no such token.",
                    remedy="`aditus tokens list` shows those that you have.",
                )
            if _RIGHTS.index(own[token_id].role) > _RIGHTS.index(caller.role):
                raise _more_than_yours("token_id")
            people.revoke_token(tx, token_id, now)
            audit.record(tx, caller, "token.revoke", token_id, own[token_id].name, now)


def _permitted(caller: Caller, operation: Operation) -> None:
    verdict = allowed(operation, caller, None)
    if isinstance(verdict, Denied):
        raise refusal(verdict)


def _ends_later(expires_at: float | None, other: float | None) -> bool:
    return other is not None and (expires_at is None or expires_at > other)


def _more_than_yours(field: str) -> AditusError:
    return AditusError(
        Code.FORBIDDEN,
        "more-than-yours",
        "A token neither makes nor ends one that may do more, or lives longer, than itself.",
        remedy="Use a token with more rights, or ask for less.",
        field=field,
    )


def _user(tx: Transaction, caller: Caller) -> str:
    user_id = people.user_of(tx, caller.caller_id)
    if user_id is None:
        raise RuntimeError("a caller is a user, or the token of one")
    return user_id
