"""The members of the caller's organisation: their roles, and their end."""

from collections.abc import Sequence

from aditus.control import audit
from aditus.control.service.context import Context, organization_permitted
from aditus.control.service.refusals import refusal
from aditus.domain.errors import AditusError, Code
from aditus.domain.model import Caller, Role
from aditus.domain.people import Member
from aditus.domain.policy import Denied, Operation
from aditus.store import members, subscriptions
from aditus.store.database import Transaction


class Members:
    """The use cases of members. What changes here counts from the next request on, for tokens too."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(self, caller: Caller) -> tuple[Member, ...]:
        """The members of the organisation, oldest first."""
        organization_permitted(caller, Operation.MEMBERS_LIST)
        with self._context.database.read() as tx:
            return members.every(tx, caller.organization_id)

    def update(
        self, caller: Caller, user_id: str, *, role: Role | None, team_admin_of: Sequence[str] | None
    ) -> Member:
        """Change a role, or the subscriptions (their locators) that are administrated; None: as it is.

        Raises conflict `last-owner`.
        """
        organization_permitted(caller, Operation.MEMBERS_UPDATE)
        with self._context.database.write() as tx:
            member = _locked(tx, caller, user_id)
            if role is not None and role is not member.role:
                _keep_an_owner(tx, caller, member)
                members.set_role(tx, user_id, role)
            if team_admin_of is not None:
                members.set_team_admin_of(tx, user_id, _ids(tx, caller, team_admin_of))
            changed = _member(tx, caller, user_id)
            if changed != member:
                audit.record(
                    tx,
                    caller,
                    "member.update",
                    user_id,
                    member.email,
                    self._context.now(),
                    details={"role": changed.role.value, "team_admin_of": " ".join(changed.team_admin_of)},
                )
            return changed

    def remove(self, caller: Caller, user_id: str) -> None:
        """Take a member out, with all sessions and tokens. Raises conflict `last-owner`."""
        organization_permitted(caller, Operation.MEMBERS_REMOVE)
        with self._context.database.write() as tx:
            member = _locked(tx, caller, user_id)
            _keep_an_owner(tx, caller, member)
            members.remove(tx, user_id)
            audit.record(tx, caller, "member.remove", user_id, member.email, self._context.now())


def _locked(tx: Transaction, caller: Caller, user_id: str) -> Member:
    """The member, with all members of the organisation held still until the commit."""
    members.lock(tx, caller.organization_id)
    return _member(tx, caller, user_id)


def _member(tx: Transaction, caller: Caller, user_id: str) -> Member:
    found = next((one for one in members.every(tx, caller.organization_id) if one.user_id == user_id), None)
    if found is None:
        raise AditusError(
            Code.NOT_FOUND,
            "not-found",
            "The organisation has no such member.",
            remedy="`GET /v1/members` lists them.",
        )
    return found


def _keep_an_owner(tx: Transaction, caller: Caller, leaving: Member) -> None:
    owners = [one for one in members.every(tx, caller.organization_id) if one.role is Role.OWNER]
    if [one.user_id for one in owners] == [leaving.user_id]:
        raise AditusError(
            Code.CONFLICT,
            "last-owner",
            "This is the only owner of the organisation, which cannot be without one.",
            remedy="Make somebody else an owner first.",
        )


def _ids(tx: Transaction, caller: Caller, locators: Sequence[str]) -> tuple[str, ...]:
    owned = {
        one.locator: one.subscription_id for one in subscriptions.of_organization(tx, caller.organization_id)
    }
    if not owned.keys() >= set(locators):
        raise refusal(Denied("not-found"))
    return tuple(dict.fromkeys(owned[locator] for locator in locators))
