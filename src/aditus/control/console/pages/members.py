"""Members of the organisation, and invitations to it."""

from starlette.responses import Response
from starlette.routing import Route

from aditus.control.console import forms
from aditus.control.console.visit import Door, Visit
from aditus.control.service.context import unfound
from aditus.domain.errors import AditusError
from aditus.domain.model import Role
from aditus.domain.people import Invitation, Member
from aditus.domain.policy import Operation

ROLES = {
    Role.MEMBER.value: "Member: may look at everything",
    Role.TEAM_ADMIN.value: "Team admin of one subscription",
    Role.OWNER.value: "Owner: may do everything",
}


def routes(door: Door) -> list[Route]:
    """The list, and what is done to members and invitations."""
    return [
        door.page("/members", listed),
        door.form("/members/invite", Operation.INVITATIONS_CREATE, invite, invited),
        door.form("/members/{user_id}/edit", Operation.MEMBERS_UPDATE, edit, edited),
        door.form("/members/{user_id}/remove", Operation.MEMBERS_REMOVE, remove, removed),
        door.form(
            "/members/invitations/{invitation_id}/delete", Operation.INVITATIONS_DELETE, take_back, taken_back
        ),
    ]


def listed(visit: Visit) -> Response:
    """Members, and those who were invited and have not come yet."""
    return visit.show(
        "members.html",
        members=visit.services.members.list(visit.caller),
        invitations=visit.services.invitations.list(visit.caller),
    )


def invite(visit: Visit, error: AditusError | None) -> Response:
    """Email, role, and the subscription of a team admin."""
    return visit.show("invite.html", error=error, choices=ROLES)


def invited(visit: Visit) -> Response:
    """The link, this once."""
    role = Role(forms.choice(visit.form, "role", ROLES))
    locator = visit.form["locator"] if role is Role.TEAM_ADMIN else ""
    new = visit.services.invitations.create(visit.caller, visit.form["email"], role, locator=locator)
    link = f"{visit.request.base_url}invitation#{new.secret.reveal()}"
    return visit.show("invited.html", invitation=new.invitation, link=link)


def edit(visit: Visit, error: AditusError | None) -> Response:
    """The roles as they are."""
    return visit.show("edit_member.html", error=error, member=_member(visit))


def edited(visit: Visit) -> Response:
    """Back to the list."""
    role = Role.OWNER if visit.form["owner"] else Role.MEMBER
    visit.services.members.update(
        visit.caller, _member(visit).user_id, role=role, team_admin_of=visit.form.every("team_admin_of")
    )
    return visit.go("members", notice="member-updated")


def remove(visit: Visit, error: AditusError | None) -> Response:
    """The question."""
    return visit.show("remove_member.html", error=error, member=_member(visit))


def removed(visit: Visit) -> Response:
    """Back to the list."""
    visit.services.members.remove(visit.caller, _member(visit).user_id)
    return visit.go("members", notice="member-removed")


def take_back(visit: Visit, error: AditusError | None) -> Response:
    """The question."""
    return visit.show("take_back.html", error=error, invitation=_invitation(visit))


def taken_back(visit: Visit) -> Response:
    """Back to the list."""
    visit.services.invitations.delete(visit.caller, _invitation(visit).invitation_id)
    return visit.go("members", notice="invitation-deleted")


def _invitation(visit: Visit) -> Invitation:
    invitation_id = visit.request.path_params["invitation_id"]
    found = visit.services.invitations.list(visit.caller)
    invitation = next((one for one in found if one.invitation_id == invitation_id), None)
    if invitation is None:
        raise unfound("invitation", "It was accepted, has expired, or never was.")
    return invitation


def _member(visit: Visit) -> Member:
    user_id = visit.request.path_params["user_id"]
    found = next((one for one in visit.services.members.list(visit.caller) if one.user_id == user_id), None)
    if found is None:
        raise unfound("member", "Look at the list of members.")
    return found
