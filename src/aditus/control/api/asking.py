"""What routes share: who asks, and where."""

from typing import Annotated

from fastapi import Depends, Header, Path, Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer

from aditus.control.http.cookie import HOST_COOKIE
from aditus.domain.model import Caller

SUBSCRIPTION = "/v1/subscriptions/{locator}"
ACCESS_KEYS = SUBSCRIPTION + "/regions/{region}/access-keys"

TOKEN = Security(HTTPBearer(auto_error=False, description="An API token, adtp_…"))
COOKIE = Security(APIKeyCookie(name=HOST_COOKIE, auto_error=False, description="Of a session: sign in"))
"""For the OpenAPI document alone: the gate has checked the credential before any route is looked for."""


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller  # a defect, and so a 500, where the gate was passed by
    return caller


Asks = Annotated[Caller, Depends(_caller)]
Locator = Annotated[str, Path(description="Of a subscription; 0: the caller's own")]
Region = Annotated[str, Path(description="The name of a region")]
KeyName = Annotated[str, Path(description="The unrevoked key of this ID, else the newest revoked one")]
AppName = Annotated[str, Path(description="An app_id, or the name of an app")]
IfMatch = Annotated[
    str,
    Header(
        alias="If-Match",
        description="The ETag that was read: if there is a newer version, 412 and nothing is changed.",
    ),
]
IdempotencyKey = Annotated[
    str,
    Header(
        description="Makes sure that a create is not done twice. What was made is named, never shown again."
    ),
]
