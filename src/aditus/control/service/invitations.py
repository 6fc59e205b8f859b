"""Invitations: a text shown once to whoever invites, which makes somebody a member once."""

import secrets

from aditus.control import audit
from aditus.control.service import inputs
from aditus.control.service.context import Context, organization_permitted
from aditus.control.service.hashing import hashed
from aditus.control.service.refusals import refusal
from aditus.control.service.sign_in import cookie_hash
from aditus.crypto.keys import random_id
from aditus.domain import people as rules
from aditus.domain.errors import AditusError, Code, invalid
from aditus.domain.keytext import SecretText
from aditus.domain.model import Caller, Role
from aditus.domain.people import Invitation, Member, NewInvitation
from aditus.domain.policy import Denied, Operation
from aditus.store import invitations, members, people, subscriptions
from aditus.store.database import Transaction

LIFE_SECONDS = 7 * 86_400.0
MAX_OPEN = 100  # of one organisation
SECRET_BYTES = 32


class Invitations:
    """The use cases of invitations to the caller's organisation."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, caller: Caller, email: str, role: Role, *, locator: str = "") -> NewInvitation:
        """Invite somebody for seven days. A team administrator is one of the subscription `locator`.

        Raises conflict `email-taken` and limit `invitation-quota`.
        """
        organization_permitted(caller, Operation.INVITATIONS_CREATE)
        email, now = rules.email(email), self._context.now()
        if bool(locator) is not (role is Role.TEAM_ADMIN):
            raise invalid(
                "locator-with-role",
                "An invitation names a subscription if, and only if, its role is team_admin.",
                remedy="Give both, or neither.",
                field="locator",
            )
        secret = secrets.token_urlsafe(SECRET_BYTES)
        made = Invitation(random_id(), email, role, now, caller.name, now + LIFE_SECONDS, locator)
        with self._context.database.write() as tx:
            members.lock(tx, caller.organization_id)
            if any(one.email == email for one in members.every(tx, caller.organization_id)):
                raise _taken()
            if len(invitations.of_organization(tx, caller.organization_id, now)) >= MAX_OPEN:
                raise AditusError(
                    Code.LIMIT,
                    "invitation-quota",
                    f"All {MAX_OPEN} open invitations of the organisation are in use.",
                    remedy="Delete those that nobody will accept any more.",
                )
            subscription_id = _subscription_id(tx, caller, locator) if locator else None
            invitations.add(tx, made, cookie_hash(secret), caller.organization_id, subscription_id)
            audit.record(
                tx, caller, "invitation.create", made.invitation_id, email, now, details={"role": role.value}
            )
        return NewInvitation(made, SecretText(secret))

    def list(self, caller: Caller) -> tuple[Invitation, ...]:
        """The open invitations, oldest first."""
        organization_permitted(caller, Operation.INVITATIONS_LIST)
        with self._context.database.read() as tx:
            return invitations.of_organization(tx, caller.organization_id, self._context.now())

    def delete(self, caller: Caller, invitation_id: str) -> None:
        """Take an open invitation back."""
        organization_permitted(caller, Operation.INVITATIONS_DELETE)
        with self._context.database.write() as tx:
            email = invitations.remove(tx, caller.organization_id, invitation_id)
            if email is None:
                raise AditusError(
                    Code.NOT_FOUND,
                    "not-found",
                    "There is no such open invitation.",
                    remedy="`GET /v1/invitations` lists them.",
                )
            audit.record(tx, caller, "invitation.delete", invitation_id, email, self._context.now())

    def accept(self, invitation: str, password: str) -> Member:
        """Become a member, with this password. The text of the invitation is the only right that is needed.

        Raises not-found `no-invitation` (never was, used, taken back, or over), conflict `email-taken`.
        """
        rules.new_password(password, "password")
        now, user_id = self._context.now(), random_id()
        with self._context.database.read() as tx:
            if not invitations.is_open(tx, cookie_hash(invitation), now):
                raise _no_invitation()
        stored = hashed(password)
        with self._context.database.write() as tx:
            found = invitations.accept(tx, cookie_hash(invitation), now)
            if found is None:
                raise _no_invitation()
            invitation_id, organization_id, email, role, subscription_id = found
            if not people.add_user(tx, user_id, organization_id, email, stored, role, now):
                raise _taken()
            if subscription_id is not None:
                members.set_team_admin_of(tx, user_id, [subscription_id])
            caller = Caller(user_id, email, organization_id, role)
            audit.record(tx, caller, "invitation.accept", invitation_id, email, now)
            return next(one for one in members.every(tx, organization_id) if one.user_id == user_id)


def _subscription_id(tx: Transaction, caller: Caller, locator: str) -> str:
    subscription = subscriptions.by_locator(tx, locator) if inputs.is_id(locator) else None
    if subscription is None or subscription.organization_id != caller.organization_id:
        raise refusal(Denied("not-found"))
    return subscription.subscription_id


def _taken() -> AditusError:
    return AditusError(
        Code.CONFLICT,
        "email-taken",
        "There is a user with this email address.",
        remedy="Change that member's role, or use another address.",
        field="email",
    )


def _no_invitation() -> AditusError:
    return AditusError(
        Code.NOT_FOUND,
        "no-invitation",
        "This invitation is none: it was used or taken back, or it is older than a week.",
        remedy="Ask whoever invited you for a new one.",
        field="invitation",
    )
