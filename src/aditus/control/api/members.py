"""Members of the organisation, and invitations to it, over HTTP."""

from fastapi import APIRouter, Request

from aditus.control.api.answers import InvitationAnswer, MemberAnswer, NewInvitationAnswer, PageAnswer
from aditus.control.api.asking import Asks
from aditus.control.api.bodies import AcceptInvitation, CreateInvitation, PatchMember
from aditus.control.service.invitations import Invitations
from aditus.control.service.members import Members


def open_router(invitations: Invitations) -> APIRouter:
    """The route that needs no credential but the invitation."""
    routes = APIRouter(tags=["people"])

    @routes.post("/v1/invitations/accept", status_code=201)
    def accept_invitation(body: AcceptInvitation) -> MemberAnswer:
        """Become a member, with a password of one's own."""
        return MemberAnswer.model_validate(invitations.accept(body.invitation, body.password))

    return routes


def router(members: Members, invitations: Invitations) -> APIRouter:
    """The routes of members and invitations."""
    routes = APIRouter(tags=["people"])

    @routes.get("/v1/members")
    def list_members(caller: Asks) -> PageAnswer[MemberAnswer]:
        """List the members of the organisation, oldest first, all on one page."""
        return PageAnswer(items=[MemberAnswer.model_validate(member) for member in members.list(caller)])

    @routes.patch("/v1/members/{user_id}")
    def patch_member(caller: Asks, user_id: str, body: PatchMember) -> MemberAnswer:
        """Change a member's role, or the subscriptions that the member administrates."""
        changed = members.update(caller, user_id, role=body.role, team_admin_of=body.team_admin_of)
        return MemberAnswer.model_validate(changed)

    @routes.delete("/v1/members/{user_id}", status_code=204)
    def remove_member(caller: Asks, user_id: str) -> None:
        """Take a member out, with all sessions and tokens."""
        members.remove(caller, user_id)

    @routes.get("/v1/invitations")
    def list_invitations(caller: Asks) -> PageAnswer[InvitationAnswer]:
        """List the open invitations, oldest first, all on one page."""
        found = invitations.list(caller)
        return PageAnswer(items=[InvitationAnswer.model_validate(one) for one in found])

    @routes.post("/v1/invitations", status_code=201)
    def create_invitation(caller: Asks, request: Request, body: CreateInvitation) -> NewInvitationAnswer:
        """Invite somebody. The answer has the link, this only time: pass it on."""
        new = invitations.create(caller, body.email, body.role, locator=body.locator)
        return NewInvitationAnswer.of(new, str(request.base_url))

    @routes.delete("/v1/invitations/{invitation_id}", status_code=204)
    def delete_invitation(caller: Asks, invitation_id: str) -> None:
        """Take an open invitation back."""
        invitations.delete(caller, invitation_id)

    return routes
