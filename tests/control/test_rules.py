"""Rules of keys: what administrators may say, and what relays are told of it."""

from ipaddress import ip_network

import pytest

from aditus.control.service.keys import KeyPatch
from aditus.control.service.rules import MAX_PORTS, MAX_SOURCES
from aditus.domain.errors import Code
from aditus.domain.model import AccessKey
from aditus.domain.relays import KeyUse, RelayReport
from tests.control.refused import refused
from tests.control_plane import CAPABILITY, REGION, ControlPlane


def patch(plane: ControlPlane, changes: KeyPatch) -> AccessKey:
    return plane.services.keys.patch(plane.owner, "0", REGION, "berlin", changes)


def test_rules_are_stored_in_one_form_and_told_to_relays(plane: ControlPlane) -> None:
    key = plane.generate("berlin")
    assert (key.allowed_ports, key.allowed_sources) == (None, None)
    key = patch(
        plane, {"allowed_ports": [9000, 5432, 9000], "allowed_sources": ["192.0.2.7", " 2001:DB8::/32"]}
    )
    assert key.allowed_ports == (5432, 9000)
    assert key.allowed_sources == ("192.0.2.7/32", "2001:db8::/32")
    known = plane.relays.known[key.key_id]
    assert known.allowed_ports == frozenset({5432, 9000})
    assert known.allowed_sources == (ip_network("192.0.2.7/32"), ip_network("2001:db8::/32"))

    key = patch(plane, {"allowed_ports": []})  # none at all, and the other rule stays
    assert (key.allowed_ports, key.allowed_sources) == ((), ("192.0.2.7/32", "2001:db8::/32"))
    assert plane.relays.known[key.key_id].allowed_ports == frozenset()

    key = patch(plane, {"allowed_ports": None, "allowed_sources": None})
    assert (key.allowed_ports, key.allowed_sources) == (None, None)
    assert plane.relays.known[key.key_id].allowed_sources is None


def test_a_key_can_be_born_with_rules(plane: ControlPlane) -> None:
    new = plane.services.keys.generate(
        plane.owner,
        "0",
        REGION,
        "berlin",
        CAPABILITY,
        allowed_ports=[5432],
        allowed_sources=["10.0.0.0/8"],
    )
    assert (new.key.allowed_ports, new.key.allowed_sources) == ((5432,), ("10.0.0.0/8",))
    assert plane.relays.known[new.key.key_id].allowed_ports == frozenset({5432})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"allowed_ports": [0]}, "bad-allowed-ports"),
        ({"allowed_ports": [65536]}, "bad-allowed-ports"),
        ({"allowed_ports": list(range(1, MAX_PORTS + 2))}, "bad-allowed-ports"),
        ({"allowed_sources": ["192.0.2.1/24"]}, "bad-allowed-sources"),
        ({"allowed_sources": ["everywhere"]}, "bad-allowed-sources"),
        ({"allowed_sources": ["::ffff:10.0.0.0/104"]}, "bad-allowed-sources"),
        ({"allowed_sources": ["192.0.2.7", "::ffff:192.0.2.7"]}, "bad-allowed-sources"),
        ({"allowed_sources": ["fe80::1%eth0/128"]}, "bad-allowed-sources"),
        ({"allowed_sources": ["10.0.0.0/8"] * (MAX_SOURCES + 1)}, "bad-allowed-sources"),
    ],
)
def test_what_is_no_rule_changes_nothing(plane: ControlPlane, changes: KeyPatch, reason: str) -> None:
    key = plane.generate("berlin")
    error = refused(Code.INVALID, reason, lambda: patch(plane, changes))
    assert error.field == next(iter(changes))
    assert plane.stored(key) == key


def test_the_last_use_of_a_key_is_shown_and_makes_no_new_version(plane: ControlPlane) -> None:
    key = plane.generate("berlin")
    assert key.last_used_at is None

    def use(at: float, instance: str) -> None:
        seen = KeyUse(key.key_id, bytes(32), at, "192.0.2.1", instance, "aditus/1")
        plane.services.reports.take(REGION, RelayReport(uses=(seen,)))

    use(plane.clock.now + 5, "b" * 32)
    use(plane.clock.now + 2, "a" * 32)  # an older report that comes later changes nothing
    shown = plane.stored(key)
    assert (shown.last_used_at, shown.last_used_instance) == (plane.clock.now + 5, "b" * 32)
    assert (shown.last_used_from, shown.last_used_version) == ("192.0.2.1", "aditus/1")
    assert shown.epoch == key.epoch
