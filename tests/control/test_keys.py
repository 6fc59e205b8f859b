"""Access keys: who may generate how many, and what revoking one means."""

import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import pytest

from aditus.control.service import services
from aditus.control.service.replay import IdempotentReplay
from aditus.crypto.keys import generate_pair, public_key
from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import parse_access_key
from aditus.domain.model import AccessKey, Caller, Cut, KeyState, Role
from aditus.domain.relays import KeyChanges, RelaySecret
from aditus.store.key_source import StoredKeySource
from tests.control.refused import refused
from tests.control_plane import CAPABILITY, REGION, START, ControlPlane, Relays


def states(plane: ControlPlane, *names: str) -> list[str]:
    return [plane.services.keys.show(plane.owner, "0", REGION, name).state.value for name in names]


# --- generate ---


def test_a_new_key_comes_with_its_secret_this_once(plane: ControlPlane) -> None:
    new = plane.services.keys.generate(
        plane.owner, "0", REGION, "berlin", CAPABILITY, description="the first"
    )
    key = new.key
    assert (key.access_key_id, key.region, key.capability) == ("berlin", REGION, CAPABILITY)
    assert (key.description, key.state, key.created_at) == ("the first", KeyState.ACTIVE, START)
    assert key.created_by == "owner@localhost"
    assert key.connect_url.startswith("wss://localhost:8443/connect/")
    assert new.secret is not None
    parsed = parse_access_key(new.secret.reveal())
    assert (parsed.region, parsed.key_id) == (REGION, key.key_id)
    (known,) = StoredKeySource(plane.database, plane.clock).changes(REGION, 0).keys
    assert known.secrets == (RelaySecret(public_key(parsed.secret)),)
    assert plane.stored(key) == key


def test_the_relays_know_a_key_before_it_is_answered(plane: ControlPlane) -> None:
    key = plane.generate("berlin")
    (changes,) = plane.relays.told
    assert (changes.region, changes.epoch) == (REGION, 1)
    assert changes == StoredKeySource(plane.database, plane.clock).changes(REGION, 0)
    assert key.connect_url.endswith(changes.keys[0].connect_id)


def test_who_has_a_pair_keeps_the_secret(plane: ControlPlane) -> None:
    pair = generate_pair()
    new = plane.services.keys.generate(plane.owner, "0", REGION, "berlin", CAPABILITY, public_key=pair.public)
    assert new.secret is None
    assert plane.relays.known[new.key.key_id].secrets == (RelaySecret(pair.public),)


def test_a_name_is_taken_until_its_key_is_revoked(plane: ControlPlane) -> None:
    first = plane.generate("Zürich")
    decomposed = unicodedata.normalize("NFD", "Zürich")
    for taken in ("Zürich", decomposed):
        refused(Code.CONFLICT, "key-exists", lambda taken=taken: plane.generate(taken))  # type: ignore[misc]
    plane.services.keys.suspend(plane.owner, "0", REGION, "Zürich")
    refused(Code.CONFLICT, "key-exists", lambda: plane.generate("Zürich"))
    plane.services.keys.revoke(plane.owner, "0", REGION, [decomposed])
    second = plane.generate("Zürich")
    assert second.key_id != first.key_id
    assert states(plane, "Zürich") == ["active"]
    assert plane.stored(first).state is KeyState.REVOKED


def test_the_501st_unrevoked_key_is_refused_with_what_to_do(plane: ControlPlane) -> None:
    plane.fill(498)
    plane.services.keys.suspend(plane.owner, "0", REGION, "filled 000000")
    plane.services.keys.generate(plane.owner, "0", REGION, "short-lived", CAPABILITY, expires_at=START + 1)
    plane.generate("the 500th")
    plane.clock.now += 10
    assert states(plane, "filled 000000", "short-lived") == ["suspended", "expired"]
    error = refused(Code.LIMIT, "key-quota", lambda: plane.generate("the 501st"))
    assert "500" in error.message
    assert "Revoke" in error.remedy
    (quota,) = plane.services.subscriptions.show(plane.owner, "0").access_keys
    assert (quota.region, quota.used, quota.limit) == (REGION, 500, 500)

    plane.services.keys.revoke(plane.owner, "0", REGION, ["short-lived"])
    plane.generate("the 501st")


def test_of_64_at_once_the_last_free_place_is_given_to_one(plane: ControlPlane) -> None:
    """Each with services of its own, as in many processes: what they share is the database alone."""
    plane.fill(499)
    outcomes: list[str] = []
    together = threading.Barrier(64)

    def generate(number: int) -> None:
        keys = services.build(plane.database, Relays(plane.clock), plane.clock).keys
        together.wait()
        try:
            keys.generate(plane.owner, "0", REGION, f"racer {number}", CAPABILITY)
            outcomes.append("generated")
        except AditusError as error:
            outcomes.append(error.reason)

    racers = [threading.Thread(target=generate, args=(number,)) for number in range(64)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(outcomes) == ["generated"] + ["key-quota"] * 63
    (quota,) = plane.services.subscriptions.show(plane.owner, "0").access_keys
    assert quota.used == 500


def test_a_capability_is_had_region_by_region(plane: ControlPlane) -> None:
    keys = plane.services.keys
    refused(
        Code.FORBIDDEN,
        "no-capability",
        lambda: keys.generate(plane.owner, "0", REGION, "berlin", "messaging"),
    )
    plane.add_region("there", "messaging")
    refused(
        Code.FORBIDDEN,
        "no-capability",
        lambda: keys.generate(plane.owner, "0", REGION, "berlin", "messaging"),
    )
    key = keys.generate(plane.owner, "0", "there", "berlin", "messaging").key
    assert key.connect_url.startswith("wss://there.example/connect/")


def test_an_idempotency_key_makes_one_key_and_shows_no_secret_twice(plane: ControlPlane) -> None:
    def generate(caller: Caller, name: str, idempotency_key: str) -> AccessKey:
        return plane.services.keys.generate(
            caller, "0", REGION, name, CAPABILITY, idempotency_key=idempotency_key
        ).key

    made = generate(plane.owner, "berlin", "try-1")
    with pytest.raises(IdempotentReplay) as raised:
        generate(plane.owner, "another name", "try-1")
    assert (raised.value.reason, raised.value.object_id) == ("idempotent-replay", made.key_id)
    assert made.key_id in raised.value.message
    assert "revoke" in raised.value.remedy
    # A try that failed does not count, nor somebody else's of the same text, nor one of yesterday.
    refused(Code.CONFLICT, "key-exists", lambda: generate(plane.owner, "berlin", "try-2"))
    generate(plane.owner, "paris", "try-2")
    generate(plane.person(Role.TEAM_ADMIN), "rome", "try-1")
    plane.clock.now += 2 * 86_400
    generate(plane.owner, "oslo", "try-1")


def test_a_key_expires_at_a_time_to_come(on_sqlite: ControlPlane) -> None:
    def generate(expires_at: float) -> object:
        return on_sqlite.services.keys.generate(
            on_sqlite.owner, "0", REGION, "berlin", CAPABILITY, expires_at=expires_at
        )

    for time in (START, START - 1, START + 200 * 366 * 86_400, float("nan"), 1e300):
        assert refused(Code.INVALID, "bad-expiry", lambda time=time: generate(time)).field == "expires_at"  # type: ignore[misc]


# --- who may ---


def test_what_belongs_to_others_is_not_found(plane: ControlPlane) -> None:
    plane.generate("berlin")
    stranger, keys = plane.stranger(), plane.services.keys
    theirs = plane.subscription.locator
    for call in (
        lambda: keys.generate(stranger, theirs, REGION, "x", CAPABILITY),
        lambda: keys.list(stranger, theirs, REGION),
        lambda: keys.show(stranger, theirs, REGION, "berlin"),
        lambda: keys.patch(stranger, theirs, REGION, "berlin", {"description": "x"}),
        lambda: keys.revoke(stranger, theirs, REGION, ["berlin"]),
        lambda: keys.revoke(stranger, theirs, REGION, ["berlin"], dry_run=True),
        lambda: keys.suspend(stranger, theirs, REGION, "berlin"),
        lambda: keys.resume(stranger, theirs, REGION, "berlin"),
        lambda: keys.show(stranger, "0", REGION, "berlin"),
        lambda: keys.list(plane.owner, "0", "nowhere"),
        lambda: keys.list(plane.owner, "0", "no\0where"),
        lambda: keys.list(plane.owner, "nobody", REGION),
        lambda: keys.list(plane.owner, "no\0body", REGION),
    ):
        refused(Code.NOT_FOUND, "not-found", call)
    assert states(plane, "berlin") == ["active"]
    assert keys.list(stranger, "0", REGION).items == ()


def test_a_member_looks_and_a_team_admin_acts(plane: ControlPlane) -> None:
    plane.generate("berlin")
    member, admin, keys = plane.person(Role.MEMBER), plane.person(Role.TEAM_ADMIN), plane.services.keys
    assert keys.show(member, "0", REGION, "berlin").state is KeyState.ACTIVE
    for call in (
        lambda: keys.generate(member, "0", REGION, "x", CAPABILITY),
        lambda: keys.patch(member, "0", REGION, "berlin", {"description": "x"}),
        lambda: keys.revoke(member, "0", REGION, ["berlin"]),
        lambda: keys.revoke(member, "0", REGION, ["berlin"], dry_run=True),
        lambda: keys.suspend(member, "0", REGION, "berlin"),
        lambda: keys.resume(member, "0", REGION, "berlin"),
    ):
        refused(Code.FORBIDDEN, "read-only", call)
    assert keys.revoke(admin, "0", REGION, ["berlin"])[0].result == "revoked"


# --- list and show ---


def test_a_list_is_paged_and_filtered(plane: ControlPlane) -> None:
    keys = plane.services.keys
    for number in range(7):
        plane.generate(f"key {number}")
        plane.clock.now += number % 2  # some were made in the same instant
    keys.suspend(plane.owner, "0", REGION, "key 2")
    keys.revoke(plane.owner, "0", REGION, ["key 3", "key 4"])

    def listed(state: KeyState | None, limit: int) -> list[str]:
        names: list[str] = []
        cursor = ""
        while True:
            page = keys.list(plane.owner, "0", REGION, state=state, cursor=cursor, limit=limit)
            assert len(page.items) <= limit
            names += [key.access_key_id for key in page.items]
            if not page.next_cursor:
                return names
            cursor = page.next_cursor

    for limit in (1, 2, 3, 7, 500):
        assert sorted(listed(None, limit)) == [f"key {number}" for number in range(7)]
        assert listed(None, limit) == listed(None, 500)
        assert sorted(listed(KeyState.ACTIVE, limit)) == ["key 0", "key 1", "key 5", "key 6"]
        assert sorted(listed(KeyState.REVOKED, limit)) == ["key 3", "key 4"]
    assert listed(KeyState.SUSPENDED, 1) == ["key 2"]
    assert listed(KeyState.EXPIRED, 1) == []


def test_a_cursor_is_one_that_was_given_out(on_sqlite: ControlPlane) -> None:
    def page(cursor: str) -> object:
        return on_sqlite.services.keys.list(on_sqlite.owner, "0", REGION, cursor=cursor)

    for cursor in ("x", "%", "AAAA", "8" * 100, "f_gAAAAAAABh", "é", "AAAAAAAAAAAA-_"):
        assert refused(Code.INVALID, "bad-cursor", lambda cursor=cursor: page(cursor)).field == "cursor"  # type: ignore[misc]


def test_a_page_has_its_bounds(on_sqlite: ControlPlane) -> None:
    for limit in (0, -1, 501):
        with pytest.raises(AditusError, match="1 to 500"):
            on_sqlite.services.keys.list(on_sqlite.owner, "0", REGION, limit=limit)


def test_what_is_not_there_is_not_found(plane: ControlPlane) -> None:
    refused(Code.NOT_FOUND, "not-found", lambda: plane.services.keys.show(plane.owner, "0", REGION, "x"))


# --- change ---


def test_a_later_expiry_revives_an_expired_key(plane: ControlPlane) -> None:
    keys = plane.services.keys
    keys.generate(plane.owner, "0", REGION, "berlin", CAPABILITY, expires_at=START + 10)
    plane.clock.now += 11
    assert states(plane, "berlin") == ["expired"]
    key = keys.patch(plane.owner, "0", REGION, "berlin", {"expires_at": START + 20})
    assert (key.state, key.expires_at) == (KeyState.ACTIVE, START + 20)
    assert plane.relays.known[key.key_id].expires_at == START + 20
    key = keys.patch(plane.owner, "0", REGION, "berlin", {"expires_at": None, "description": "for good"})
    assert (key.expires_at, key.description) == (None, "for good")
    key = keys.patch(plane.owner, "0", REGION, "berlin", {"description": ""})
    assert (key.expires_at, key.description) == (None, "")


def test_a_change_of_nothing_changes_nothing(plane: ControlPlane) -> None:
    key = plane.generate("berlin")
    assert plane.services.keys.patch(plane.owner, "0", REGION, "berlin", {}) == key
    assert len(plane.relays.told) == 1


def test_a_suspended_key_is_cut_and_can_come_back(plane: ControlPlane) -> None:
    keys = plane.services.keys
    key = plane.generate("berlin")
    plane.relays.attach(key, 5432, streams=3)
    result = keys.suspend(plane.owner, "0", REGION, "berlin")
    assert (result.key.state, result.cut) == (KeyState.SUSPENDED, Cut(key.key_id, 1, 3))
    assert plane.relays.live == []
    again = keys.suspend(plane.owner, "0", REGION, "berlin")
    assert (again.key.state, again.cut) == (KeyState.SUSPENDED, Cut(key.key_id, 0, 0))
    assert keys.resume(plane.owner, "0", REGION, "berlin") == replace(key, epoch=3)
    assert keys.resume(plane.owner, "0", REGION, "berlin") == replace(key, epoch=3)
    assert plane.relays.known[key.key_id].state is KeyState.ACTIVE


def test_a_revoked_key_is_not_changed_any_more(plane: ControlPlane) -> None:
    keys = plane.services.keys
    plane.generate("berlin")
    keys.revoke(plane.owner, "0", REGION, ["berlin"])
    for call in (
        lambda: keys.patch(plane.owner, "0", REGION, "berlin", {"expires_at": START + 20}),
        lambda: keys.suspend(plane.owner, "0", REGION, "berlin"),
        lambda: keys.resume(plane.owner, "0", REGION, "berlin"),
    ):
        refused(Code.CONFLICT, "revoked", call)
    assert states(plane, "berlin") == ["revoked"]


# --- revoke ---


def test_many_keys_are_revoked_at_once(plane: ControlPlane) -> None:
    keys = plane.services.keys
    one, two, three = (plane.generate(name) for name in ("one", "two", "three"))
    keys.suspend(plane.owner, "0", REGION, "two")
    plane.relays.attach(one, 5432, streams=2)
    plane.relays.attach(one, 5432, streams=1)
    plane.relays.attach(three, 22)
    before = len(plane.relays.told)

    results = keys.revoke(plane.owner, "0", REGION, ["two", "nobody", "one", "two"])

    assert [(result.access_key_id, result.key_id, result.result) for result in results] == [
        ("two", two.key_id, "revoked"),
        ("nobody", "", "not-found"),
        ("one", one.key_id, "revoked"),
        ("two", two.key_id, "already-revoked"),
    ]
    assert [result.cut for result in results] == [
        Cut(two.key_id, 0, 0),
        None,
        Cut(one.key_id, 2, 3),
        Cut(two.key_id, 0, 0),
    ]
    assert states(plane, "one", "two", "three") == ["revoked", "revoked", "active"]
    assert plane.stored(one).connect_url == ""
    assert plane.stored(one).revoked_by == "owner@localhost"
    assert [tunnel.key_id for tunnel in plane.relays.live] == [three.key_id]
    (changes,) = plane.relays.told[before:]
    assert {key.key_id for key in changes.keys} == {one.key_id, two.key_id}
    assert all((key.state, key.connect_id) == (KeyState.REVOKED, "") for key in changes.keys)
    assert changes.epoch == 5


def test_a_revoke_again_changes_nothing_and_tells_the_relays_to_be_sure(plane: ControlPlane) -> None:
    keys = plane.services.keys
    key = plane.generate("berlin")
    keys.revoke(plane.owner, "0", REGION, ["berlin"])
    first = plane.stored(key)
    plane.clock.now += 5
    plane.relays.attach(key, 5432, streams=1)  # a relay that was told, and forgot
    (result,) = keys.revoke(plane.owner, "0", REGION, ["berlin"])
    assert (result.result, result.cut) == ("already-revoked", Cut(key.key_id, 1, 1))
    assert plane.stored(key) == first
    assert plane.relays.told[-1].epoch == plane.relays.told[-2].epoch == 2
    events = plane.services.events.list(plane.owner, "0").items
    assert [event.action for event in events].count("key.revoke") == 1


def test_a_dry_run_tells_what_would_be_cut_and_cuts_nothing(plane: ControlPlane) -> None:
    key = plane.generate("berlin")
    plane.services.apps.create(plane.owner, "0", "shop", CAPABILITY)
    plane.services.apps.associate(plane.owner, "0", "shop", "berlin")
    plane.relays.attach(key, 5432, streams=4)
    told = len(plane.relays.told)
    results = plane.services.keys.revoke(plane.owner, "0", REGION, ["berlin", "x"], dry_run=True)
    assert [(result.result, result.cut, result.apps) for result in results] == [
        ("revoked", Cut(key.key_id, 1, 4), ("shop",)),
        ("not-found", None, ()),
    ]
    assert states(plane, "berlin") == ["active"]
    assert (len(plane.relays.live), len(plane.relays.told)) == (1, told)


def test_a_revoke_has_its_bounds(on_sqlite: ControlPlane) -> None:
    for count in (0, 501):
        with pytest.raises(AditusError, match="1 to 500"):
            on_sqlite.services.keys.revoke(on_sqlite.owner, "0", REGION, ["x"] * count)


def test_relays_are_told_in_the_order_of_the_commits(plane: ControlPlane) -> None:
    """Else a late word of an older state would let a revoked key live on."""
    keys = plane.services.keys
    for number in range(3):
        plane.generate(f"key {number}")

    def change(number: int) -> None:
        for turn in range(2):
            keys.patch(plane.owner, "0", REGION, f"key {number % 3}", {"description": f"{number} {turn}"})
            keys.suspend(plane.owner, "0", REGION, f"key {number % 3}")
            keys.resume(plane.owner, "0", REGION, f"key {number % 3}")

    changers = [threading.Thread(target=change, args=(number,)) for number in range(6)]
    for changer in changers:
        changer.start()
    for changer in changers:
        changer.join()
    epochs = [changes.epoch for changes in plane.relays.told]
    assert epochs == sorted(epochs)
    source = StoredKeySource(plane.database, plane.clock)
    assert epochs[-1] == source.epoch(REGION)
    assert {key.key_id: key for key in source.changes(REGION, 0).keys} == plane.relays.known


def test_a_slow_word_to_the_relays_is_not_overtaken(on_sqlite: ControlPlane) -> None:
    plane = on_sqlite
    plane.generate("berlin")
    revoked = threading.Event()
    told: list[KeyState] = []

    class SlowRelays(Relays):
        def keys_changed(self, changes: KeyChanges, committed_at: float) -> Sequence[Cut]:
            (key,) = changes.keys
            if key.state is KeyState.ACTIVE:
                revoking.start()
                revoked.wait(0.3)  # time enough for the revoke to come first, were it let
            told.append(key.state)
            return super().keys_changed(changes, committed_at)

    def revoke() -> None:
        keys.revoke(plane.owner, "0", REGION, ["berlin"])
        revoked.set()

    revoking = threading.Thread(target=revoke)
    keys = services.build(plane.database, SlowRelays(plane.clock), plane.clock).keys
    keys.patch(plane.owner, "0", REGION, "berlin", {"description": "slow"})
    revoking.join()
    assert told == [KeyState.ACTIVE, KeyState.REVOKED]
