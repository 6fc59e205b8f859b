"""Rotation: two secrets for a while, then one, and nobody is cut off by a rotation that nobody rolled out."""

from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from aditus.control.api.app import create_app
from aditus.control.service.replay import IdempotentReplay
from aditus.control.service.rotation import LONGEST_GRACE
from aditus.crypto.keys import generate_pair, public_key
from aditus.domain.errors import Code
from aditus.domain.keytext import parse_access_key
from aditus.domain.model import AccessKey, NewAccessKey, Role, Rotation
from aditus.domain.relays import KeyUse, RelayReport, RelaySecret
from aditus.store import key_secrets
from tests.control.refused import refused
from tests.control_plane import CAPABILITY, REGION, ControlPlane

DAY = 86_400.0


def rotate(plane: ControlPlane, name: str = "berlin", **how: object) -> NewAccessKey:
    return plane.services.rotation.rotate(plane.owner, "0", REGION, name, **how)  # type: ignore[arg-type]


def secret_of(new: NewAccessKey) -> bytes:
    assert new.secret is not None
    return public_key(parse_access_key(new.secret.reveal()).secret)


def use(plane: ControlPlane, key: AccessKey, secret: bytes, instance: str = "a" * 32) -> None:
    """An agent attaches with this secret, and the relay reports it."""
    seen = KeyUse(key.key_id, secret, plane.clock.now, "192.0.2.1", instance, "aditus/1")
    plane.services.reports.take(REGION, RelayReport(uses=(seen,)))


def generated(plane: ControlPlane) -> tuple[AccessKey, bytes]:
    new = plane.services.keys.generate(plane.owner, "0", REGION, "berlin", CAPABILITY)
    return new.key, secret_of(new)


def test_a_rotation_leaves_the_key_and_gives_it_a_second_secret(plane: ControlPlane) -> None:
    key, old = generated(plane)
    plane.clock.now += 5
    new = rotate(plane)
    assert replace(new.key, rotation=None, epoch=key.epoch) == key
    assert new.key.rotation == Rotation(plane.clock.now, DAY)
    fresh = secret_of(new)
    assert fresh != old
    assert plane.relays.known[key.key_id].secrets == (RelaySecret(old), RelaySecret(fresh))


def test_the_grace_starts_with_the_first_use_of_the_new_secret(plane: ControlPlane) -> None:
    key, old = generated(plane)
    use(plane, key, old)
    fresh = secret_of(rotate(plane, grace=100.0))
    plane.clock.now += 10 * DAY  # nobody rolled it out yet: nothing ends
    use(plane, key, old)
    assert plane.stored(key).rotation == Rotation(plane.clock.now - 10 * DAY, 100.0)

    use(plane, key, fresh)
    ends_at = plane.clock.now + 100
    rotation = plane.stored(key).rotation
    assert rotation is not None
    assert rotation.ends_at == ends_at
    assert plane.relays.known[key.key_id].secrets == (RelaySecret(old, ends_at), RelaySecret(fresh))
    [event] = [event for event in plane.events() if event.action == "key.rotation-used"]
    assert (event.actor, event.object_id) == ("aditus", key.key_id)

    plane.clock.now += 50
    use(plane, key, fresh)  # the second use moves nothing
    rotation = plane.stored(key).rotation
    assert rotation is not None
    assert rotation.ends_at == ends_at
    plane.clock.now = ends_at
    assert plane.stored(key).rotation is None


def test_there_are_at_most_two_live_secrets(plane: ControlPlane) -> None:
    key, _ = generated(plane)
    fresh = secret_of(rotate(plane, grace=100.0))
    refused(Code.CONFLICT, "rotation-running", lambda: rotate(plane))
    use(plane, key, fresh)
    refused(Code.CONFLICT, "rotation-running", lambda: rotate(plane))
    plane.clock.now += 100
    assert secret_of(rotate(plane)) != fresh


def test_at_once_drops_every_other_secret_also_during_a_rotation(plane: ControlPlane) -> None:
    key, old = generated(plane)
    plane.clock.now += 1
    second = secret_of(rotate(plane))
    plane.clock.now += 1
    third = secret_of(rotate(plane, at_once=True))
    now = plane.clock.now
    known = plane.relays.known[key.key_id].secrets
    assert known == (RelaySecret(old, now), RelaySecret(second, now), RelaySecret(third))
    assert plane.stored(key).rotation is None


def test_a_rotation_tells_how_many_agents_still_use_the_old_secret(plane: ControlPlane) -> None:
    key, _ = generated(plane)
    rotate(plane)
    for instance, old in (("a", True), ("a", True), ("b", True), ("c", False)):
        tunnel = plane.relays.attach(key, 5432)
        plane.relays.live[-1] = replace(tunnel, instance=instance * 32, old_secret=old)
    for shown in (
        plane.services.keys.show(plane.owner, "0", REGION, "berlin"),
        plane.services.keys.list(plane.owner, "0", REGION).items[0],
    ):
        assert shown.rotation is not None
        assert shown.rotation.old_instances == 2


def test_a_secret_made_elsewhere_is_never_here(plane: ControlPlane) -> None:
    key, old = generated(plane)
    pair = generate_pair()
    new = rotate(plane, public_key=pair.public)
    assert new.secret is None
    assert plane.relays.known[key.key_id].secrets == (RelaySecret(old), RelaySecret(pair.public))
    refused(Code.CONFLICT, "secret-known", lambda: rotate(plane, public_key=pair.public, at_once=True))
    assert len(plane.relays.known[key.key_id].secrets) == 2  # and nothing ended for it


def test_who_may_not_and_what_cannot_be(plane: ControlPlane) -> None:
    generated(plane)
    member = plane.person(Role.MEMBER)
    rotation = plane.services.rotation
    refused(Code.FORBIDDEN, "read-only", lambda: rotation.rotate(member, "0", REGION, "berlin"))
    refused(Code.NOT_FOUND, "not-found", lambda: rotate(plane, "nobody"))
    refused(Code.INVALID, "bad-grace", lambda: rotate(plane, grace=-1.0))
    refused(Code.INVALID, "bad-grace", lambda: rotate(plane, grace=LONGEST_GRACE + 1))
    refused(Code.INVALID, "needless-grace", lambda: rotate(plane, grace=5.0, at_once=True))
    plane.services.keys.revoke(plane.owner, "0", REGION, ["berlin"])
    refused(Code.CONFLICT, "revoked", lambda: rotate(plane))


def test_a_rotation_that_was_done_is_not_done_again(plane: ControlPlane) -> None:
    key, _ = generated(plane)
    rotate(plane, idempotency_key="once")
    with pytest.raises(IdempotentReplay) as again:
        rotate(plane, idempotency_key="once", at_once=True)
    assert again.value.object_id == key.key_id
    assert len(plane.relays.known[key.key_id].secrets) == 2


def test_replaced_secrets_are_remembered_for_a_while_and_not_without_bounds(plane: ControlPlane) -> None:
    key, _ = generated(plane)
    for _ in range(key_secrets.REMEMBERED + 5):
        plane.clock.now += 1
        rotate(plane, at_once=True)
    assert len(plane.relays.known[key.key_id].secrets) == 1 + key_secrets.REMEMBERED
    plane.clock.now += key_secrets.REMEMBERED_SECONDS + 1
    last = plane.relays.known[key.key_id].secrets[-1].public_key
    rotate(plane, at_once=True)
    assert plane.relays.known[key.key_id].secrets[0].public_key == last
    assert len(plane.relays.known[key.key_id].secrets) == 2


@pytest.mark.parametrize(
    ("grace", "reason"), [(True, "bad-field"), ("60", "bad-field"), (-1, "bad-grace"), (1e9, "bad-grace")]
)
def test_over_http_a_grace_is_a_number_within_its_bounds(
    plane: ControlPlane, grace: object, reason: str
) -> None:
    plane.generate("berlin")
    path = f"/v1/subscriptions/0/regions/{REGION}/access-keys/berlin/rotate"
    headers = {"Authorization": f"Bearer {plane.token}"}
    with TestClient(create_app(plane.services)) as client:
        refusal = client.post(path, json={"grace": grace}, headers=headers)
        assert (refusal.status_code, refusal.json()["reason"]) == (422, reason)
        assert refusal.json()["field"] == "grace"
        assert client.post(path, json={"grace": 60}, headers=headers).json()["rotation"]["grace"] == 60
