"""What answers hold: the domain's values, with times as text. Secrets stand in those named `New…` alone."""

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from aditus.control.api.texts import SentTime
from aditus.domain.audit_chain import Fault
from aditus.domain.model import (
    AppCredential,
    AssociateResult,
    KeyState,
    NewAccessKey,
    NewApiToken,
    NewAppCredential,
    RevokeCredentialResult,
    Role,
    SubscriptionInfo,
    UserInfo,
)
from aditus.domain.people import NewInvitation
from aditus.domain.tenants import SubscriptionRegion


class Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


Item = TypeVar("Item")


class PageAnswer(Answer, Generic[Item]):
    """A part of a list. `next_cursor` asks for the part after it and is empty on the last one."""

    items: list[Item]
    next_cursor: str = ""


class CutAnswer(Answer):
    """What was cut, or would be. `milliseconds` from the commit to the last cut."""

    key_id: str
    tunnels: int
    streams: int
    milliseconds: float


class RotationAnswer(Answer):
    """The old secret lives until `ends_at`: `grace` seconds from the first use of the new one."""

    started_at: SentTime
    grace: float
    ends_at: SentTime | None
    old_instances: int | None


class KeyAnswer(Answer):
    key_id: str
    access_key_id: str
    subscription_id: str
    region: str
    capability: str
    description: str
    state: KeyState
    connect_url: str
    relay_url: str
    created_at: SentTime
    created_by: str
    expires_at: SentTime | None
    revoked_at: SentTime | None
    revoked_by: str
    apps: list[str]
    allowed_ports: list[int] | None
    allowed_sources: list[str] | None
    last_used_at: SentTime | None
    last_used_from: str
    last_used_instance: str
    last_used_version: str
    expiry_warning: int | None
    rotation: RotationAnswer | None
    epoch: int


class NewKeyAnswer(KeyAnswer):
    """`secret_access_key` is shown this once; null when the caller gave a public key."""

    secret_access_key: str | None

    @classmethod
    def of(cls, new: NewAccessKey) -> "NewKeyAnswer":
        shown = KeyAnswer.model_validate(new.key).model_dump()
        return cls(**shown, secret_access_key=new.secret.reveal() if new.secret else None)


class SuspendAnswer(Answer):
    key: KeyAnswer
    cut: CutAnswer | None
    pending_relays: list[str]


class RevokeResultAnswer(Answer):
    access_key_id: str
    key_id: str
    result: str
    cut: CutAnswer | None
    apps: list[str]
    pending_relays: list[str]


class RevokeAnswer(Answer):
    dry_run: bool
    results: list[RevokeResultAnswer]


class AppAnswer(Answer):
    app_id: str
    name: str
    subscription_id: str
    capability: str
    created_at: SentTime
    key_id: str
    access_key_id: str
    region: str
    key_state: KeyState | None


class AssociateAnswer(AppAnswer):
    """`pending_relays`: of other servers, that have not said within a second that they know of it."""

    pending_relays: list[str]

    @classmethod
    def of(cls, result: AssociateResult) -> "AssociateAnswer":
        shown = AppAnswer.model_validate(result.app).model_dump()
        return cls(**shown, pending_relays=list(result.pending_relays))


class AppStatusAnswer(Answer):
    """`ports`: those that its sidecars can reach now. `sidecars`: how many are attached."""

    app: AppAnswer
    tunnels: int
    ports: list[int]
    sidecars: int


class CredentialAnswer(Answer):
    credential_id: str
    app_id: str
    created_at: SentTime
    created_by: str
    revoked_at: SentTime | None
    revoked_by: str
    last_used_at: SentTime | None
    last_used_from: str
    last_used_version: str


class NewCredentialAnswer(CredentialAnswer):
    """`app_secret` is shown this once; null when the caller gave a public key."""

    app_secret: str | None

    @classmethod
    def of(cls, made: NewAppCredential | AppCredential) -> "NewCredentialAnswer":
        if isinstance(made, AppCredential):
            return cls(**CredentialAnswer.model_validate(made).model_dump(), app_secret=None)
        shown = CredentialAnswer.model_validate(made.credential).model_dump()
        return cls(**shown, app_secret=made.secret.reveal())


class RevokeCredentialAnswer(CredentialAnswer):
    """`pending_relays` as of an association."""

    pending_relays: list[str]

    @classmethod
    def of(cls, result: RevokeCredentialResult) -> "RevokeCredentialAnswer":
        shown = CredentialAnswer.model_validate(result.credential).model_dump()
        return cls(**shown, pending_relays=list(result.pending_relays))


class SidecarAnswer(Answer):
    """A sidecar that is attached now; `ports` are those that it was told it can reach."""

    app_id: str
    subscription_id: str
    credential_id: str
    instance: str
    slot: int
    version: str
    host: str
    peer: str
    attached_at: SentTime
    ports: list[int]
    streams: int
    streams_total: int
    bytes_in: int
    bytes_out: int
    rtt_ms: float | None


class PortAnswer(Answer):
    port: int
    accepted: bool
    verdict: str
    detail: str


class TunnelAnswer(Answer):
    tunnel_id: str
    key_id: str
    access_key_id: str
    subscription_id: str
    region: str
    instance: str
    slot: int
    agent_version: str
    agent_host: str
    peer: str
    attached_at: SentTime
    ports: list[PortAnswer]
    streams: int
    streams_total: int
    bytes_in: int
    bytes_out: int
    rtt_ms: float | None
    old_secret: bool


class StreamAnswer(Answer):
    tunnel_id: str
    stream: int
    port: int
    source: str
    opened_at: SentTime
    bytes_in: int
    bytes_out: int


class StreamRecordAnswer(Answer):
    """A finished stream. `app_id` is empty for the relay's own listener; `setup_ms` null: never accepted."""

    record_id: int
    region: str
    key_id: str
    access_key_id: str
    subscription_id: str
    tunnel_id: str
    instance: str
    port: int
    app_id: str
    source: str
    opened_at: SentTime
    finished_at: SentTime
    bytes_in: int
    bytes_out: int
    setup_ms: float | None
    reason: str


class AuditEventAnswer(Answer):
    event_id: int
    at: SentTime
    actor_id: str
    actor: str
    action: str
    object_id: str
    object_name: str
    region: str
    details: dict[str, str | int | bool | None]


class HeadAnswer(Answer):
    """The end of an audit chain; `SEQUENCE:HASH` is what to keep of it."""

    sequence: int
    hash: str


class BreakAnswer(Answer):
    """The first place where a chain does not hold; `event_id` null: no entry is there."""

    fault: Fault
    sequence: int
    event_id: int | None


class VerificationAnswer(Answer):
    ok: bool
    entries: int
    first: int
    head: HeadAnswer
    fault: BreakAnswer | None


class StrangerRefusalAnswer(Answer):
    """`minute` in Unix seconds // 60; an empty source: those beyond the bound, together."""

    minute: int
    source: str
    reason: str
    refusals: int


class OrganizationAnswer(Answer):
    organization_id: str
    name: str
    role: Role


class MembershipAnswer(Answer):
    locator: str
    name: str
    roles: list[Role]


class UserInfoAnswer(Answer):
    caller_id: str
    name: str
    organizations: list[OrganizationAnswer]
    subscriptions: list[MembershipAnswer]

    @classmethod
    def of(cls, info: UserInfo) -> "UserInfoAnswer":
        return cls(
            caller_id=info.caller_id,
            name=info.name,
            organizations=[
                OrganizationAnswer(
                    organization_id=info.organization_id, name=info.organization, role=info.role
                )
            ],
            subscriptions=[
                MembershipAnswer(locator=one.locator, name=one.name, roles=[one.role])
                for one in info.subscriptions
            ],
        )


class QuotaAnswer(Answer):
    used: int
    limit: int


class QuotasAnswer(Answer):
    """By region."""

    access_keys: dict[str, QuotaAnswer]


class SubscriptionAnswer(Answer):
    subscription_id: str
    organization_id: str
    locator: str
    name: str
    capabilities: list[str]
    regions: list[str]
    quotas: QuotasAnswer

    @classmethod
    def of(cls, info: SubscriptionInfo) -> "SubscriptionAnswer":
        one = info.subscription
        used = {quota.region: QuotaAnswer.model_validate(quota) for quota in info.access_keys}
        return cls(
            subscription_id=one.subscription_id,
            organization_id=one.organization_id,
            locator=one.locator,
            name=one.name,
            capabilities=list(one.capabilities),
            regions=list(one.regions),
            quotas=QuotasAnswer(access_keys=used),
        )


class RegionAnswer(Answer):
    name: str
    relay_url: str


class SubscriptionRegionAnswer(Answer):
    """What a subscription may use in one region."""

    region: str
    capabilities: list[str]
    access_keys: QuotaAnswer

    @classmethod
    def of(cls, found: SubscriptionRegion) -> "SubscriptionRegionAnswer":
        quota = QuotaAnswer(used=found.used, limit=found.limit)
        return cls(region=found.region, capabilities=list(found.capabilities), access_keys=quota)


class TokenAnswer(Answer):
    token_id: str
    name: str
    role: Role
    created_at: SentTime
    created_by: str
    locator: str
    expires_at: SentTime | None
    last_used_at: SentTime | None


class NewTokenAnswer(TokenAnswer):
    """`token` is shown this once."""

    token: str

    @classmethod
    def of(cls, new: NewApiToken) -> "NewTokenAnswer":
        shown = TokenAnswer.model_validate(new.token).model_dump()
        return cls(**shown, token=new.secret.reveal())


class SessionAnswer(Answer):
    session_id: str
    created_at: SentTime
    seen_at: SentTime
    source: str
    user_agent: str
    current: bool


class MemberAnswer(Answer):
    user_id: str
    email: str
    role: Role
    created_at: SentTime
    team_admin_of: list[str]


class InvitationAnswer(Answer):
    invitation_id: str
    email: str
    role: Role
    created_at: SentTime
    created_by: str
    expires_at: SentTime
    locator: str


class NewInvitationAnswer(InvitationAnswer):
    """`link` is shown this once; what stands behind its # is sent to no server."""

    link: str

    @classmethod
    def of(cls, new: NewInvitation, base_url: str) -> "NewInvitationAnswer":
        shown = InvitationAnswer.model_validate(new.invitation).model_dump()
        return cls(**shown, link=f"{base_url}invitation#{new.secret.reveal()}")


class HealthAnswer(Answer):
    status: str


class Problem(Answer):
    """RFC 9457. `type` ends in the code, `reason` is for programs, `detail` and `remedy` are for people."""

    type: str
    title: str
    status: int
    detail: str
    reason: str
    remedy: str = ""
    field: str = ""
    request_id: str
    key_id: str = ""  # of an idempotent replay; or one of the next
    app_id: str = ""
    credential_id: str = ""
    token_id: str = ""
