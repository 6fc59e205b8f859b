"""Subscriptions: who sees which, and what 0 means."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.testclient import TestClient

from aditus.control.api.app import create_app
from aditus.control.service import subscriptions as service
from aditus.control.service import tenants
from aditus.domain.errors import AditusError, Code
from aditus.domain.model import Caller, Role, Subscription
from aditus.store import subscriptions
from tests.control.refused import refused
from tests.control_plane import CAPABILITY, REGION, ControlPlane


def second(plane: ControlPlane) -> Subscription:
    """A younger subscription of the owner's organisation."""
    younger = Subscription(
        "youngersub", plane.owner.organization_id, "youngerloc", "younger", (CAPABILITY,), (REGION,)
    )
    with plane.database.write() as tx:
        subscriptions.add(tx, younger, 3, plane.clock.now + 1)
    return younger


def test_0_is_the_oldest_of_ones_own(plane: ControlPlane) -> None:
    younger = second(plane)
    show = plane.services.subscriptions.show
    assert show(plane.owner, "0").subscription == plane.subscription
    assert show(plane.owner, "youngerloc").subscription == younger
    assert show(plane.stranger(), "0").subscription.name == "other"


def test_0_is_what_a_team_admin_administrates(plane: ControlPlane) -> None:
    younger = second(plane)
    admin = dataclasses.replace(
        plane.person(Role.TEAM_ADMIN), team_admin_of=frozenset({younger.subscription_id})
    )
    show = plane.services.subscriptions.show
    assert show(admin, "0").subscription == younger
    refused(Code.NOT_FOUND, "not-found", lambda: show(admin, plane.subscription.locator))
    info = plane.services.subscriptions.userinfo(admin)
    assert [(one.name, one.role) for one in info.subscriptions] == [("younger", Role.TEAM_ADMIN)]


def test_a_member_sees_all_of_the_organisation(plane: ControlPlane) -> None:
    second(plane)
    info = plane.services.subscriptions.userinfo(plane.person(Role.MEMBER))
    assert [(one.name, one.role) for one in info.subscriptions] == [
        ("default", Role.MEMBER),
        ("younger", Role.MEMBER),
    ]


def test_who_has_no_subscription_is_told_so(plane: ControlPlane) -> None:
    with plane.database.write() as tx:
        subscriptions.add_organization(tx, "empty", "empty", plane.clock.now)
    lonely = Caller("lonely", "l@x", "empty", Role.OWNER)
    refused(Code.NOT_FOUND, "not-found", lambda: plane.services.subscriptions.show(lonely, "0"))
    assert plane.services.subscriptions.userinfo(lonely).subscriptions == ()


def test_a_subscription_has_a_quota_of_its_own(plane: ControlPlane) -> None:
    second(plane)
    keys = plane.services.keys
    for number in range(3):
        keys.generate(plane.owner, "youngerloc", REGION, f"key {number}", CAPABILITY)
    error = refused(
        Code.LIMIT,
        "key-quota",
        lambda: keys.generate(plane.owner, "youngerloc", REGION, "key 3", CAPABILITY),
    )
    assert "3 access keys" in error.message
    plane.generate("key 0")  # the same name, in the other subscription
    shown = plane.services.subscriptions.show(plane.owner, "youngerloc")
    assert [(quota.used, quota.limit) for quota in shown.access_keys] == [(3, 3)]


# --- what owners add --------------------------------------------------------------------------


def test_an_owner_makes_a_subscription_and_works_in_it(plane: ControlPlane) -> None:
    plane.add_region("eu-1")
    plane.clock.now += 1
    use = plane.services.subscriptions
    made = use.create(plane.owner, "shop", ["eu-1", REGION, REGION], ["sales", "events"]).subscription
    assert (made.name, made.regions, made.capabilities) == ("shop", ("eu-1", REGION), ("events", "sales"))
    assert [one.subscription.name for one in use.list(plane.owner)] == ["default", "shop"]
    key = plane.services.keys.generate(plane.owner, made.locator, "eu-1", "till", "sales").key
    assert key.connect_url.startswith("wss://eu-1.example/connect/")
    places = [
        (one.region, one.capabilities, one.used, one.limit)
        for one in use.in_regions(plane.owner, made.locator)
    ]
    assert places == [("eu-1", ("events", "sales"), 1, 500), (REGION, ("events", "sales"), 0, 500)]
    entry = plane.services.events.list(plane.owner, made.locator).items[1]
    assert (entry.action, entry.actor, entry.object_name) == ("subscription.add", "owner@localhost", "shop")
    assert entry.details == {"regions": "eu-1 local", "capabilities": "events sales", "key_quota": 500}
    assert use.show(plane.owner, "0").subscription.name == "default"


def test_what_cannot_be_made_is_refused(plane: ControlPlane) -> None:
    use = plane.services.subscriptions
    for code, reason, name, regions, capabilities in (
        (Code.CONFLICT, "subscription-exists", "default", [REGION], [CAPABILITY]),
        (Code.NOT_FOUND, "not-found", "shop", [REGION, "mars"], [CAPABILITY]),
        (Code.NOT_FOUND, "not-found", "shop", ["\0"], [CAPABILITY]),
        (Code.INVALID, "bad-name", "shop", [REGION], ["No Label"]),
        (Code.INVALID, "bad-name", "sh/op", [REGION], [CAPABILITY]),
    ):
        with pytest.raises(AditusError) as raised:
            use.create(plane.owner, name, regions, capabilities)
        assert (raised.value.code, raised.value.reason) == (code, reason)
    assert [one.subscription.name for one in use.list(plane.owner)] == ["default"]
    assert plane.events() == ()


def test_of_many_at_once_no_more_are_made_than_there_may_be(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_SUBSCRIPTIONS", 3)

    def make(number: int) -> str:
        try:
            plane.services.subscriptions.create(plane.owner, f"s{number}", [REGION], [CAPABILITY])
        except AditusError as error:
            return error.reason
        return "made"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(make, range(8)))
    assert sorted(answers) == ["made"] * 2 + ["subscription-limit"] * 6


def test_a_capability_comes_and_goes_and_keys_stay(plane: ControlPlane) -> None:
    use, keys = plane.services.subscriptions, plane.services.keys
    old = plane.generate("old")
    assert use.add_capability(plane.owner, "0", REGION, "events").capabilities == ("events", CAPABILITY)
    assert use.add_capability(plane.owner, "0", REGION, "events").capabilities == ("events", CAPABILITY)
    keys.generate(plane.owner, "0", REGION, "new", "events")
    use.remove_capability(plane.owner, "0", REGION, CAPABILITY)
    refused(Code.FORBIDDEN, "no-capability", lambda: plane.generate("late"))
    assert plane.stored(old).state == "active"
    refused(Code.NOT_FOUND, "not-found", lambda: use.remove_capability(plane.owner, "0", REGION, CAPABILITY))
    refused(Code.NOT_FOUND, "not-found", lambda: use.remove_capability(plane.owner, "0", "mars", "events"))
    refused(Code.NOT_FOUND, "not-found", lambda: use.remove_capability(plane.owner, "0", REGION, "\0"))
    changes = [
        (one.action, one.object_name, one.region)
        for one in reversed(plane.events())
        if one.action.startswith("capability")
    ]
    assert changes == [("capability.add", "events", REGION), ("capability.remove", CAPABILITY, REGION)]


def test_a_capability_in_another_region_brings_the_region(plane: ControlPlane) -> None:
    use = plane.services.subscriptions
    made = use.create(plane.owner, "shop", [REGION], [CAPABILITY]).subscription
    plane.add_region("eu-1", CAPABILITY)  # of the default subscription alone
    refused(
        Code.NOT_FOUND,
        "not-found",
        lambda: plane.services.keys.generate(plane.owner, made.locator, "eu-1", "till", CAPABILITY),
    )
    there = use.add_capability(plane.owner, made.locator, "eu-1", CAPABILITY)
    assert (there.capabilities, there.used, there.limit) == ((CAPABILITY,), 0, 500)
    plane.services.keys.generate(plane.owner, made.locator, "eu-1", "till", CAPABILITY)


def test_capabilities_have_an_end(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenants, "MAX_CAPABILITIES", 2)
    use = plane.services.subscriptions
    use.add_capability(plane.owner, "0", REGION, "second")
    refused(Code.LIMIT, "capability-limit", lambda: use.add_capability(plane.owner, "0", REGION, "third"))
    use.add_capability(plane.owner, "0", REGION, "second")  # it is there


def test_owners_of_other_organisations_see_none_of_it(plane: ControlPlane) -> None:
    use, stranger = plane.services.subscriptions, plane.stranger()
    made = use.create(plane.owner, "shop", [REGION], [CAPABILITY]).subscription
    assert [one.subscription.name for one in use.list(stranger)] == ["other"]
    for call in (
        lambda: use.in_regions(stranger, made.locator),
        lambda: use.add_capability(stranger, made.locator, REGION, "events"),
        lambda: use.remove_capability(stranger, made.locator, REGION, CAPABILITY),
    ):
        refused(Code.NOT_FOUND, "not-found", call)
    theirs = use.create(stranger, "shop", [REGION], [CAPABILITY]).subscription
    assert theirs.locator != made.locator  # a name is each organisation's own


def test_owners_do_it_over_http(plane: ControlPlane) -> None:
    client = TestClient(create_app(plane.services), headers={"Authorization": f"Bearer {plane.token}"})
    assert client.get("/v1/regions").json()["items"] == [
        {"name": REGION, "relay_url": "wss://localhost:8443"}
    ]
    plane.clock.now += 1
    body = {"name": "shop", "regions": [REGION], "capabilities": ["sales"]}
    made = client.post("/v1/subscriptions", json=body)
    assert made.status_code == 201
    here = f"/v1/subscriptions/{made.json()['locator']}"
    assert client.get(here).json() == made.json()
    assert client.get("/v1/subscriptions").json()["items"][1] == made.json()
    added = client.put(f"{here}/regions/{REGION}/capabilities/events")
    assert (added.status_code, added.json()) == (
        200,
        {"region": REGION, "capabilities": ["events", "sales"], "access_keys": {"used": 0, "limit": 500}},
    )
    assert client.delete(f"{here}/regions/{REGION}/capabilities/sales").status_code == 204
    assert client.get(f"{here}/regions").json()["items"][0]["capabilities"] == ["events"]
    for reason, wrong in (
        ("bad-field", {**body, "capabilities": []}),
        ("unknown-field", {**body, "key_quota": 9}),  # quotas are the operator's
    ):
        answer = client.post("/v1/subscriptions", json=wrong)
        assert (answer.status_code, answer.json()["reason"]) == (422, reason)
