"""Who may do what: the whole table, and what is denied to strangers."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.domain.model import AccessKey, App, Caller, KeyState, Role, Subscription
from aditus.domain.policy import (
    TABLE,
    Denied,
    Granted,
    Operation,
    Scope,
    allowed,
    attach_verdict,
    credential_verdict,
    expiry_warning,
    key_verdict,
    may_associate,
    may_generate,
    port_verdict,
    secret_verdict,
    source_verdict,
)
from aditus.domain.relays import RelayCredential, RelayKey, RelaySecret

SUBSCRIPTION = Subscription("sub1", "org1", "loc1", "Ours", ("integration",), ("local",))
OTHER = replace(SUBSCRIPTION, subscription_id="sub2", locator="loc2")
FOREIGN = replace(SUBSCRIPTION, subscription_id="sub3", organization_id="org2")

OWNER = Caller("u1", "owner", "org1", Role.OWNER)
MEMBER = Caller("u2", "member", "org1", Role.MEMBER)
TEAM_ADMIN = Caller("u3", "admin", "org1", Role.TEAM_ADMIN, frozenset({"sub1"}))
PROMOTED = Caller("u4", "both", "org1", Role.MEMBER, frozenset({"sub1"}))  # member, and team admin of one

READING = {
    Operation.SUBSCRIPTION_SHOW,
    Operation.KEYS_LIST,
    Operation.APPS_LIST,
    Operation.TUNNELS_LIST,
    Operation.STREAMS_LIST,
    Operation.EVENTS_FOLLOW,
    Operation.AUDIT_LIST,
}

OWNERS_ALONE = {
    Operation.AUDIT_VERIFY,
    Operation.AUDIT_EXPORT,
    Operation.STRANGERS_LIST,
    Operation.CAPABILITIES_ADD,
    Operation.CAPABILITIES_REMOVE,
}


def of(scope: Scope) -> list[Operation]:
    return [operation for operation, rule in TABLE.items() if rule.scope is scope]


def test_every_operation_stands_in_the_table() -> None:
    assert TABLE.keys() == set(Operation)


@pytest.mark.parametrize("operation", of(Scope.SUBSCRIPTION))
def test_within_a_subscription_members_read_and_its_admins_and_owners_do_all(operation: Operation) -> None:
    reading = operation in READING
    assert allowed(operation, OWNER, SUBSCRIPTION)
    if operation in OWNERS_ALONE:
        for other in (TEAM_ADMIN, PROMOTED, MEMBER):
            assert allowed(operation, other, SUBSCRIPTION) == Denied("owner-only")
        return
    assert allowed(operation, TEAM_ADMIN, SUBSCRIPTION)
    assert allowed(operation, PROMOTED, SUBSCRIPTION)
    assert allowed(operation, MEMBER, SUBSCRIPTION) == (Granted() if reading else Denied("read-only"))


@pytest.mark.parametrize("operation", of(Scope.SUBSCRIPTION))
def test_a_team_admin_is_one_of_the_named_subscription_alone(operation: Operation) -> None:
    reading = operation in READING
    assert allowed(operation, TEAM_ADMIN, OTHER) == Denied("not-found")
    denied = Denied("owner-only" if operation in OWNERS_ALONE else "read-only")
    assert allowed(operation, PROMOTED, OTHER) == (Granted() if reading else denied)


@pytest.mark.parametrize("operation", of(Scope.SUBSCRIPTION))
@pytest.mark.parametrize(
    "caller", [OWNER, MEMBER, TEAM_ADMIN, replace(OWNER, team_admin_of=frozenset({"sub3"}))]
)
def test_what_is_another_organisations_is_not_there(operation: Operation, caller: Caller) -> None:
    assert allowed(operation, caller, FOREIGN) == Denied("not-found")
    assert allowed(operation, caller, None) == Denied("not-found")


@pytest.mark.parametrize("caller", [OWNER, MEMBER, TEAM_ADMIN])
def test_everyone_has_tokens_sessions_and_a_password_of_their_own(caller: Caller) -> None:
    for operation in (
        Operation.USERINFO_SHOW,
        Operation.TOKENS_CREATE,
        Operation.TOKENS_LIST,
        Operation.TOKENS_REVOKE,
    ):
        assert allowed(operation, caller, None)
    for operation in of(Scope.PERSON):
        assert allowed(operation, replace(caller, is_person=True), None)
        assert allowed(operation, caller, None) == Denied("people-only")  # a token


def test_members_and_invitations_are_the_owners_matter() -> None:
    for operation in (
        Operation.MEMBERS_LIST,
        Operation.MEMBERS_UPDATE,
        Operation.MEMBERS_REMOVE,
        Operation.INVITATIONS_CREATE,
        Operation.INVITATIONS_LIST,
        Operation.INVITATIONS_DELETE,
    ):
        assert allowed(operation, OWNER, None)
        assert allowed(operation, MEMBER, None) == Denied("owner-only")
        assert allowed(operation, TEAM_ADMIN, None) == Denied("owner-only")


def test_owners_add_subscriptions_and_all_list_those_that_they_see() -> None:
    for operation in (Operation.SUBSCRIPTIONS_ADD, Operation.REGIONS_LIST):
        assert allowed(operation, OWNER, None)
        assert allowed(operation, MEMBER, None) == Denied("owner-only")
        assert allowed(operation, TEAM_ADMIN, None) == Denied("owner-only")
    for caller in (OWNER, MEMBER, TEAM_ADMIN):
        assert allowed(Operation.SUBSCRIPTIONS_LIST, caller, None)


@pytest.mark.parametrize("caller", [OWNER, MEMBER, TEAM_ADMIN])
def test_what_belongs_to_the_operator_is_reached_by_no_role(caller: Caller) -> None:
    assert allowed(Operation.REGIONS_ADD, caller, SUBSCRIPTION) == Denied("operator-only")


def test_verdicts_are_conditions() -> None:
    assert bool(Granted()) is True
    assert bool(Denied("read-only")) is False


# --- keys and apps ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("caller", "subscription", "region", "capability", "verdict"),
    [
        (OWNER, SUBSCRIPTION, "local", "integration", Granted()),
        (TEAM_ADMIN, SUBSCRIPTION, "local", "integration", Granted()),
        (MEMBER, SUBSCRIPTION, "local", "integration", Denied("read-only")),
        (OWNER, None, "local", "integration", Denied("not-found")),
        (OWNER, FOREIGN, "local", "integration", Denied("not-found")),
        (OWNER, SUBSCRIPTION, "mars", "integration", Denied("not-found")),
        (OWNER, SUBSCRIPTION, "local", "events", Denied("no-capability")),
        (MEMBER, SUBSCRIPTION, "mars", "events", Denied("read-only")),
    ],
)
def test_a_key_is_generated_for_what_the_subscription_has(
    caller: Caller, subscription: Subscription | None, region: str, capability: str, verdict: Granted | Denied
) -> None:
    assert may_generate(caller, subscription, region, capability) == verdict


APP = App("a1", "orders", "sub1", "integration", 0.0)
KEY = AccessKey(
    "k1",
    "orders-db",
    "sub1",
    "local",
    "integration",
    "",
    KeyState.ACTIVE,
    "wss://r/connect/x",
    "wss://r",
    0.0,
    "u1",
)


@pytest.mark.parametrize("state", [KeyState.ACTIVE, KeyState.SUSPENDED, KeyState.EXPIRED])
def test_an_app_takes_a_key_of_its_capability_that_may_still_live(state: KeyState) -> None:
    assert may_associate(APP, replace(KEY, state=state))
    assert may_associate(APP, replace(KEY, state=state, capability="events")) == Denied("capability-mismatch")


def test_an_app_takes_no_dead_key_and_none_of_another_subscription() -> None:
    assert may_associate(APP, replace(KEY, state=KeyState.REVOKED)) == Denied("revoked")
    assert may_associate(APP, replace(KEY, subscription_id="sub2")) == Denied("not-found")


# --- what a relay asks ------------------------------------------------------------------------

RELAY_KEY = RelayKey("k1", "orders-db", "sub1", "local", KeyState.ACTIVE, (RelaySecret(bytes(32)),), "x")
NOW = 1_000.0


@pytest.mark.parametrize(
    ("state", "expires_at", "verdict"),
    [
        (KeyState.ACTIVE, None, Granted()),
        (KeyState.ACTIVE, NOW + 0.001, Granted()),
        (KeyState.ACTIVE, NOW, Denied("expired")),
        (KeyState.EXPIRED, None, Denied("expired")),
        (KeyState.EXPIRED, NOW + 1, Denied("expired")),
        (KeyState.SUSPENDED, None, Denied("suspended")),
        (KeyState.SUSPENDED, NOW - 1, Denied("expired")),
        (KeyState.REVOKED, None, Denied("revoked")),
        (KeyState.REVOKED, NOW - 1, Denied("revoked")),
        (KeyState.REPLACED, NOW - 1, Denied("replaced")),
    ],
)
def test_a_key_attaches_only_while_it_is_active(
    state: KeyState, expires_at: float | None, verdict: Granted | Denied
) -> None:
    assert key_verdict(replace(RELAY_KEY, state=state, expires_at=expires_at), NOW) == verdict


@given(st.sampled_from(KeyState), st.none() | st.floats(0, 2 * NOW))
def test_granted_means_active_and_not_expired(state: KeyState, expires_at: float | None) -> None:
    verdict = key_verdict(replace(RELAY_KEY, state=state, expires_at=expires_at), NOW)
    assert bool(verdict) == (state is KeyState.ACTIVE and (expires_at is None or expires_at > NOW))


def test_a_key_carries_the_ports_it_is_allowed() -> None:
    assert port_verdict(RELAY_KEY, 5432)
    some, none = (
        replace(RELAY_KEY, allowed_ports=frozenset({5432})),
        replace(RELAY_KEY, allowed_ports=frozenset()),
    )
    assert port_verdict(some, 5432)
    assert port_verdict(some, 5433) == Denied("port-not-allowed")
    assert port_verdict(none, 5432) == Denied("port-not-allowed")


@pytest.mark.parametrize(
    ("ends_at", "verdict"),
    [(None, Granted()), (NOW + 0.001, Granted()), (NOW, Denied("replaced")), (0.0, Denied("replaced"))],
)
def test_a_secret_is_good_until_its_end(ends_at: float | None, verdict: Granted | Denied) -> None:
    assert secret_verdict(RelaySecret(bytes(32), ends_at), NOW) == verdict


SOURCES = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))


@pytest.mark.parametrize(
    ("source", "is_allowed"),
    [
        ("192.0.2.1", True),
        ("::ffff:192.0.2.1", True),
        ("2001:db8::1", True),
        ("2001:db8::1%eth0", True),
        ("192.0.3.1", False),
        ("::ffff:192.0.3.1", False),
        ("2001:db9::1", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_a_key_is_used_from_the_addresses_it_is_allowed(source: str, is_allowed: bool) -> None:
    assert source_verdict(RELAY_KEY, source)  # without a rule from anywhere
    narrowed = replace(RELAY_KEY, allowed_sources=SOURCES)
    assert source_verdict(narrowed, source) == (Granted() if is_allowed else Denied("address-not-allowed"))
    assert not source_verdict(replace(RELAY_KEY, allowed_sources=()), source)


def test_who_is_attached_holds_a_live_secret_of_a_live_key_at_an_allowed_address() -> None:
    key = replace(RELAY_KEY, secrets=(RelaySecret(b"old", NOW), RelaySecret(b"new")), allowed_sources=SOURCES)
    here = "192.0.2.1"
    assert attach_verdict(key, b"new", here, NOW)
    assert attach_verdict(key, b"old", here, NOW - 1)
    assert attach_verdict(key, b"old", here, NOW) == Denied("replaced")
    assert attach_verdict(key, b"forgotten", here, NOW) == Denied("replaced")
    assert attach_verdict(key, b"new", "192.0.3.1", NOW) == Denied("address-not-allowed")
    suspended = replace(key, state=KeyState.SUSPENDED)
    assert attach_verdict(suspended, b"old", "192.0.3.1", NOW) == Denied("suspended")


@pytest.mark.parametrize(
    ("days", "warning"),
    [(15, None), (14, 14), (7.01, 14), (7, 7), (1.01, 7), (1, 1), (0.01, 1), (0, None), (-1, None)],
)
def test_an_end_is_warned_of_when_it_is_near(days: float, warning: int | None) -> None:
    assert expiry_warning(NOW + days * 86_400, NOW) == warning
    assert expiry_warning(None, NOW) is None


def test_a_revoked_credential_is_dead_and_another_one_is_not() -> None:
    assert credential_verdict(RelayCredential("c", bytes(32)))
    assert credential_verdict(RelayCredential("c", bytes(32), revoked=True)) == Denied("revoked")
