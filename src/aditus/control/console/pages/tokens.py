"""API tokens of whoever is signed in."""

import time

from starlette.responses import Response
from starlette.routing import Route

from aditus.control.console import forms
from aditus.control.console.visit import Door, Visit
from aditus.control.service.context import unfound
from aditus.domain.errors import AditusError
from aditus.domain.model import ApiToken, Role
from aditus.domain.policy import Operation

LIVES = {"30": "30 days", "90": "90 days", "365": "A year", "never": "Until it is revoked"}
DAY_SECONDS = 86_400.0


def routes(door: Door) -> list[Route]:
    """The list, and the making and end of tokens."""
    return [
        door.page("/tokens", listed),
        door.form("/tokens/create", Operation.TOKENS_CREATE, create, created),
        door.form("/tokens/{token_id}/revoke", Operation.TOKENS_REVOKE, revoke, revoked),
    ]


def listed(visit: Visit) -> Response:
    """The caller's tokens."""
    return visit.show("tokens.html", tokens=visit.services.tokens.list(visit.caller))


def create(visit: Visit, error: AditusError | None) -> Response:
    """Name, role and life."""
    return visit.show("create_token.html", error=error, lives=LIVES, choices=_roles(visit))


def created(visit: Visit) -> Response:
    """The token, this once."""
    life = forms.choice(visit.form, "life", LIVES)
    role = Role(forms.choice(visit.form, "role", _roles(visit)))
    new = visit.services.tokens.create(
        visit.caller,
        visit.form["name"],
        role=role,
        locator=visit.locator if role is Role.TEAM_ADMIN else "",
        expires_at=None if life == "never" else time.time() + int(life) * DAY_SECONDS,
        idempotency_key=visit.form["once"],
    )
    api = str(visit.request.base_url).rstrip("/")
    return visit.show("new_token.html", token=new.token, secret=new.secret.reveal(), api=api)


def revoke(visit: Visit, error: AditusError | None) -> Response:
    """The question."""
    return visit.show("revoke_token.html", error=error, token=_token(visit))


def revoked(visit: Visit) -> Response:
    """Back to the list."""
    visit.services.tokens.revoke(visit.caller, _token(visit).token_id)
    return visit.go("tokens", notice="token-revoked")


def _roles(visit: Visit) -> dict[str, str]:
    """The roles that the caller can give, the least first."""
    roles = {}
    if visit.caller.role is not Role.TEAM_ADMIN:
        roles[Role.MEMBER.value] = "Member: may look at everything"
    if visit.may("keys.generate"):
        name = visit.here.subscription.name
        roles[Role.TEAM_ADMIN.value] = f"Team admin: may change access keys and apps of {name}"
    if visit.caller.role is Role.OWNER:
        roles[Role.OWNER.value] = "Owner: may do everything"
    return roles


def _token(visit: Visit) -> ApiToken:
    token_id = visit.request.path_params["token_id"]
    found = next((one for one in visit.services.tokens.list(visit.caller) if one.token_id == token_id), None)
    if found is None:
        raise unfound("API token", "Look at the list of those that you have.")
    return found
