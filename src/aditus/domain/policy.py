"""Who may do what, and what a key allows: pure functions whose answers carry their reason. Default: deny.

The reasons are stable tokens. `not-found` also covers what belongs to another organisation, so that an
answer never tells a stranger what exists; the others may be shown to the caller.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from types import MappingProxyType
from typing import Literal

from aditus.domain.model import AccessKey, App, Caller, KeyState, Role, Subscription
from aditus.domain.relays import RelayCredential, RelayKey, RelaySecret


@dataclass(frozen=True, slots=True)
class Granted:
    """Yes. True where a condition is wanted."""

    def __bool__(self) -> Literal[True]:
        return True


@dataclass(frozen=True, slots=True)
class Denied:
    """No, and why, as a stable token. False where a condition is wanted."""

    reason: str

    def __bool__(self) -> Literal[False]:
        return False


WARNING_DAYS = (1, 7, 14)
"""Before a key expires: when its people and agents are told."""

Verdict = Granted | Denied
GRANTED = Granted()


class Operation(StrEnum):
    """Everything that can be asked of the control plane. `*.list` covers showing a single one."""

    USERINFO_SHOW = "userinfo.show"
    TOKENS_CREATE = "tokens.create"  # tokens are always the caller's own, with at most the caller's rights
    TOKENS_LIST = "tokens.list"
    TOKENS_REVOKE = "tokens.revoke"
    SUBSCRIPTION_SHOW = "subscription.show"
    KEYS_GENERATE = "keys.generate"
    KEYS_LIST = "keys.list"
    KEYS_UPDATE = "keys.update"
    KEYS_SUSPEND = "keys.suspend"
    KEYS_RESUME = "keys.resume"
    KEYS_ROTATE = "keys.rotate"
    KEYS_REVOKE = "keys.revoke"
    APPS_CREATE = "apps.create"
    APPS_LIST = "apps.list"
    APPS_UPDATE = "apps.update"
    APPS_DELETE = "apps.delete"
    APPS_ASSOCIATE = "apps.associate"
    APPS_DISSOCIATE = "apps.dissociate"
    APPS_CREDENTIAL = "apps.credential"
    TUNNELS_LIST = "tunnels.list"
    TUNNELS_CUT = "tunnels.cut"
    STREAMS_LIST = "streams.list"
    EVENTS_FOLLOW = "events.follow"
    AUDIT_LIST = "audit.list"
    AUDIT_VERIFY = "audit.verify"  # the chain is the organisation's, and so only for its owners
    AUDIT_EXPORT = "audit.export"
    STRANGERS_LIST = "strangers.list"
    SESSIONS_LIST = "sessions.list"  # sessions and password are always the caller's own
    SESSIONS_END = "sessions.end"
    PASSWORD_CHANGE = "password.change"
    MEMBERS_LIST = "members.list"
    MEMBERS_UPDATE = "members.update"
    MEMBERS_REMOVE = "members.remove"
    INVITATIONS_CREATE = "invitations.create"
    INVITATIONS_LIST = "invitations.list"
    INVITATIONS_DELETE = "invitations.delete"
    REGIONS_ADD = "regions.add"
    REGIONS_LIST = "regions.list"
    SUBSCRIPTIONS_ADD = "subscriptions.add"
    SUBSCRIPTIONS_LIST = "subscriptions.list"  # those that the caller may see
    CAPABILITIES_ADD = "capabilities.add"
    CAPABILITIES_REMOVE = "capabilities.remove"


_EVERYONE = frozenset({Role.OWNER, Role.TEAM_ADMIN, Role.MEMBER})
_ADMINS = frozenset({Role.OWNER, Role.TEAM_ADMIN})
_OWNERS = frozenset({Role.OWNER})
_OPERATOR: frozenset[Role] = frozenset()  # no role reaches it: `aditus admin`, at the machine itself


class Scope(StrEnum):
    """What an operation is about, and so whose role counts."""

    ORGANIZATION = "organization"
    PERSON = "person"  # the caller's own sign-in: no token may, or it could end its user's sessions
    SUBSCRIPTION = "subscription"  # one that is named: its team administrators count too


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table: what an operation is about, and the roles that may do it."""

    scope: Scope
    roles: frozenset[Role]


TABLE: Mapping[Operation, Rule] = MappingProxyType(
    {
        Operation.USERINFO_SHOW: Rule(Scope.ORGANIZATION, _EVERYONE),
        Operation.TOKENS_CREATE: Rule(Scope.ORGANIZATION, _EVERYONE),
        Operation.TOKENS_LIST: Rule(Scope.ORGANIZATION, _EVERYONE),
        Operation.TOKENS_REVOKE: Rule(Scope.ORGANIZATION, _EVERYONE),
        Operation.SESSIONS_LIST: Rule(Scope.PERSON, _EVERYONE),
        Operation.SESSIONS_END: Rule(Scope.PERSON, _EVERYONE),
        Operation.PASSWORD_CHANGE: Rule(Scope.PERSON, _EVERYONE),
        Operation.MEMBERS_LIST: Rule(Scope.ORGANIZATION, _OWNERS),
        Operation.MEMBERS_UPDATE: Rule(Scope.ORGANIZATION, _OWNERS),
        Operation.MEMBERS_REMOVE: Rule(Scope.ORGANIZATION, _OWNERS),
        Operation.INVITATIONS_CREATE: Rule(Scope.ORGANIZATION, _OWNERS),
        Operation.INVITATIONS_LIST: Rule(Scope.ORGANIZATION, _OWNERS),
        Operation.INVITATIONS_DELETE: Rule(Scope.ORGANIZATION, _OWNERS),
        Operation.REGIONS_ADD: Rule(Scope.ORGANIZATION, _OPERATOR),
        Operation.REGIONS_LIST: Rule(Scope.ORGANIZATION, _OWNERS),
        Operation.SUBSCRIPTIONS_ADD: Rule(Scope.ORGANIZATION, _OWNERS),
        Operation.SUBSCRIPTIONS_LIST: Rule(Scope.ORGANIZATION, _EVERYONE),
        Operation.SUBSCRIPTION_SHOW: Rule(Scope.SUBSCRIPTION, _EVERYONE),
        Operation.KEYS_GENERATE: Rule(Scope.SUBSCRIPTION, _ADMINS),
        Operation.KEYS_LIST: Rule(Scope.SUBSCRIPTION, _EVERYONE),
        Operation.KEYS_UPDATE: Rule(Scope.SUBSCRIPTION, _ADMINS),
        Operation.KEYS_SUSPEND: Rule(Scope.SUBSCRIPTION, _ADMINS),
        Operation.KEYS_RESUME: Rule(Scope.SUBSCRIPTION, _ADMINS),
        Operation.KEYS_ROTATE: Rule(Scope.SUBSCRIPTION, _ADMINS),
        Operation.KEYS_REVOKE: Rule(Scope.SUBSCRIPTION, _ADMINS),
        Operation.APPS_CREATE: Rule(Scope.SUBSCRIPTION, _ADMINS),
        Operation.APPS_LIST: Rule(Scope.SUBSCRIPTION, _EVERYONE),
        Operation.APPS_UPDATE: Rule(Scope.SUBSCRIPTION, _ADMINS),
        Operation.APPS_DELETE: Rule(Scope.SUBSCRIPTION, _ADMINS),
        Operation.APPS_ASSOCIATE: Rule(Scope.SUBSCRIPTION, _ADMINS),
        Operation.APPS_DISSOCIATE: Rule(Scope.SUBSCRIPTION, _ADMINS),
        Operation.APPS_CREDENTIAL: Rule(Scope.SUBSCRIPTION, _ADMINS),
        Operation.TUNNELS_LIST: Rule(Scope.SUBSCRIPTION, _EVERYONE),
        Operation.TUNNELS_CUT: Rule(Scope.SUBSCRIPTION, _ADMINS),
        Operation.STREAMS_LIST: Rule(Scope.SUBSCRIPTION, _EVERYONE),
        Operation.EVENTS_FOLLOW: Rule(Scope.SUBSCRIPTION, _EVERYONE),
        Operation.AUDIT_LIST: Rule(Scope.SUBSCRIPTION, _EVERYONE),
        Operation.AUDIT_VERIFY: Rule(Scope.SUBSCRIPTION, _OWNERS),
        Operation.AUDIT_EXPORT: Rule(Scope.SUBSCRIPTION, _OWNERS),
        Operation.STRANGERS_LIST: Rule(Scope.SUBSCRIPTION, _OWNERS),
        Operation.CAPABILITIES_ADD: Rule(Scope.SUBSCRIPTION, _OWNERS),
        Operation.CAPABILITIES_REMOVE: Rule(Scope.SUBSCRIPTION, _OWNERS),
    }
)
"""Every operation, and who may do it. Whatever is not granted here is denied."""


def allowed(operation: Operation, caller: Caller, subscription: Subscription | None) -> Verdict:
    """Whether `caller` may do `operation`, in `subscription` where it concerns one (None: there is none).

    Denied: `not-found` (no such subscription for this caller), `read-only` (a member may only look),
    `owner-only`, `operator-only`, `people-only` (no token may).
    """
    rule = TABLE[operation]
    if rule.scope is Scope.PERSON and not caller.is_person:
        return Denied("people-only")
    if rule.scope is not Scope.SUBSCRIPTION:
        return _by_role(rule.roles, frozenset({caller.role}))
    if subscription is None or subscription.organization_id != caller.organization_id:
        return Denied("not-found")
    roles = {caller.role} - {Role.TEAM_ADMIN}  # of this subscription only if it is named
    if subscription.subscription_id in caller.team_admin_of:
        roles.add(Role.TEAM_ADMIN)
    if not roles:
        return Denied("not-found")
    return _by_role(rule.roles, frozenset(roles))


def may_generate(caller: Caller, subscription: Subscription | None, region: str, capability: str) -> Verdict:
    """Whether `caller` may generate a key for `capability` in `region` (the quota is the store's to check).

    Denied: as `allowed`, `not-found` for an unknown region, `no-capability`.
    """
    verdict = allowed(Operation.KEYS_GENERATE, caller, subscription)
    if not verdict or subscription is None:
        return verdict
    if region not in subscription.regions:
        return Denied("not-found")
    return GRANTED if capability in subscription.capabilities else Denied("no-capability")


def may_associate(app: App, key: AccessKey) -> Verdict:
    """Whether `app` may use the tunnels of `key`. Denied: `not-found`, `revoked`, `capability-mismatch`.

    A suspended or expired key may be associated: both can come back to life.
    """
    if app.subscription_id != key.subscription_id:
        return Denied("not-found")
    if key.state is KeyState.REVOKED:
        return Denied("revoked")
    return GRANTED if app.capability == key.capability else Denied("capability-mismatch")


def key_verdict(key: RelayKey, now: float) -> Verdict:
    """Whether `key` may attach and open streams at `now` (Unix seconds).

    Denied: `revoked`, `replaced`, `expired`, `suspended`, in this order: what cannot be undone first.
    """
    if key.state in (KeyState.REVOKED, KeyState.REPLACED):
        return Denied(key.state.value)
    if key.state is KeyState.EXPIRED or (key.expires_at is not None and key.expires_at <= now):
        return Denied(KeyState.EXPIRED.value)
    return GRANTED if key.state is KeyState.ACTIVE else Denied(KeyState.SUSPENDED.value)


def port_verdict(key: RelayKey, port: int) -> Verdict:
    """Whether `key` may carry app port `port` (None: any, empty set: none). Denied: `port-not-allowed`."""
    if key.allowed_ports is None or port in key.allowed_ports:
        return GRANTED
    return Denied("port-not-allowed")


def secret_verdict(secret: RelaySecret, now: float) -> Verdict:
    """Whether this secret of a key may attach at `now`. Denied: `replaced`."""
    if secret.ends_at is not None and secret.ends_at <= now:
        return Denied(KeyState.REPLACED.value)
    return GRANTED


def source_verdict(key: RelayKey, source: str) -> Verdict:
    """Whether agents of `key` may dial from the address `source` (None: any). Denied: `address-not-allowed`.

    An IPv4 address counts as itself when it comes mapped into IPv6; what is no address is denied.
    """
    if key.allowed_sources is None:
        return GRANTED
    try:
        address = ip_address(source.partition("%")[0])
    except ValueError:
        return Denied("address-not-allowed")
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in key.allowed_sources):
        return GRANTED
    return Denied("address-not-allowed")


def attach_verdict(key: RelayKey, public_key: bytes, source: str, now: float) -> Verdict:
    """Whether whoever holds this secret of `key` may be attached from `source` at `now`.

    Denied: as `key_verdict`, `secret_verdict` and `source_verdict`, in this order.
    """
    verdict = key_verdict(key, now)
    if verdict:
        secret = next((one for one in key.secrets if one.public_key == public_key), None)
        verdict = Denied(KeyState.REPLACED.value) if secret is None else secret_verdict(secret, now)
    return verdict and source_verdict(key, source)


def credential_verdict(credential: RelayCredential) -> Verdict:
    """Whether whoever holds this credential of an app may be attached. Denied: `revoked`."""
    return Denied(KeyState.REVOKED.value) if credential.revoked else GRANTED


def expiry_warning(expires_at: float | None, now: float) -> int | None:
    """1, 7 or 14: the key expires within so many days, and has not yet; None: it has longer, or has."""
    if expires_at is None or expires_at <= now:
        return None
    return next((days for days in WARNING_DAYS if expires_at - now <= days * 86_400), None)


def _by_role(wanted: frozenset[Role], roles: frozenset[Role]) -> Verdict:
    if wanted & roles:
        return GRANTED
    if not wanted:
        return Denied("operator-only")
    return Denied("owner-only" if wanted == _OWNERS else "read-only")
