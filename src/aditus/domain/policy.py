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

from aditus.domain.model import (
    AccessKey,
    App,
    Caller,
    KeyState,
    RelayKey,
    RelaySecret,
    Role,
    Subscription,
)


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

OF_ORGANIZATION: Mapping[Operation, frozenset[Role]] = MappingProxyType(
    {
        Operation.USERINFO_SHOW: _EVERYONE,
        Operation.TOKENS_CREATE: _EVERYONE,
        Operation.TOKENS_LIST: _EVERYONE,
        Operation.TOKENS_REVOKE: _EVERYONE,
        Operation.SESSIONS_LIST: _EVERYONE,
        Operation.SESSIONS_END: _EVERYONE,
        Operation.PASSWORD_CHANGE: _EVERYONE,
        Operation.MEMBERS_LIST: _OWNERS,
        Operation.MEMBERS_UPDATE: _OWNERS,
        Operation.MEMBERS_REMOVE: _OWNERS,
        Operation.INVITATIONS_CREATE: _OWNERS,
        Operation.INVITATIONS_LIST: _OWNERS,
        Operation.INVITATIONS_DELETE: _OWNERS,
        Operation.REGIONS_ADD: _OPERATOR,
        Operation.REGIONS_LIST: _OWNERS,
        Operation.SUBSCRIPTIONS_ADD: _OWNERS,
        Operation.SUBSCRIPTIONS_LIST: _EVERYONE,
    }
)
"""Operations that concern no single subscription, and the roles that may do them."""

OF_SUBSCRIPTION: Mapping[Operation, frozenset[Role]] = MappingProxyType(
    {
        Operation.SUBSCRIPTION_SHOW: _EVERYONE,
        Operation.KEYS_GENERATE: _ADMINS,
        Operation.KEYS_LIST: _EVERYONE,
        Operation.KEYS_UPDATE: _ADMINS,
        Operation.KEYS_SUSPEND: _ADMINS,
        Operation.KEYS_RESUME: _ADMINS,
        Operation.KEYS_ROTATE: _ADMINS,
        Operation.KEYS_REVOKE: _ADMINS,
        Operation.APPS_CREATE: _ADMINS,
        Operation.APPS_LIST: _EVERYONE,
        Operation.APPS_UPDATE: _ADMINS,
        Operation.APPS_DELETE: _ADMINS,
        Operation.APPS_ASSOCIATE: _ADMINS,
        Operation.APPS_DISSOCIATE: _ADMINS,
        Operation.APPS_CREDENTIAL: _ADMINS,
        Operation.TUNNELS_LIST: _EVERYONE,
        Operation.TUNNELS_CUT: _ADMINS,
        Operation.STREAMS_LIST: _EVERYONE,
        Operation.EVENTS_FOLLOW: _EVERYONE,
        Operation.AUDIT_LIST: _EVERYONE,
        Operation.AUDIT_VERIFY: _OWNERS,
        Operation.AUDIT_EXPORT: _OWNERS,
        Operation.STRANGERS_LIST: _OWNERS,
        Operation.CAPABILITIES_ADD: _OWNERS,
        Operation.CAPABILITIES_REMOVE: _OWNERS,
    }
)
"""Operations within one subscription, and the roles that may do them there."""


OF_PERSON = frozenset({Operation.SESSIONS_LIST, Operation.SESSIONS_END, Operation.PASSWORD_CHANGE})
"""What only somebody who is signed in may do: a token must not end its user's sessions."""


def allowed(operation: Operation, caller: Caller, subscription: Subscription | None) -> Verdict:
    """Whether `caller` may do `operation`, in `subscription` where it concerns one (None: there is none).

    Denied: `not-found` (no such subscription for this caller), `read-only` (a member may only look),
    `owner-only`, `operator-only`, `people-only` (no token may).
    """
    if operation in OF_PERSON and not caller.is_person:
        return Denied("people-only")
    if operation in OF_ORGANIZATION:
        return _by_role(OF_ORGANIZATION[operation], frozenset({caller.role}))
    if subscription is None or subscription.organization_id != caller.organization_id:
        return Denied("not-found")
    roles = {caller.role} - {Role.TEAM_ADMIN}  # of this subscription only if it is named
    if subscription.subscription_id in caller.team_admin_of:
        roles.add(Role.TEAM_ADMIN)
    if not roles:
        return Denied("not-found")
    return _by_role(OF_SUBSCRIPTION.get(operation, _OPERATOR), frozenset(roles))


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
