"""What a denial of the policy says to the caller."""

from aditus.domain.errors import AditusError, Code
from aditus.domain.policy import Denied

_REFUSALS = {
    "not-found": (
        Code.NOT_FOUND,
        "There is no such subscription or region, or none that you may know of.",
        "`GET /v1/userinfo` lists your subscriptions, `GET /v1/subscriptions/0` the regions of yours.",
    ),
    "read-only": (
        Code.FORBIDDEN,
        "Your role may look at this subscription but change nothing.",
        "Ask an owner of the organisation, or a team administrator of the subscription.",
    ),
    "owner-only": (
        Code.FORBIDDEN,
        "Only an owner of the organisation may do this.",
        "Ask an owner of the organisation.",
    ),
    "people-only": (
        Code.FORBIDDEN,
        "Only somebody who is signed in may do this, and no token.",
        "Sign in with email and password.",
    ),
    "operator-only": (
        Code.FORBIDDEN,
        "Only the operator of this server may do this.",
        "Ask the operator.",
    ),
    "no-capability": (
        Code.FORBIDDEN,
        "The subscription does not have this capability.",
        "Choose one of its capabilities: `GET /v1/subscriptions/0` lists them.",
    ),
    "revoked": (
        Code.CONFLICT,
        "The access key is revoked, which is for ever.",
        "Generate a new access key.",
    ),
    "capability-mismatch": (
        Code.CONFLICT,
        "The app runs on another capability than the one the access key was generated for.",
        "Choose an access key of the app's capability, or generate one.",
    ),
}


def refusal(denied: Denied) -> AditusError:
    """The failure to raise for a denial."""
    code, message, remedy = _REFUSALS[denied.reason]
    return AditusError(code, denied.reason, message, remedy=remedy)
