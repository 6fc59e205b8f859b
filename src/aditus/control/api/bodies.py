"""What requests may hold. Unknown fields are refused; what a text may be, the domain decides."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from aditus.control.api.texts import ReadTime
from aditus.domain.model import Role

Text = Annotated[str, Field(max_length=2000)]
"""Bounded before the domain looks at it, and says better what is wrong."""


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GenerateKey(Request):
    access_key_id: Text
    capability: Text
    description: Text = ""
    expires_at: ReadTime | None = None
    public_key: Annotated[str, Field(max_length=64)] | None = None
    """Base64url of a raw Ed25519 public key: then the secret is the caller's own and not in the answer."""


class PatchKey(Request):
    description: Text = ""
    expires_at: ReadTime | None = None


class RevokeKeys(Request):
    access_key_ids: Annotated[list[Text], Field(min_length=1, max_length=500)]
    dry_run: StrictBool = False


class CreateApp(Request):
    name: Text
    capability: Text


class CreateToken(Request):
    name: Text
    role: Role | None = None
    locator: Text = ""
    expires_at: ReadTime | None = None


class PageQuery(Request):
    cursor: Annotated[str, Field(max_length=200)] = ""
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class KeysQuery(PageQuery):
    state: Literal["active", "suspended", "expired", "revoked"] | None = None
