"""The nouns of Aditus as frozen values: what is stored, and what is answered.

Every time is a `float` of Unix seconds (UTC). Every `*_id` is made by us, base62 and never reused;
`access_key_id` alone is the user's own name for a key. No value here holds a secret but
`NewAccessKey`, `NewAppCredential` and `NewApiToken`, which exist for one answer only.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from aditus.domain.keytext import SecretText

DEFAULT_KEY_QUOTA = 500
"""Unrevoked keys of one subscription in one region, unless its quota row says otherwise."""
MAX_CREDENTIALS = 2
"""Credentials of one app that are not revoked: one in use, and one to take its place."""


class KeyState(StrEnum):
    """What a key may do now. `REPLACED` is never a key's own state: it is that of a rotated-out secret."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REPLACED = "replaced"


class Role(StrEnum):
    """`OWNER` and `MEMBER` (read-only) belong to an organisation, `TEAM_ADMIN` to one subscription."""

    OWNER = "owner"
    MEMBER = "member"
    TEAM_ADMIN = "team_admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a user or a token of an organisation, with the roles that count for this request."""

    caller_id: str
    name: str
    organization_id: str
    role: Role
    team_admin_of: frozenset[str] = frozenset()  # subscription ids
    is_person: bool = False  # signed in, not by a token


@dataclass(frozen=True, slots=True)
class Subscription:
    """An organisation's right to use some capabilities in some regions. `locator` addresses it in the API."""

    subscription_id: str
    organization_id: str
    locator: str
    name: str
    capabilities: tuple[str, ...]
    regions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """A set of relays with public names of its own, `relay_url` being `wss://host[:port]`."""

    name: str
    relay_url: str


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of a limit is used, for one subscription in one region."""

    region: str
    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class AccessKey:
    """The record of an access key, without its secret (which the server does not have)."""

    key_id: str
    access_key_id: str
    subscription_id: str
    region: str
    capability: str
    description: str
    state: KeyState
    connect_url: str  # empty once revoked
    relay_url: str
    created_at: float
    created_by: str
    expires_at: float | None = None
    revoked_at: float | None = None
    revoked_by: str = ""
    apps: tuple[str, ...] = ()  # names of the associated apps
    allowed_ports: tuple[int, ...] | None = None  # app ports that its agents may offer; None: any
    allowed_sources: tuple[str, ...] | None = None  # networks that its agents may dial from; None: any
    last_used_at: float | None = None  # no older than a minute while an agent is attached
    last_used_from: str = ""
    last_used_instance: str = ""  # 32 hex digits
    last_used_version: str = ""
    expiry_warning: int | None = None  # 14, 7 or 1: it expires within so many days
    rotation: "Rotation | None" = None
    epoch: int = 0  # of its region at its last change: what an ETag is made of


@dataclass(frozen=True, slots=True)
class Rotation:
    """The old of two secrets lives until `ends_at`; None: the new one was not used yet."""

    started_at: float
    grace: float  # seconds from the first use of the new secret
    ends_at: float | None = None
    old_instances: int | None = None  # agents that are attached by the old one now; None: not asked


@dataclass(frozen=True, slots=True)
class NewAccessKey:
    """A key just made, with the secret that is shown this once. Never stored, never logged.

    `secret` is None when the caller gave a public key: then the secret was never here.
    """

    key: AccessKey
    secret: SecretText | None


@dataclass(frozen=True, slots=True)
class App:
    """A cloud program. `key_id` is its association; it outlives a revoked key until removed by hand."""

    app_id: str
    name: str
    subscription_id: str
    capability: str
    created_at: float
    key_id: str = ""
    access_key_id: str = ""
    region: str = ""
    key_state: KeyState | None = None


@dataclass(frozen=True, slots=True)
class AppCredential:
    """The record of an app's credential, without its secret (which the server does not have)."""

    credential_id: str
    app_id: str
    created_at: float
    created_by: str
    revoked_at: float | None = None
    revoked_by: str = ""
    last_used_at: float | None = None  # no older than a minute while a sidecar is attached
    last_used_from: str = ""
    last_used_version: str = ""


@dataclass(frozen=True, slots=True)
class NewAppCredential:
    """A credential just made, with the secret that is shown this once. Never stored, never logged."""

    credential: AppCredential
    secret: SecretText


@dataclass(frozen=True, slots=True)
class AssociateResult:
    """An app whose association was just made or removed."""

    app: App
    pending_relays: tuple[str, ...] = ()  # as in `RevokeResult`


@dataclass(frozen=True, slots=True)
class RevokeCredentialResult:
    """A credential that is revoked, just now or already."""

    credential: AppCredential
    pending_relays: tuple[str, ...] = ()  # as in `RevokeResult`


@dataclass(frozen=True, slots=True)
class Cut:
    """What a revoke (or suspend) cut, or in a dry run would cut, on the relays that answered."""

    key_id: str
    tunnels: int = 0
    streams: int = 0
    milliseconds: float = 0.0  # from the commit to the last cut


@dataclass(frozen=True, slots=True)
class RevokeResult:
    """What became of one key in a revoke of many. `result`: revoked, already-revoked or not-found."""

    access_key_id: str
    key_id: str
    result: str
    cut: Cut | None = None
    apps: tuple[str, ...] = ()  # apps whose association is still to be removed by hand
    pending_relays: tuple[str, ...] = ()  # of other processes, that have not said within a second: done


@dataclass(frozen=True, slots=True)
class SuspendResult:
    """A key just suspended, and what that cut."""

    key: AccessKey
    cut: Cut | None = None  # None: it was suspended already
    pending_relays: tuple[str, ...] = ()  # as in `RevokeResult`


# --- what the control plane answers -----------------------------------------------------------

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list. `next_cursor` asks for the part after it and is empty on the last one."""

    items: tuple[Item, ...]
    next_cursor: str = ""


@dataclass(frozen=True, slots=True)
class AppStatus:
    """An app, and what it could reach now: the app ports that live tunnels of its key offer."""

    app: App
    tunnels: int
    ports: tuple[int, ...]
    sidecars: int = 0  # of it that are attached now


@dataclass(frozen=True, slots=True)
class SubscriptionInfo:
    """A subscription with what it has used of its quotas, one `Quota` of access keys for each region."""

    subscription: Subscription
    access_keys: tuple[Quota, ...]


@dataclass(frozen=True, slots=True)
class Membership:
    """One subscription that a caller may see, and the caller's role in it."""

    locator: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Who the caller is."""

    caller_id: str
    name: str
    organization_id: str
    organization: str  # its name
    role: Role
    subscriptions: tuple[Membership, ...]


@dataclass(frozen=True, slots=True)
class ApiToken:
    """The record of an API token, without its secret (of which the server has a hash)."""

    token_id: str
    name: str
    role: Role
    created_at: float
    created_by: str
    locator: str = ""  # the subscription of a team_admin's token
    expires_at: float | None = None
    last_used_at: float | None = None


@dataclass(frozen=True, slots=True)
class NewApiToken:
    """A token just made, with the text that is shown this once."""

    token: ApiToken
    secret: SecretText


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who did what to what, and when. `details` never holds a secret."""

    event_id: int
    at: float
    actor_id: str
    actor: str  # the name at that time
    action: str  # "key.generate", "app.associate" …
    object_id: str
    object_name: str
    region: str = ""
    details: dict[str, str | int | bool | None] = field(default_factory=dict)
