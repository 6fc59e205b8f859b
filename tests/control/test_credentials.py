"""Credentials of apps: two at a time, shown once, revoked at once, told to each region of a subscription."""

import threading

import pytest

from aditus.control.service.replay import IdempotentReplay
from aditus.crypto.keys import generate_pair, public_key
from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import parse_app_secret
from aditus.domain.model import AppCredential, Region, Role
from aditus.domain.relays import CredentialUse, RelayApp, RelayReport
from aditus.store import regions
from aditus.store.key_source import StoredKeySource
from tests.control.refused import refused
from tests.control_plane import CAPABILITY, REGION, START, ControlPlane


def shop(plane: ControlPlane) -> str:
    return plane.services.apps.create(plane.owner, "0", "shop", CAPABILITY).app_id


def last_told(plane: ControlPlane, region: str = REGION) -> RelayApp:
    (app,) = next(changes for changes in reversed(plane.relays.told) if changes.region == region).apps
    return app


def test_the_secret_is_the_private_half_of_what_relays_are_told(plane: ControlPlane) -> None:
    app_id = shop(plane)
    new = plane.services.credentials.create(plane.owner, "0", "shop")
    parsed = parse_app_secret(new.secret.reveal())
    assert new.credential == AppCredential(parsed.key_id, app_id, START, plane.owner.name)
    told = last_told(plane)
    assert (told.app_id, told.name, told.key_id) == (app_id, "shop", "")
    assert [one.public_key for one in told.credentials] == [public_key(parsed.secret)]
    assert new.secret.reveal() not in repr(new) + repr(plane.events())


def test_of_two_at_once_one_has_the_last_place(plane: ControlPlane) -> None:
    shop(plane)
    plane.services.credentials.create(plane.owner, "0", "shop")
    outcomes: list[str] = []
    together = threading.Barrier(2)

    def create() -> None:
        together.wait()
        try:
            plane.services.credentials.create(plane.owner, "0", "shop")
            outcomes.append("created")
        except AditusError as error:
            outcomes.append(error.reason)

    threads = [threading.Thread(target=create) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["created", "too-many-credentials"]


def test_a_revoked_one_makes_place_and_again_is_told_once_more(plane: ControlPlane) -> None:
    use = plane.services.credentials
    shop(plane)
    first = use.create(plane.owner, "0", "shop").credential.credential_id
    use.create(plane.owner, "0", "shop")
    revoked = use.revoke(plane.owner, "0", "shop", first).credential
    assert (revoked.revoked_at, revoked.revoked_by) == (START, plane.owner.name)
    told = plane.relays.told[-1]
    assert use.revoke(plane.owner, "0", "shop", first).credential == revoked
    assert plane.relays.told[-1] == told
    assert plane.relays.told[-2] == told
    assert {one.credential_id: one.revoked for one in told.apps[0].credentials}[first]
    use.create(plane.owner, "0", "shop")
    refused(Code.NOT_FOUND, "not-found", lambda: use.revoke(plane.owner, "0", "shop", "nobody"))


def test_a_deleted_app_takes_its_credentials_along(plane: ControlPlane) -> None:
    plane.generate("berlin")
    app_id = shop(plane)
    plane.services.credentials.create(plane.owner, "0", "shop")
    plane.services.apps.associate(plane.owner, "0", "shop", "berlin")
    assert last_told(plane).key_id
    plane.services.apps.delete(plane.owner, "0", "shop")
    told = last_told(plane)
    assert (told.app_id, told.key_id, [one.revoked for one in told.credentials]) == (app_id, "", [True])


def test_each_region_of_the_subscription_has_a_new_epoch(plane: ControlPlane) -> None:
    plane.add_region("there", CAPABILITY)
    app_id = shop(plane)
    source = StoredKeySource(plane.database, plane.clock)
    plane.services.apps.patch(plane.owner, "0", "shop", {"name": "store"})
    assert (source.epoch(REGION), source.epoch("there")) == (0, 0)  # of no credential no relay knows
    plane.services.credentials.create(plane.owner, "0", "store")
    assert (source.epoch(REGION), source.epoch("there")) == (1, 1)
    for since in (0, 1):
        plane.services.apps.patch(plane.owner, "0", app_id, {"name": f"store {since}"})
        for region in (REGION, "there"):
            assert [app.name for app in source.changes(region, since).apps] == [f"store {since}"]
    assert source.changes("there", 3).apps == ()


def test_a_region_that_is_opened_learns_of_the_apps_that_there_are(plane: ControlPlane) -> None:
    shop(plane)
    plane.services.credentials.create(plane.owner, "0", "shop")
    with plane.database.write() as tx:
        regions.add(tx, Region("new", "wss://new.example"), START)
    plane.services.subscriptions.add_capability(plane.owner, "0", "new", CAPABILITY)
    assert last_told(plane, "new").name == "shop"


def test_a_public_key_of_ones_own_is_taken_once(plane: ControlPlane) -> None:
    shop(plane)
    pair = generate_pair()
    plane.services.credentials.register(plane.owner, "0", "shop", pair.public)
    refused(
        Code.CONFLICT,
        "secret-known",
        lambda: plane.services.credentials.register(plane.owner, "0", "shop", pair.public),
    )


def test_an_idempotency_key_makes_one_credential(plane: ControlPlane) -> None:
    shop(plane)
    use = plane.services.credentials
    made = use.create(plane.owner, "0", "shop", idempotency_key="once").credential
    for again in (
        lambda: use.create(plane.owner, "0", "shop", idempotency_key="once"),
        lambda: use.register(plane.owner, "0", "shop", generate_pair().public, idempotency_key="once"),
    ):
        with pytest.raises(IdempotentReplay) as raised:
            again()
        assert (raised.value.kind, raised.value.object_id) == ("credential_id", made.credential_id)
    assert use.list(plane.owner, "0", "shop") == (made,)


def test_the_last_use_is_kept(plane: ControlPlane) -> None:
    shop(plane)
    made = plane.services.credentials.create(plane.owner, "0", "shop").credential.credential_id
    use = CredentialUse(made, START + 5, "192.0.2.1", "1.0")
    plane.services.reports.take(REGION, RelayReport(credential_uses=(use,)))
    (found,) = plane.services.credentials.list(plane.owner, "0", "shop")
    assert (found.last_used_at, found.last_used_from, found.last_used_version) == (
        START + 5,
        "192.0.2.1",
        "1.0",
    )


def test_a_member_only_looks(plane: ControlPlane) -> None:
    shop(plane)
    member, use = plane.person(Role.MEMBER), plane.services.credentials
    assert use.list(member, "0", "shop") == ()
    assert use.sidecars(member, "0", "shop") == ()
    refused(Code.FORBIDDEN, "read-only", lambda: use.create(member, "0", "shop"))
