"""Subscriptions: who sees which, and what 0 means."""

import dataclasses

from aditus.domain.errors import Code
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
