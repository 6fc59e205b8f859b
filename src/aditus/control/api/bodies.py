"""What requests may hold. Unknown fields are refused; what a text may be, the domain decides."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from aditus.control.api.texts import ReadTime
from aditus.control.service.rotation import LONGEST_GRACE
from aditus.control.service.rules import MAX_PORTS, MAX_SOURCES
from aditus.control.service.tenants import MAX_CAPABILITIES
from aditus.domain.model import Role

Text = Annotated[str, Field(max_length=2000)]
"""Bounded before the domain looks at it, and says better what is wrong."""


PublicKey = Annotated[str, Field(max_length=64)]
AllowedPorts = Annotated[list[Annotated[StrictInt, Field(ge=1, le=65535)]], Field(max_length=MAX_PORTS)]
"""App ports that agents of the key may offer; null: any."""
AllowedSources = Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=MAX_SOURCES)]
"""Networks in CIDR form that agents of the key may dial from; null: any."""
Grace = Annotated[
    float,
    Field(strict=True, allow_inf_nan=False, json_schema_extra={"minimum": 0, "maximum": int(LONGEST_GRACE)}),
]
"""Within bounds that the service checks, and says better what is wrong; no truth value."""


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GenerateKey(Request):
    access_key_id: Text
    capability: Text
    description: Text = ""
    expires_at: ReadTime | None = None
    public_key: PublicKey | None = None
    """Base64url of a raw Ed25519 public key: then the secret is the caller's own and not in the answer."""
    allowed_ports: AllowedPorts | None = None
    allowed_sources: AllowedSources | None = None


class PatchKey(Request):
    description: Text = ""
    expires_at: ReadTime | None = None
    allowed_ports: AllowedPorts | None = None
    allowed_sources: AllowedSources | None = None


class RotateKey(Request):
    grace: Grace | None = None
    """Seconds from the first use of the new secret to the end of the old one; null: a day."""
    now: StrictBool = False
    public_key: PublicKey | None = None


class RevokeKeys(Request):
    access_key_ids: Annotated[list[Text], Field(min_length=1, max_length=500)]
    dry_run: StrictBool = False


class CreateApp(Request):
    name: Text
    capability: Text


class PatchApp(Request):
    name: Text = ""


class CreateCredential(Request):
    public_key: PublicKey | None = None
    """Base64url of a raw Ed25519 public key: then the secret is the caller's own and not in the answer."""


class CreateSubscription(Request):
    name: Text
    regions: Annotated[list[Text], Field(min_length=1, max_length=100)]
    capabilities: Annotated[list[Text], Field(min_length=1, max_length=MAX_CAPABILITIES)]


class CreateToken(Request):
    name: Text
    role: Role | None = None
    locator: Text = ""
    expires_at: ReadTime | None = None


class SignInBody(Request):
    email: Text
    password: Text


class ChangePassword(Request):
    current: Text
    new: Text


class CreateInvitation(Request):
    email: Text
    role: Role
    locator: Text = ""


class AcceptInvitation(Request):
    invitation: Annotated[str, Field(max_length=200)]
    password: Text


class PatchMember(Request):
    role: Role | None = None
    team_admin_of: Annotated[list[Text], Field(max_length=100)] | None = None


class PageQuery(Request):
    cursor: Annotated[str, Field(max_length=200)] = ""
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class KeysQuery(PageQuery):
    state: Literal["active", "suspended", "expired", "revoked"] | None = None


class StreamRecordsQuery(PageQuery):
    access_key_id: Annotated[str, Field(max_length=200)] = ""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    reason: Annotated[str, Field(max_length=32, pattern="^[a-z-]*$")] = ""
    """`closed`, or the token of the RESET."""
    since: ReadTime | None = None
    until: ReadTime | None = None
