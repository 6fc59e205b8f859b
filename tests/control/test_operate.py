"""The operator works on the database itself: every change stands in the audit, and counts at once."""

from collections.abc import Callable

import pytest

from aditus.control.service import bootstrap
from aditus.control.service.operate import Operate
from aditus.crypto.passwords import verify_password
from aditus.domain.errors import Code
from aditus.domain.model import AuditEvent, Caller, Role
from aditus.store import events, members, sessions
from aditus.store.database import Database
from tests.control.refused import refused
from tests.control_plane import CAPABILITY, REGION, RELAY_URL, START, ControlPlane


@pytest.fixture
def operator(plane: ControlPlane) -> Operate:
    """The operator of a control plane, whose clock has moved on since the first start."""
    plane.clock.now += 1
    return Operate(plane.database, plane.clock)


def entries(plane: ControlPlane, organization_id: str = "defaultorg") -> list[AuditEvent]:
    """What stands in an organisation's audit, of whichever subscription, oldest first."""
    with plane.database.read() as tx:
        found = [
            *events.page(tx, organization_id, "", organization_wide=True, before=None, limit=500),
            *(
                event
                for one in plane.services.subscriptions.list(owner(organization_id))
                for event in events.page(
                    tx,
                    organization_id,
                    one.subscription.subscription_id,
                    organization_wide=False,
                    before=None,
                    limit=500,
                )
            ),
        ]
    return sorted(found, key=lambda event: event.event_id)


def owner(organization_id: str) -> Caller:
    return Caller("anybody", "anybody", organization_id, Role.OWNER)


def test_an_organisation_comes_to_life(plane: ControlPlane, operator: Operate) -> None:
    operator.add_region("eu-1", "https://RELAY.example.com:443")
    assert [(one.name, one.relay_url) for one in operator.regions()] == [
        ("eu-1", "wss://relay.example.com"),
        (REGION, RELAY_URL),
    ]
    acme = operator.add_organization("acme")
    assert [one.name for one in operator.organizations()] == ["default", "acme"]
    made = operator.add_subscription("acme", "web", regions=["eu-1"], capabilities=["sales"], key_quota=1)
    password = operator.add_user("Ann@Acme.example", organization="acme", role=Role.OWNER)

    with plane.database.read() as tx:
        ann = members.by_email(tx, "ann@acme.example")
    assert ann is not None
    assert verify_password(password.reveal(), ann.password_hash)
    caller = Caller(ann.user_id, ann.email, ann.organization_id, ann.role)
    keys = plane.services.keys
    assert keys.generate(caller, "0", "eu-1", "till", "sales").key.connect_url.startswith("wss://relay.ex")
    refused(Code.LIMIT, "key-quota", lambda: keys.generate(caller, "0", "eu-1", "two", "sales"))
    rows = [
        (one.organization, one.name, one.region, one.capabilities, one.used, one.limit)
        for one in operator.subscription_regions()
    ]
    assert rows == [
        ("acme", "web", "eu-1", ("sales",), 1, 1),
        ("default", "default", REGION, (CAPABILITY,), 0, 500),
    ]
    assert [(of.name, member.email, member.role) for of, member in operator.users()] == [
        ("default", "owner@localhost", Role.OWNER),
        ("acme", "ann@acme.example", Role.OWNER),
    ]
    assert [(one.action, one.object_name) for one in entries(plane, acme.organization_id)] == [
        ("organization.add", "acme"),
        ("subscription.add", "web"),
        ("user.add", "ann@acme.example"),
        ("key.generate", "till"),
    ]
    assert made.organization_id == acme.organization_id


def test_every_change_is_an_entry_of_the_operator_and_none_has_a_secret(
    plane: ControlPlane, operator: Operate
) -> None:
    locator = plane.subscription.locator
    operator.add_region("eu-1", "wss://relay.example.com")
    operator.add_subscription("", "web", regions=["eu-1"], capabilities=["sales"], key_quota=7)
    assert operator.add_capability(locator, "eu-1", "events")
    assert not operator.add_capability(locator, "eu-1", "events")  # changes nothing, and so says nothing
    operator.set_key_quota(locator, "eu-1", 2)
    first = operator.add_user("bob@x.example", organization="", role=Role.TEAM_ADMIN, locators=[locator])
    second, _ = operator.reset_password("BOB@x.example")
    found = entries(plane)
    assert {(one.actor_id, one.actor) for one in found} == {("operator", "operator")}
    assert [(one.action, one.object_name, one.region, one.details) for one in found] == [
        ("region.add", "eu-1", "eu-1", {"relay_url": "wss://relay.example.com"}),
        (
            "subscription.add",
            "web",
            "",
            {"regions": "eu-1", "capabilities": "sales", "key_quota": 7},
        ),
        ("capability.add", "events", "eu-1", {}),
        ("quota.set", "default", "eu-1", {"key_quota": 2, "before": 500}),
        ("user.add", "bob@x.example", "", {"role": "team_admin", "team_admin_of": locator}),
        ("password.reset", "bob@x.example", "", {"sessions_ended": 0}),
    ]
    assert first.reveal() not in str(found)
    assert second.reveal() not in str(found)
    assert plane.services.chain.verify(owner("defaultorg"), "0").ok


def test_a_region_concerns_every_organisation(plane: ControlPlane, operator: Operate) -> None:
    plane.stranger()
    operator.add_region("eu-1", "wss://relay.example.com")
    for organization_id in ("defaultorg", "otherorg"):
        assert [one.action for one in entries(plane, organization_id)] == ["region.add"]


def test_a_new_password_ends_the_old_one_and_all_sessions(plane: ControlPlane, operator: Operate) -> None:
    first = operator.add_user("bob@x.example", organization="", role=Role.MEMBER)
    other = operator.add_user("eve@x.example", organization="", role=Role.MEMBER)
    with plane.database.write() as tx:
        for number, email in enumerate(("bob@x.example", "bob@x.example", "eve@x.example")):
            user = members.by_email(tx, email)
            assert user is not None
            sessions.add(tx, f"s{number}", bytes([number]) * 32, user.user_id, "", "", plane.clock.now)
    second, ended = operator.reset_password("bob@x.example")
    assert ended == 2
    with plane.database.read() as tx:
        bob, eve = members.by_email(tx, "bob@x.example"), members.by_email(tx, "eve@x.example")
        assert bob is not None
        assert eve is not None
        assert sessions.of_user(tx, bob.user_id, None, plane.clock.now) == ()
        assert len(sessions.of_user(tx, eve.user_id, None, plane.clock.now)) == 1
    assert not verify_password(first.reveal(), bob.password_hash)
    assert verify_password(second.reveal(), bob.password_hash)
    assert verify_password(other.reveal(), eve.password_hash)
    assert first.reveal() != second.reveal()


def test_tokens_outlive_a_new_password(plane: ControlPlane, operator: Operate) -> None:
    operator.reset_password("owner@localhost")
    assert plane.services.auth.caller(plane.token).name == "owner@localhost"


def test_a_lower_quota_takes_no_key_away(plane: ControlPlane, operator: Operate) -> None:
    kept = [plane.generate("one"), plane.generate("two")]
    operator.set_key_quota(plane.subscription.locator, "", 1)
    assert [plane.stored(key).state for key in kept] == ["active", "active"]
    refused(Code.LIMIT, "key-quota", lambda: plane.generate("three"))
    operator.set_key_quota(plane.subscription.locator, "", 3)
    plane.generate("three")


def test_what_is_there_or_is_not_is_told(plane: ControlPlane, operator: Operate) -> None:
    locator = plane.subscription.locator
    plane.stranger()
    add, user = operator.add_subscription, operator.add_user
    wrong: list[tuple[Code, str, Callable[[], object]]] = [
        (Code.CONFLICT, "region-exists", lambda: operator.add_region(REGION, RELAY_URL)),
        (Code.INVALID, "bad-name", lambda: operator.add_region("EU 1", RELAY_URL)),
        (Code.INVALID, "bad-url", lambda: operator.add_region("eu-1", "http://relay.example.com")),
        (Code.CONFLICT, "organization-exists", lambda: operator.add_organization("default")),
        (Code.INVALID, "bad-name", lambda: operator.add_organization("a/b")),
        (
            Code.CONFLICT,
            "subscription-exists",
            lambda: add("default", "default", regions=[], capabilities=[]),
        ),
        (Code.NOT_FOUND, "not-found", lambda: add("nobody", "web", regions=[], capabilities=[])),
        (Code.INVALID, "which-organization", lambda: add("", "web", regions=[], capabilities=[])),
        (Code.NOT_FOUND, "not-found", lambda: add("default", "web", regions=["mars"], capabilities=[])),
        (
            Code.INVALID,
            "bad-quota",
            lambda: add("default", "web", regions=[], capabilities=[], key_quota=100_001),
        ),
        (Code.NOT_FOUND, "not-found", lambda: operator.add_capability("nope", REGION, "x")),
        (Code.NOT_FOUND, "not-found", lambda: operator.add_capability("no such", REGION, "x")),
        (Code.NOT_FOUND, "not-found", lambda: operator.add_capability(locator, "mars", "x")),
        (Code.INVALID, "bad-name", lambda: operator.add_capability(locator, REGION, "X!")),
        (Code.NOT_FOUND, "not-found", lambda: operator.set_key_quota(locator, "mars", 1)),
        (Code.INVALID, "bad-quota", lambda: operator.set_key_quota(locator, REGION, -1)),
        (
            Code.CONFLICT,
            "email-taken",
            lambda: user("Owner@localhost", organization="other", role=Role.MEMBER),
        ),
        (Code.INVALID, "bad-email", lambda: user("nobody", organization="default", role=Role.MEMBER)),
        (
            Code.INVALID,
            "team-admin-of",
            lambda: user("a@b", organization="default", role=Role.TEAM_ADMIN),
        ),
        (
            Code.INVALID,
            "team-admin-of",
            lambda: user("a@b", organization="default", role=Role.OWNER, locators=[locator]),
        ),
        (
            Code.NOT_FOUND,
            "not-found",
            lambda: user("a@b", organization="default", role=Role.TEAM_ADMIN, locators=["otherloc"]),
        ),
        (Code.NOT_FOUND, "not-found", lambda: operator.reset_password("nobody@x.example")),
    ]
    for code, reason, call in wrong:
        refused(code, reason, call)
    assert entries(plane) == []
    assert len(operator.users()) == 2


def test_which_region_must_be_said_when_there_are_several(plane: ControlPlane, operator: Operate) -> None:
    operator.add_capability(plane.subscription.locator, "", "events")  # there is one
    operator.add_region("eu-1", "wss://relay.example.com")
    refused(
        Code.INVALID,
        "which-region",
        lambda: operator.add_capability(plane.subscription.locator, "", "more"),
    )


def test_nothing_comes_before_the_first_start(database: Database) -> None:
    operator = Operate(database, lambda: START)
    for call in (
        lambda: operator.add_region("eu-1", RELAY_URL),
        lambda: operator.add_organization("acme"),
        lambda: operator.add_user("a@b", organization="", role=Role.OWNER),
    ):
        refused(Code.INVALID, "no-first-start", call)
    assert bootstrap.ensure(database, REGION, RELAY_URL, START, lambda first: None).first is not None
