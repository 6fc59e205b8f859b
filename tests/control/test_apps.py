"""Apps: at most one key each, of their own capability, and an association that outlives its key."""

import threading

import pytest

from aditus.domain.errors import AditusError, Code
from aditus.domain.model import App, KeyState, Role
from tests.control.refused import refused
from tests.control_plane import CAPABILITY, REGION, START, ControlPlane


def create(plane: ControlPlane, name: str, capability: str = CAPABILITY) -> App:
    return plane.services.apps.create(plane.owner, "0", name, capability)


def test_a_new_app_has_no_key(plane: ControlPlane) -> None:
    app = create(plane, "shop")
    assert (app.name, app.capability, app.created_at) == ("shop", CAPABILITY, START)
    assert (app.key_id, app.access_key_id, app.region, app.key_state) == ("", "", "", None)
    assert plane.services.apps.show(plane.owner, "0", "shop") == app
    assert plane.services.apps.show(plane.owner, "0", app.app_id) == app


def test_the_name_of_an_app_is_its_own(plane: ControlPlane) -> None:
    create(plane, "shop")
    assert refused(Code.CONFLICT, "app-exists", lambda: create(plane, "shop")).field == "name"
    refused(Code.FORBIDDEN, "no-capability", lambda: create(plane, "bank", "messaging"))


def test_an_app_has_at_most_one_key(plane: ControlPlane) -> None:
    apps = plane.services.apps
    first, second = plane.generate("first"), plane.generate("second")
    create(plane, "shop")
    app = apps.associate(plane.owner, "0", "shop", "first").app
    assert (app.key_id, app.access_key_id, app.region) == (first.key_id, "first", REGION)
    assert app.key_state is KeyState.ACTIVE
    assert apps.associate(plane.owner, "0", "shop", "first").app == app
    app = apps.associate(plane.owner, "0", "shop", "second").app
    assert app.key_id == second.key_id
    assert (plane.stored(first).apps, plane.stored(second).apps) == ((), ("shop",))
    app = apps.dissociate(plane.owner, "0", app.app_id).app
    assert (app.key_id, app.key_state) == ("", None)
    assert apps.dissociate(plane.owner, "0", "shop").app == app


def test_of_many_associations_at_once_one_stays(plane: ControlPlane) -> None:
    names = [f"key {number}" for number in range(8)]
    for name in names:
        plane.generate(name)
    create(plane, "shop")
    failed: list[Exception] = []

    def associate(name: str) -> None:
        try:
            plane.services.apps.associate(plane.owner, "0", "shop", name)
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            failed.append(error)

    together = [threading.Thread(target=associate, args=(name,)) for name in names]
    for one in together:
        one.start()
    for one in together:
        one.join()
    assert failed == []
    assert plane.services.apps.show(plane.owner, "0", "shop").access_key_id in names


def test_a_key_serves_many_apps(plane: ControlPlane) -> None:
    key = plane.generate("berlin")
    for name in ("b", "a", "c"):
        create(plane, name)
        plane.services.apps.associate(plane.owner, "0", name, "berlin")
    assert plane.stored(key).apps == ("a", "b", "c")
    (result,) = plane.services.keys.revoke(plane.owner, "0", REGION, ["berlin"])
    assert result.apps == ("a", "b", "c")


def test_after_a_revoke_the_association_stays_until_it_is_removed_by_hand(plane: ControlPlane) -> None:
    apps = plane.services.apps
    old = plane.generate("berlin")
    create(plane, "shop")
    apps.associate(plane.owner, "0", "shop", "berlin")
    plane.services.keys.revoke(plane.owner, "0", REGION, ["berlin"])

    app = apps.show(plane.owner, "0", "shop")
    assert (app.key_id, app.access_key_id, app.key_state) == (old.key_id, "berlin", KeyState.REVOKED)
    assert apps.list(plane.owner, "0").items == (app,)

    new = plane.generate("berlin")  # of the same name, and it inherits nothing
    assert apps.show(plane.owner, "0", "shop") == app
    assert plane.stored(new).apps == ()

    apps.dissociate(plane.owner, "0", "shop")
    assert apps.associate(plane.owner, "0", "shop", "berlin").app.key_id == new.key_id


def test_the_capabilities_of_app_and_key_match(plane: ControlPlane) -> None:
    plane.add_region("there", "messaging")
    plane.services.keys.generate(plane.owner, "0", "there", "other kind", "messaging")
    create(plane, "shop")
    refused(
        Code.CONFLICT,
        "capability-mismatch",
        lambda: plane.services.apps.associate(plane.owner, "0", "shop", "other kind"),
    )


def test_a_suspended_or_expired_key_may_be_associated_and_a_revoked_one_not(plane: ControlPlane) -> None:
    keys, apps = plane.services.keys, plane.services.apps
    create(plane, "shop")
    keys.generate(plane.owner, "0", REGION, "berlin", CAPABILITY, expires_at=START + 1)
    plane.clock.now += 2
    assert apps.associate(plane.owner, "0", "shop", "berlin").app.key_state is KeyState.EXPIRED
    plane.generate("paris")
    keys.suspend(plane.owner, "0", REGION, "paris")
    assert apps.associate(plane.owner, "0", "shop", "paris").app.key_state is KeyState.SUSPENDED
    plane.generate("rome")
    keys.revoke(plane.owner, "0", REGION, ["rome"])
    refused(Code.CONFLICT, "revoked", lambda: apps.associate(plane.owner, "0", "shop", "rome"))
    assert apps.show(plane.owner, "0", "shop").access_key_id == "paris"


def test_a_name_in_several_regions_needs_the_region(plane: ControlPlane) -> None:
    apps = plane.services.apps
    plane.add_region("there", CAPABILITY)
    here, there = plane.generate("berlin"), plane.generate("berlin", "there")
    create(plane, "shop")
    error = refused(
        Code.CONFLICT, "ambiguous-key", lambda: apps.associate(plane.owner, "0", "shop", "berlin")
    )
    assert error.field == "region"
    assert apps.associate(plane.owner, "0", "shop", "berlin", region="there").app.key_id == there.key_id
    plane.services.keys.revoke(plane.owner, "0", "there", ["berlin"])
    assert apps.associate(plane.owner, "0", "shop", "berlin").app.key_id == here.key_id
    for region in ("nowhere", "no\0where"):
        refused(
            Code.NOT_FOUND,
            "not-found",
            lambda region=region: apps.associate(plane.owner, "0", "shop", "berlin", region=region),  # type: ignore[misc]
        )


def test_what_is_not_there_or_belongs_to_others_is_not_found(plane: ControlPlane) -> None:
    apps, stranger = plane.services.apps, plane.stranger()
    plane.generate("berlin")
    app = create(plane, "shop")
    theirs = plane.subscription.locator
    for call in (
        lambda: apps.show(plane.owner, "0", "bank"),
        lambda: apps.associate(plane.owner, "0", "shop", "nobody"),
        lambda: apps.associate(plane.owner, "0", "bank", "berlin"),
        lambda: apps.create(stranger, theirs, "x", CAPABILITY),
        lambda: apps.list(stranger, theirs),
        lambda: apps.show(stranger, "0", app.app_id),
        lambda: apps.show(stranger, theirs, "shop"),
        lambda: apps.status(stranger, theirs, "shop"),
        lambda: apps.delete(stranger, theirs, "shop"),
        lambda: apps.associate(stranger, theirs, "shop", "berlin"),
        lambda: apps.dissociate(stranger, theirs, "shop"),
    ):
        refused(Code.NOT_FOUND, "not-found", call)


def test_a_member_only_looks(plane: ControlPlane) -> None:
    apps, member = plane.services.apps, plane.person(Role.MEMBER)
    create(plane, "shop")
    assert apps.show(member, "0", "shop").name == "shop"
    assert apps.status(member, "0", "shop").tunnels == 0
    for call in (
        lambda: apps.create(member, "0", "x", CAPABILITY),
        lambda: apps.delete(member, "0", "shop"),
        lambda: apps.associate(member, "0", "shop", "berlin"),
        lambda: apps.dissociate(member, "0", "shop"),
    ):
        refused(Code.FORBIDDEN, "read-only", call)


def test_a_deleted_app_is_gone_and_its_key_stays(plane: ControlPlane) -> None:
    key = plane.generate("berlin")
    create(plane, "shop")
    plane.services.apps.associate(plane.owner, "0", "shop", "berlin")
    plane.services.apps.delete(plane.owner, "0", "shop")
    refused(Code.NOT_FOUND, "not-found", lambda: plane.services.apps.delete(plane.owner, "0", "shop"))
    assert plane.stored(key) == key
    create(plane, "shop")


def test_the_status_of_an_app_is_what_it_could_reach(plane: ControlPlane) -> None:
    key, other = plane.generate("berlin"), plane.generate("paris")
    create(plane, "shop")
    assert plane.services.apps.status(plane.owner, "0", "shop").ports == ()
    plane.services.apps.associate(plane.owner, "0", "shop", "berlin")
    plane.relays.attach(key, 5432, 22)
    plane.relays.attach(key, 5432)
    plane.relays.attach(other, 8080)
    status = plane.services.apps.status(plane.owner, "0", "shop")
    assert (status.app.access_key_id, status.tunnels, status.ports) == ("berlin", 2, (22, 5432))


def test_apps_are_listed_in_pages(plane: ControlPlane) -> None:
    for number in range(5):
        create(plane, f"app {number}")
        plane.clock.now += number % 2
    listed: list[str] = []
    cursor = ""
    while True:
        page = plane.services.apps.list(plane.owner, "0", cursor=cursor, limit=2)
        listed += [app.name for app in page.items]
        cursor = page.next_cursor
        if not cursor:
            break
    assert sorted(listed) == [f"app {number}" for number in range(5)]


def test_an_app_is_made_once_for_an_idempotency_key(plane: ControlPlane) -> None:
    apps = plane.services.apps
    app = apps.create(plane.owner, "0", "shop", CAPABILITY, idempotency_key="try-1")
    with pytest.raises(AditusError, match=app.app_id) as raised:
        apps.create(plane.owner, "0", "bank", CAPABILITY, idempotency_key="try-1")
    assert raised.value.reason == "idempotent-replay"
    # The same text is free for another kind of thing.
    plane.services.keys.generate(plane.owner, "0", REGION, "berlin", CAPABILITY, idempotency_key="try-1")
